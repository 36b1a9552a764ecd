//! Checkpoints for candle.
#![allow(dead_code, unused_imports)]

mod checksum;
mod entry;
mod error;
mod filter;
mod format;
pub mod optim;
mod report;
mod source;
mod state;
pub mod storage;
mod value;

pub use candle_core;
pub use candle_nn;
pub use entry::{DType, Region, TensorInfo};
pub use error::{Error, Result, StateError};
pub use fabric_derive::Checkpoint;
pub use filter::Filter;
pub use report::{LoadReport, Mismatch, MismatchKind};
pub use state::{
    Checkpoint, Field, Kind, OptimizerDescription, OptimizerState, ParamGroup, ParamState, Recording, Role, Visitor,
    VisitorMut,
};
pub use value::{Value, ValueError};

/// What generated code names; no part of the public interface.
#[doc(hidden)]
pub mod __private {
    pub use crate::entry::TensorInfo;
    pub use crate::state::{Checkpoint, Field, FieldSchema, Keys, Message, Metadata, Visitor, VisitorMut};
    pub use core;
}
