//! Schemas in hostile surroundings: they compile without a warning, and their handles carry the right names.
#![deny(
    warnings,
    clippy::pedantic,
    missing_docs,
    unreachable_pub,
    missing_debug_implementations
)]
#![deny(
    unused_qualifications,
    elided_lifetimes_in_paths,
    single_use_lifetimes,
    unused_lifetimes
)]

mod generics;
mod handles;
mod macros;
mod shadowed;
pub mod visible;
mod without_prelude;

use fabric_core::Checkpoint;

fn is_checkpoint<T: Checkpoint>() {}
