//! What a user does, and what must hold when it goes wrong.

mod contract;
mod states;
mod table;
