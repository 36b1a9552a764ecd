//! Checkpoints for candle.
#![allow(dead_code, unused_imports)]

mod bytes;
mod checksum;
mod entry;
mod error;
mod fabric;
mod filter;
mod format;
pub mod group;
mod load;
pub mod optim;
mod options;
mod plan;
mod raw;
mod report;
mod save;
mod source;
mod state;
pub mod storage;
mod strategy;
mod target;
mod value;

pub use candle_core;
pub use candle_nn;
pub use entry::{DType, Region, TensorInfo};
pub use error::{Error, Result, StateError};
pub use fabric::{Builder, Fabric, named_parameters};
pub use fabric_derive::Checkpoint;
pub use filter::Filter;
pub use load::Loaded;
pub use options::{Durability, LoadOptions, OnMismatch, SaveOptions};
pub use raw::RawCheckpoint;
pub use report::{LoadReport, Mismatch, MismatchKind};
pub use save::SaveReport;
pub use state::{
    Checkpoint, Field, Kind, OptimizerDescription, OptimizerState, ParamGroup, ParamState, Recording, Role, Visitor,
    VisitorMut,
};
pub use strategy::Strategy;
pub use value::{Value, ValueError};

/// What generated code names; no part of the public interface.
#[doc(hidden)]
pub mod __private {
    pub use crate::entry::TensorInfo;
    pub use crate::state::{Checkpoint, Field, FieldSchema, Keys, Message, Metadata, Visitor, VisitorMut};
    pub use core;
}
