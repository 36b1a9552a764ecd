//! Directories of PyTorch's Distributed Checkpoint: those that PyTorch and Lightning wrote, and some that nobody should.

mod changing;
mod damage;
mod fixtures;
mod forms;
mod many_files;
mod refused;
mod whole;
