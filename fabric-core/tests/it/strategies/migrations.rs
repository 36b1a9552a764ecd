//! A recipe on many ranks: each rank reads its part of tensors that words move, with the optimizer's state, and
//! trains on, bit for bit.

mod anew;
mod bytes;
mod changes;
mod training;
mod words;
