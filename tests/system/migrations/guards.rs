//! Tests of teams: a lock file for the schema, and a folder of old checkpoints.

use std::fs;
use std::panic::catch_unwind;
use std::path::Path;

use candle_core::Tensor;
use fabric_core::testing::{assert_all_load, assert_schema};
use fabric_core::{Checkpoint, Fabric, Migrations};

use crate::states::tensor;

#[derive(Checkpoint)]
struct First {
    weight: Tensor,
    step: u64,
}

#[derive(Checkpoint)]
#[checkpoint(version = 2, migrate = Second::migrations)]
struct Second {
    matrix: Tensor,
    step: u64,
}

impl Second {
    fn migrations(m: &mut Migrations) {
        m.from(1, "a weight is a matrix").rename("weight", "matrix");
    }

    fn new() -> Self {
        Self {
            matrix: tensor(9, (2, 3)),
            step: 0,
        }
    }
}

#[derive(Checkpoint)]
struct Renamed {
    w: Tensor,
    step: u64,
}

fn first() -> First {
    First {
        weight: tensor(1, (2, 3)),
        step: 4,
    }
}

fn message(test: impl FnOnce() + std::panic::UnwindSafe) -> String {
    let panic = catch_unwind(test).expect_err("the assertion holds");
    panic.downcast_ref::<String>().cloned().unwrap_or_default()
}

#[test]
fn a_schema_that_changed_without_a_version_fails() {
    let folder = tempfile::tempdir().unwrap();
    let lock = folder.path().join("state.schema");
    let missing = message(|| assert_schema(&first(), &lock));
    assert!(missing.contains("FABRIC_BLESS=1"), "{missing}");
    fs::write(&lock, "# comment\nstruct 1 First \ntensor 2 weight\nvalue step\n").unwrap();
    assert_schema(&first(), &lock);
    let renamed = || Renamed {
        w: tensor(1, 3),
        step: 4,
    };
    let changed = message(|| assert_schema(&renamed(), &lock));
    for part in [
        "`weight` of `Renamed`: was tensor 2, and is gone",
        "`w` of `Renamed`: is new, tensor 1",
        "raise `version`",
    ] {
        assert!(changed.contains(part), "{part:?} is not in: {changed}");
    }
    fs::write(&lock, "struct 1 Second \ntensor 2 weight\nvalue step\n").unwrap();
    let older = message(|| assert_schema(&Second::new(), &lock));
    assert!(older.contains("has a new version"), "{older}");
}

#[test]
fn every_old_checkpoint_of_a_folder_loads() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let empty = message(|| assert_all_load(folder.path(), Second::new));
    assert!(empty.contains("has no checkpoint"), "{empty}");
    Fabric::new().save(path("1.ckpt"), &first()).unwrap();
    Fabric::new().save(path("2.ckpt"), &Second::new()).unwrap();
    fs::write(path("notes.txt"), "no checkpoint").unwrap();
    assert_all_load(folder.path(), Second::new);
    let failed = message(|| assert_all_load(Path::new(folder.path()), first));
    assert!(failed.contains("2.ckpt") && !failed.contains("1.ckpt"), "{failed}");
}
