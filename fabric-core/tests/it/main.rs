//! What fabric-core promises to its callers, a module for each topic: `cargo test --workspace --test it durability::` runs one.

mod asynchronous;
mod convert;
mod deltas;
mod diff;
mod durability;
mod export;
mod group;
mod groups;
mod hub;
mod inspecting;
mod many_files;
mod observing;
mod optimizers;
mod pytorch;
mod run;
mod schedules;
mod shapes;
mod spans;
mod storage;
mod strategies;
mod verify;
