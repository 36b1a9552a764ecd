//! What the tests of several crates share: states, ranks that are threads, storages, files of every format, and an allocator that
//! counts.

#![allow(
    missing_docs,
    missing_debug_implementations,
    clippy::missing_panics_doc,
    clippy::missing_errors_doc,
    clippy::must_use_candidate,
    clippy::new_without_default,
    reason = "a test that calls these panics where they fail, and their names say what they return"
)]

pub mod adagrad;
pub mod allocations;
pub mod dcp;
pub mod delta;
pub mod faults;
pub mod files;
pub mod fuzzing;
pub mod kinds;
pub mod payload;
pub mod pickle;
pub mod random;
pub mod states;
pub mod torch;
pub mod world;
pub mod zip;
