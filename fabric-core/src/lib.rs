//! Checkpoints for [candle](candle_core): declare the training state as a struct, save it, load it, resume exactly.
//!
//! ```
//! use candle_core::{DType, Device};
//! use candle_nn::{Linear, Optimizer, VarBuilder, VarMap, linear};
//! use fabric_core::optim::AdamW;
//! use fabric_core::{Checkpoint, Fabric};
//!
//! #[derive(Checkpoint)]
//! struct Mlp { fc1: Linear, fc2: Linear }
//!
//! #[derive(Checkpoint)]
//! struct TrainState { model: Mlp, optimizer: AdamW, iteration: u64 }
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let directory = tempfile::tempdir()?;
//! # std::env::set_current_dir(&directory)?;
//! let variables = VarMap::new();
//! let builder = VarBuilder::from_varmap(&variables, DType::F32, &Device::Cpu);
//! let model = Mlp { fc1: linear(4, 16, builder.pp("fc1"))?, fc2: linear(16, 2, builder.pp("fc2"))? };
//! let optimizer = AdamW::new_lr(variables.all_vars(), 1e-3)?;
//! let mut state = TrainState { model, optimizer, iteration: 0 };
//!
//! let fabric = Fabric::new();
//! fabric.save("run/last.ckpt", &state)?;                    // one file, complete or not there at all
//! let loaded = fabric.load("run/last.ckpt", &mut state)?;   // in place, strict, all or nothing
//! assert!(loaded.remainder.is_empty());
//! # Ok(())
//! # }
//! ```
//!
//! # The words
//!
//! A **state** is your struct. A **component** is one of its fields: a module, an optimizer, a value. An **entry** is one
//! named leaf, a tensor or a value; its name is the path of field names, `model.fc1.weight`. The **remainder** is what a
//! checkpoint holds and a load did not use.
//!
//! | to do this | call |
//! |---|---|
//! | save, load in place | [`Fabric::save`], [`Fabric::load`] |
//! | save while training goes on | [`Fabric::save_async`], [`Saving`] |
//! | see how far a save or a load is | [`SaveOptions::progress`], [`LoadOptions::progress`] |
//! | load what matches, convert element types, verify first | [`Fabric::load_with`] and [`LoadOptions`] |
//! | restore one field | [`LoadOptions::only`] with a handle, `TrainState::FIELDS.model` |
//! | save a part | [`SaveOptions::filter`], or `#[checkpoint(filter = "...")]` on the field |
//! | describe a checkpoint, its optimizers and its tensors | [`RawCheckpoint::description`], [`optimizers`](RawCheckpoint::optimizers), [`statistics`](RawCheckpoint::statistics) |
//! | look inside, read single entries, build a model from a file | [`Fabric::open`] and [`RawCheckpoint`] |
//! | load weights that somebody else wrote | [`Fabric::load_raw`] |
//! | write weights or a state for other programs, PyTorch among them | [`Fabric::export`] and [`ExportOptions`] |
//! | send the changes of weights to inference after a step | [`Fabric::export_delta`], [`Fabric::apply_delta`] |
//! | save and load on many ranks | [`Strategy`], [`group`] and the attribute `shard` |
//! | verify every byte of a checkpoint | [`Fabric::verify`] and [`VerifyReport`] |
//! | change the layout of a checkpoint | [`Fabric::consolidate`], [`Fabric::reshard`] |
//! | train so that a run can resume | [`optim::AdamW`], [`optim::Sgd`], or your own [`OptimizerState`] |
//! | keep a model that hides its tensors | a `VarMap` field, or a [`Recording`] |
//! | keep a type that the macro cannot read | an implementation of [`Checkpoint`] by hand, with a [`Visitor`] |
//! | name the parts of a map by keys of your own type | an implementation of [`MapKey`] |
//! | move tensors between files and a GPU through pinned memory | the feature `cuda` |
//!
//! Where the time of saves and loads goes is told by spans and events of `tracing` with the target `fabric`: one span for
//! each phase, and the sums at the end.
//!
//! The attributes of fields and structs are listed at the [derive macro](derive@Checkpoint).
//!
//! # What can be relied on
//!
//! - **A load is refused before it changes anything.** Names, shapes, element types and values are matched first, and
//!   all that does not fit is in one [`LoadReport`]. Only a file that turns out damaged while its bytes move can leave
//!   tensors half restored, and then the error names them; [`LoadOptions::verify_first`] rules that out too.
//! - **A save never harms what was there.** At every instant the path names the old checkpoint or the new one,
//!   complete; when [`Fabric::save`] returns, the new one survives a power failure.
//! - **Damage is noticed.** Every byte of a checkpoint is covered by a checksum that is compared when it is read.
//! - **Loading is in place.** Variables, gradients, optimizers and tied tensors stay what they are, and no second copy
//!   of the state exists at any time.
//! - **Same state, same bytes.** Two saves of one state are identical files.
//! - A checkpoint is a valid safetensors file, which every reader of that format opens.
//!
//! One thing is not restored: candle's random numbers on the CPU cannot be seeded, so a run with dropout on the CPU resumes
//! with other masks.
//!
//! # Features
//!
//! The default build has everything above. Features add further parts:
//!
//! | feature | adds | needs |
//! |---|---|---|
//! | `mpi` | `group::MpiGroup`, the ranks of an MPI job | an MPI (Open MPI, MPICH) and libclang |
//! | `cuda` | pinned memory between files and CUDA tensors; no item of its own | the CUDA toolkit |
//! | `smallvec` | `Checkpoint` for `smallvec::SmallVec` of the version 1 | nothing |
//! | `indexmap` | `Checkpoint` for `indexmap::IndexMap` and `IndexSet` of the version 2 | nothing |
//! | `testing` | the module `testing`: storages in memory, with faults and counting | nothing |
//!
//! docs.rs has neither an MPI nor the CUDA toolkit, so its pages lack `MpiGroup`; `cargo doc --features mpi` shows it.
#![deny(clippy::unwrap_used, clippy::expect_used)]
#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(target_endian = "big")]
compile_error!("checkpoints are little-endian, and so must the machine be that maps them to memory");

// The portable code has no system calls of its own: without these names it cannot make one that only Linux has.
#[cfg(not(fabric_linux))]
extern crate core as libc;
#[cfg(not(fabric_linux))]
extern crate core as rustix;

mod absolute;
mod device;
mod dist;
mod entry;
mod error;
mod fabric;
mod filter;
mod foreign;
mod format;
mod hash;
mod io;
mod load;
mod migrate;
pub mod optim;
mod options;
mod phases;
mod progress;
mod report;
#[cfg(test)]
mod rooms;
pub mod run;
mod save;
mod source;
mod state;
pub mod storage;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod threads;
mod value;

pub use candle_core;
pub use candle_nn;
pub use dist::group;
pub use dist::strategy::{Layout, Strategy};
pub use entry::{DType, Element, TensorInfo};
pub use error::{Error, MigrationError, Result, StateError};
pub use fabric::{Builder, Fabric};
pub use fabric_derive::Checkpoint;
pub use foreign::delta::{ApplyOptions, ApplyReport, DeltaOptions, DeltaReport};
pub use foreign::export::{ExportFormat, ExportOptions, ExportReport};
pub use load::Loaded;
pub use load::optimizer_state::{NamedOptimizerState, named_optimizer_state, set_optimizer_steps};
pub use load::raw::diff::{Diff, DiffOptions, TensorChange, TensorDiff, ValueDiff};
pub use load::raw::{Description, OptimizerSummary, RawCheckpoint, RunDescription, StructDescription};
pub use load::statistics::Statistics;
pub use migrate::{EntryNames, Migrations, Moments, NewShape, Recipes};
pub use options::{
    Durability, LoadOptions, OnMismatch, Replicas, ReshardOptions, SaveOptions, VerifyOptions, WhenBusy,
};
pub use progress::Progress;
pub use report::{
    Damage, LoadReport, MigratedEntry, Mismatch, MismatchKind, PartMismatch, PartMismatchKind, VerifyReport,
};
pub use save::SaveReport;
pub use save::background::Saving;
pub use source::Format;
pub use state::{
    Checkpoint, Field, FieldVisitor, FieldVisitorMut, MapKey, OptimizerDescription, OptimizerState, ParamGroup,
    ParamState, Part, Recording, Visitor, VisitorMut, named_parameters,
};
pub use value::{Json, Value, ValueError};

/// The items that generated code names. They are no part of the public interface.
#[doc(hidden)]
pub mod __private1 {
    pub use crate::entry::TensorInfo;
    pub use crate::migrate::Migrations;
    pub use crate::state::{
        Checkpoint, Declaration, Field, FieldSchema, Keys, Kind, MapKey, Message, Metadata, Recorded, Schema, Sealed,
        TypeWalk, Types, Visitor, VisitorMut, Walking, default, variant,
    };
    pub use crate::value::{Value, ValueError};
    pub use core;
    pub use std::borrow::Cow;
}
