//! A delta and its base make the file that an export writes, byte for byte.

use std::sync::{Arc, Mutex};

use fabric_core::{ApplyOptions, DeltaOptions, ExportOptions};
use safetensors::Dtype;
use testkit::files::read;

use super::files::{BASE, DELTA, MADE, NEW, OLD, Weights, file, full, put, round_trip, small, with_delta, world};

const DTYPES: [Dtype; 14] = [
    Dtype::BOOL,
    Dtype::U8,
    Dtype::I8,
    Dtype::F8_E4M3,
    Dtype::F8_E5M2,
    Dtype::I16,
    Dtype::F16,
    Dtype::BF16,
    Dtype::I32,
    Dtype::F32,
    Dtype::C64,
    Dtype::F64,
    Dtype::I64,
    Dtype::U64,
];

#[test]
fn tensors_of_every_element_type_and_shape_come_back() {
    for rarity in [1, 3, 50, 255] {
        let mut old = Vec::new();
        for (seed, dtype) in (0..).zip(DTYPES) {
            for (number, shape) in [&[][..], &[0, 4], &[1], &[65, 3], &[7, 11, 13]].into_iter().enumerate() {
                old.push(Weights::new(seed, &format!("{dtype:?}.{number}"), dtype, shape));
            }
        }
        let new: Vec<_> = old.iter().map(|tensor| tensor.stepped(99, rarity)).collect();
        let report = round_trip(&old, &new);
        assert_eq!(report.tensors, old.len());
        assert!(report.whole.is_empty() && report.removed.is_empty(), "{report:?}");
        assert!(
            report.changed_tensors <= report.tensors - DTYPES.len(),
            "empty tensors do not change"
        );
    }
}

#[test]
fn tensors_of_several_blocks_come_back() {
    let old = [
        Weights::new(1, "even", Dtype::BF16, &[1 << 20]),
        Weights::new(2, "odd", Dtype::BF16, &[(1 << 19) + 1]),
        Weights::new(3, "bytes", Dtype::U8, &[(2 << 20) - 1]),
        Weights::new(4, "double", Dtype::F64, &[(1 << 17) + 3]),
    ];
    let mut new: Vec<_> = old.iter().map(|tensor| tensor.stepped(5, 40)).collect();
    // One block of two is equal.
    new[0].bytes[..1 << 20].copy_from_slice(&old[0].bytes[..1 << 20]);
    let report = round_trip(&old, &new);
    assert_eq!(
        (report.changed_tensors, report.elements),
        (4, (3 << 19) + 1 + (2 << 20) - 1 + (1 << 17) + 3)
    );
    assert!(report.changed_elements < report.elements / 30, "{report:?}");
    assert!(report.bytes * 10 < report.full_bytes, "{report:?}");
}

#[test]
fn a_delta_of_equal_weights_has_no_bytes_of_them() {
    let old = [Weights::new(1, "w", Dtype::BF16, &[3 << 20])];
    let report = round_trip(&old, &old);
    assert_eq!((report.changed_tensors, report.changed_elements), (0, 0));
    assert!(report.bytes < 1000, "{} bytes of {}", report.bytes, report.full_bytes);
}

#[test]
fn tensors_that_the_base_lacks_or_has_in_another_form_are_carried_whole() {
    let old = [
        Weights::new(1, "kept", Dtype::F32, &[40]),
        Weights::new(2, "removed", Dtype::F32, &[8]),
        Weights::new(3, "reshaped", Dtype::F32, &[6, 2]),
        Weights::new(4, "retyped", Dtype::F32, &[6]),
    ];
    let new = [
        old[0].stepped(9, 4),
        Weights::new(5, "added", Dtype::BF16, &[300, 7]),
        Weights {
            shape: vec![2, 6],
            ..old[2].clone()
        },
        Weights {
            dtype: Dtype::I32,
            ..old[3].clone()
        },
    ];
    let report = round_trip(&old, &new);
    assert_eq!(report.whole, ["added", "reshaped", "retyped"]);
    assert_eq!(report.removed, ["removed"]);
    assert_eq!(
        (report.tensors, report.changed_tensors, report.elements),
        (4, 4, 40 + 2100 + 12 + 6)
    );
    assert!(report.changed_elements > 2100 + 12 + 6 && report.changed_elements < report.elements);
}

#[test]
fn three_deltas_in_a_row_make_the_last_export() {
    let mut steps = vec![small().0];
    for step in 1..4 {
        let next = steps[step - 1]
            .iter()
            .map(|tensor| tensor.stepped(step as u64, 5))
            .collect();
        steps.push(next);
    }
    let (fabric, memory) = world(&steps[0], &steps[1]);
    for step in &steps[1..] {
        put(&memory, NEW, &file(step));
        fabric
            .export_delta(NEW, BASE, DELTA, DeltaOptions::new())
            .expect("a delta");
        // Each replaces its own base.
        fabric.apply_delta(BASE, DELTA, BASE).expect("the delta fits");
        assert!(read(&memory, BASE) == full(&fabric, &memory, NEW, ExportOptions::new()));
    }
}

#[test]
fn equal_weights_give_equal_deltas() {
    let (old, new) = small();
    let [first, second] = [(); 2].map(|()| read(&with_delta(&old, &new).1, DELTA));
    assert!(first == second);
}

#[test]
fn progress_counts_the_bytes_of_the_new_weights_to_the_last() {
    let (old, new) = small();
    let (fabric, memory) = world(&old, &new);
    let bytes = new.iter().map(|tensor| tensor.bytes.len() as u64).sum::<u64>();
    let last = Arc::new(Mutex::new((0, 0)));
    let told = || {
        let last = last.clone();
        *last.lock().expect("no panic") = (0, 0);
        move |progress: &fabric_core::Progress<'_>| {
            *last.lock().expect("no panic") = (progress.bytes_done, progress.bytes_in_all);
        }
    };
    let options = DeltaOptions::new().progress(told());
    fabric.export_delta(NEW, BASE, DELTA, options).expect("a delta");
    assert_eq!(*last.lock().expect("no panic"), (bytes, bytes));
    let options = ApplyOptions::new().progress(told());
    fabric
        .apply_delta_with(BASE, DELTA, MADE, options)
        .expect("the delta fits");
    assert_eq!(*last.lock().expect("no panic"), (bytes, bytes));
    assert!(read(&memory, MADE) == full(&fabric, &memory, NEW, ExportOptions::new()));
    assert!(read(&memory, OLD) == file(&old), "the checkpoints stay");
}
