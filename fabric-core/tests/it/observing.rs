//! How far a save or a load is, as its callback is told.

mod progress_of_loads;
mod progress_of_saves;
mod state;
