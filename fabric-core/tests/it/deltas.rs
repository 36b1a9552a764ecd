//! Deltas of weights: a base and a delta make the file that an export writes, or an error, and never another file.

mod damage;
mod durability;
mod files;
mod formats;
mod golden;
mod refused;
mod round_trip;
