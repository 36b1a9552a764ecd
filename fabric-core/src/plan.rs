//! Decisions without I/O: which entry comes from where, and what is written where.

mod advice;
pub(crate) mod asked;
mod cut;
mod fresh;
mod leftover;
pub(crate) mod load;
pub(crate) mod numbered;
pub(crate) mod save;
pub(crate) mod shard;
mod wanted;
mod whole;
mod wrong;
