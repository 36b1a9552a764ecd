//! Compiles the expansion snapshots; that they are what the macro writes is tested beside the macro
//! (`cargo test --workspace --lib snapshots`).

#![allow(dead_code, unreachable_pub, reason = "the schemas exist to be compiled")]
#![allow(clippy::init_numbered_fields, reason = "the macro writes all forms of fields alike")]
#![allow(clippy::struct_field_names, reason = "names that show what a field is there for")]

#[rustfmt::skip]
#[path = "../../fabric-derive/tests/expand/borrowed.rs"]
mod borrowed;
#[rustfmt::skip]
#[path = "../../fabric-derive/tests/expand/enums.rs"]
mod enums;
#[rustfmt::skip]
#[path = "../../fabric-derive/tests/expand/filters.rs"]
mod filters;
#[rustfmt::skip]
#[path = "../../fabric-derive/tests/expand/flattened.rs"]
mod flattened;
#[rustfmt::skip]
#[path = "../../fabric-derive/tests/expand/generics.rs"]
mod generics;
#[rustfmt::skip]
#[path = "../../fabric-derive/tests/expand/module.rs"]
mod module;
#[rustfmt::skip]
#[path = "../../fabric-derive/tests/expand/names.rs"]
mod names;
#[rustfmt::skip]
#[path = "../../fabric-derive/tests/expand/newtypes.rs"]
mod newtypes;
#[rustfmt::skip]
#[path = "../../fabric-derive/tests/expand/rank_and_absence.rs"]
mod rank_and_absence;
#[rustfmt::skip]
#[path = "../../fabric-derive/tests/expand/shards.rs"]
mod shards;
#[rustfmt::skip]
#[path = "../../fabric-derive/tests/expand/struct_attributes.rs"]
mod struct_attributes;
#[rustfmt::skip]
#[path = "../../fabric-derive/tests/expand/train_state.rs"]
mod train_state;

#[test]
fn every_snapshot_is_compiled() {
    let here = include_str!("expand.rs");
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../fabric-derive/tests/expand");
    let files = std::fs::read_dir(folder).expect("the folder of snapshots is readable");
    let paths = files.map(|file| file.expect("the folder of snapshots is readable").path());
    let mut snapshots = paths
        .filter(|path| path.extension().is_some_and(|end| end == "rs"))
        .peekable();
    assert!(snapshots.peek().is_some(), "the snapshots are missing");
    for path in snapshots {
        let module = format!("mod {};", path.file_stem().unwrap_or_default().display());
        assert!(here.contains(&module), "this file lacks `{module}`");
    }
}
