//! Directories of PyTorch's Distributed Checkpoint: those that PyTorch and Lightning wrote, and some that nobody should.

pub(crate) mod archive;
mod changing;
mod damage;
mod fixtures;
mod forms;
pub(crate) mod made;
mod many_files;
pub(crate) mod pickle;
mod refused;
mod whole;
pub(crate) mod zip;
