//! Compiles the expansion snapshots; that they are what the macro writes is tested beside the macro
//! (`cargo test -p fabric-derive snapshots`).
#![allow(dead_code, unreachable_pub, reason = "the schemas exist to be compiled")]
#![allow(clippy::struct_field_names, reason = "names that show what a field is there for")]

#[rustfmt::skip]
#[path = "expand/borrowed.rs"]
mod borrowed;
#[rustfmt::skip]
#[path = "expand/filters.rs"]
mod filters;
#[rustfmt::skip]
#[path = "expand/flattened.rs"]
mod flattened;
#[rustfmt::skip]
#[path = "expand/generics.rs"]
mod generics;
#[rustfmt::skip]
#[path = "expand/module.rs"]
mod module;
#[rustfmt::skip]
#[path = "expand/names.rs"]
mod names;
#[rustfmt::skip]
#[path = "expand/rank_and_absence.rs"]
mod rank_and_absence;
#[rustfmt::skip]
#[path = "expand/shards.rs"]
mod shards;
#[rustfmt::skip]
#[path = "expand/struct_attributes.rs"]
mod struct_attributes;
#[rustfmt::skip]
#[path = "expand/train_state.rs"]
mod train_state;
