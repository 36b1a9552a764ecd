//! The checkpoint of a delta may have any format, and the options are those of an export.

use candle_core::{DType, Device, Tensor, Var};
use fabric_core::testing::Memory;
use fabric_core::{Checkpoint, DeltaOptions, ExportOptions, Fabric, Strategy};
use testkit::files::{on, read};
use testkit::states::var;

use super::files::{BASE, DELTA, MADE, full};

#[derive(Checkpoint)]
struct Model {
    weight: Var,
    /// Another name of `weight`.
    tied: Var,
    transposed: Tensor,
    scale: Tensor,
}

#[derive(Checkpoint)]
struct State {
    model: Model,
    moments: Tensor,
    step: u64,
}

/// A state whose weights move by 2^-12 a step, which changes some of them as `bf16`.
fn state(step: u32) -> State {
    let moved = |seed, shape| {
        let start = var(seed, shape);
        (start.as_tensor() + f64::from(step) / 4096.).expect("memory")
    };
    let weight = Var::from_tensor(&moved(1, (300, 7))).expect("memory");
    State {
        model: Model {
            tied: weight.clone(),
            weight,
            transposed: moved(2, (30, 50)).t().expect("two dimensions"),
            scale: Tensor::new(f64::from(step) / 3., &Device::Cpu).expect("memory"),
        },
        moments: moved(3, (40, 40)),
        step: u64::from(step),
    }
}

/// A Fabric with an export of step 1 as a base, and step 2 in several formats.
fn world(options: &ExportOptions) -> (Fabric, Memory) {
    let memory = Memory::new();
    let fabric = on(memory.clone());
    fabric.save("1.ckpt", &state(1)).expect("saved");
    fabric.export("1.ckpt", BASE, options.clone()).expect("an export");
    fabric.save("2.ckpt", &state(2)).expect("saved");
    fabric
        .reshard("2.ckpt", "ranks", Strategy::fsdp().ranks(3))
        .expect("resharded");
    fabric
        .export("2.ckpt", "2.pt", ExportOptions::new())
        .expect("an export");
    (fabric, memory)
}

#[test]
fn a_checkpoint_of_every_format_gives_the_delta_to_its_export() {
    let exported = || ExportOptions::new().subtree("model").dtype(DType::BF16.into());
    let (fabric, memory) = world(&exported());
    for from in ["2.ckpt", "ranks", "2.pt"] {
        let options = DeltaOptions::new().subtree("model").dtype(DType::BF16.into());
        let report = fabric.export_delta(from, BASE, DELTA, options).expect("a delta");
        fabric.apply_delta(BASE, DELTA, MADE).expect("the delta fits");
        assert!(
            read(&memory, MADE) == full(&fabric, &memory, from, exported()),
            "{from}"
        );
        assert_eq!(
            (report.tensors, report.elements),
            (4, 2 * 2100 + 1500 + 1),
            "{from}: {report:?}"
        );
        assert!(
            report.changed_elements > 0 && report.changed_elements < report.elements,
            "{from}: {report:?}"
        );
    }
}

#[test]
fn values_are_left_out_and_numbers_that_become_infinite_are_named() {
    let (fabric, memory) = world(&ExportOptions::new());
    let report = fabric
        .export_delta("2.ckpt", BASE, DELTA, DeltaOptions::new())
        .expect("a delta");
    assert_eq!((report.tensors, report.left_out), (5, vec!["step".to_owned()]));
    fabric.apply_delta(BASE, DELTA, MADE).expect("the delta fits");
    assert!(read(&memory, MADE) == full(&fabric, &memory, "2.ckpt", ExportOptions::new()));

    let large = Tensor::new(&[1f32, 70_000.], &Device::Cpu).expect("memory");
    let state = std::collections::BTreeMap::from([("large".to_owned(), large)]);
    fabric.save("large.ckpt", &state).expect("saved");
    let options = DeltaOptions::new().dtype(DType::F16.into());
    let report = fabric
        .export_delta("large.ckpt", BASE, DELTA, options)
        .expect("a delta");
    assert_eq!(
        (report.overflowed, report.whole),
        (vec!["large".to_owned()], vec!["large".to_owned()])
    );
}

#[test]
fn a_checkpoint_of_this_library_may_be_the_base() {
    let (fabric, memory) = world(&ExportOptions::new());
    fabric
        .export_delta("2.ckpt", "1.ckpt", DELTA, DeltaOptions::new())
        .expect("a delta");
    fabric.apply_delta("1.ckpt", DELTA, MADE).expect("the delta fits");
    assert!(read(&memory, MADE) == full(&fabric, &memory, "2.ckpt", ExportOptions::new()));
}

#[test]
fn a_new_file_does_not_replace_the_delta_nor_a_checkpoint() {
    let (fabric, memory) = world(&ExportOptions::new());
    let delta = |base: &str| {
        fabric
            .export_delta("2.ckpt", base, DELTA, DeltaOptions::new())
            .expect("a delta")
    };
    delta(BASE);
    let before = read(&memory, DELTA);
    let error = fabric.apply_delta(BASE, DELTA, DELTA).expect_err("the delta is there");
    assert!(error.to_string().contains("the delta is there"), "{error}");
    assert!(read(&memory, DELTA) == before);

    delta("1.ckpt");
    let before = read(&memory, "1.ckpt");
    let error = fabric
        .apply_delta("1.ckpt", DELTA, "1.ckpt")
        .expect_err("a checkpoint is there");
    assert!(error.to_string().contains("is a checkpoint"), "{error}");
    assert!(read(&memory, "1.ckpt") == before);
}
