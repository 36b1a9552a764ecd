//! Directories of PyTorch's Distributed Checkpoint: those that PyTorch and Lightning wrote, and some that nobody should.

mod damage;
mod fixtures;
mod forms;
mod refused;
mod whole;
