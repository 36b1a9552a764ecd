//! Directories of PyTorch's Distributed Checkpoint: those that PyTorch and Lightning wrote, and some that nobody should.

mod archive;
mod changing;
mod damage;
mod fixtures;
mod forms;
mod made;
mod many_files;
mod pickle;
mod refused;
mod whole;
mod zip;
