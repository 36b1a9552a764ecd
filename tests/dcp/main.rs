//! Directories of PyTorch's Distributed Checkpoint: those that PyTorch and Lightning wrote, and some that nobody should.

mod fixtures;
