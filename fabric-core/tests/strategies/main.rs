//! One schema on many ranks: every strategy, every number of ranks, and back on any other.

mod reshard;

mod agreement;
mod failing_storage;
mod matrix;
mod per_rank;
mod round_trip;
mod train;
mod world;
