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

#[path = "hygiene/generics.rs"]
mod generics;
#[path = "hygiene/macros.rs"]
mod macros;
#[path = "hygiene/shadowed.rs"]
mod shadowed;
#[path = "hygiene/visible.rs"]
pub mod visible;
#[path = "hygiene/without_prelude.rs"]
mod without_prelude;

use fabric_core::Checkpoint;

fn is_checkpoint<T: Checkpoint>() {}
