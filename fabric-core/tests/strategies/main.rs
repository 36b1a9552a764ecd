//! One schema on many ranks: every strategy, every number of ranks, and back on any other.

mod reshard;
mod round_trip;
mod world;
