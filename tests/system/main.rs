//! What a user does, and what must hold when it goes wrong.

mod bare;
mod containers;
mod contract;
mod filters;
mod hidden;
mod hub;
mod metadata;
mod modules;
mod optimizers;
mod parts;
mod resume;
mod states;
mod table;
mod tensors;
mod ties;
mod untouched;
mod values;
