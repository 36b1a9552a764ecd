//! One schema on many ranks: every strategy, every number of ranks, and back on any other.

mod reshard;

mod agreement;
mod by_hand;
mod bytes_read;
mod bytes_read_distributed;
mod cuts;
mod damage;
mod failing_storage;
mod files;
mod filters;
mod foreign;
mod matrix;
mod migrations;
mod mortal;
mod odd_optimizers;
mod own_optimizer;
mod per_rank;
mod random;
mod readers;
mod replicas;
mod round_trip;
mod shared;
mod train;

use testkit::world;
