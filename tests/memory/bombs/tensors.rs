//! Views and ties: a few bytes that are many tensors.

use std::collections::BTreeMap;
use std::path::Path;

use candle_core::{DType, Device, Tensor};
use fabric_core::storage::Storage;
use fabric_core::{ExportFormat, ExportOptions, LoadOptions, Strategy};
use testkit::allocations::tally;
use testkit::files::{on, storage};
use testkit::pickle::text;
use testkit::torch::{tensor, torch};

use super::{generous, in_proportion, is_limit};
use crate::alone;

/// A file of `torch.save` with so many views, each of which shows 4096 floats 1024 times: 16 MiB.
fn views(count: usize) -> Vec<u8> {
    // Each begins elsewhere, so no two are the same tensor.
    let view = |at: usize| {
        (
            text(&format!("view{at}")),
            tensor("0", 16_384, at, &[1024, 4096], &[0, 1]),
        )
    };
    torch(&(0..count).map(view).collect::<Vec<_>>(), &vec![0; 4 * 16_384])
}

#[test]
fn views_that_share_bytes_are_opened_and_not_read_all_at_once() {
    let _alone = alone();
    let file = views(10_000);
    let memory = storage(&[("views.pt", &file)]);
    let read = in_proportion(&memory, "views.pt", file.len(), |raw| {
        assert_eq!(raw.len(), 10_000);
        assert_eq!(raw.tensor("view7", &Device::Cpu)?.dims(), [1024, 4096]);
        raw.tensors(&Device::Cpu)
    });
    is_limit(&read.unwrap_err());
}

#[test]
fn views_are_read_where_the_bound_is_raised() {
    let _alone = alone();
    let file = views(8);
    let memory = storage(&[("views.pt", &file)]);
    is_limit(
        &on(memory.clone())
            .open("views.pt")
            .unwrap()
            .tensors(&Device::Cpu)
            .unwrap_err(),
    );
    let tensors = generous(&memory)
        .open("views.pt")
        .unwrap()
        .tensors(&Device::Cpu)
        .unwrap();
    assert_eq!(tensors.len(), 8);
    assert_eq!(tensors["view3"].dims(), [1024, 4096]);
}

#[test]
fn one_view_that_shows_more_than_any_memory_is_refused_alone() {
    let _alone = alone();
    let entries = [
        (text("small"), tensor("0", 2, 0, &[2], &[1])),
        (text("huge"), tensor("0", 2, 0, &[1 << 40], &[0])),
    ];
    let memory = storage(&[("views.pt", &torch(&entries, &[0; 8]))]);
    let raw = on(memory.clone()).open("views.pt").unwrap();
    assert_eq!(raw.tensor("small", &Device::Cpu).unwrap().dims(), [2]);
    is_limit(&raw.tensor("huge", &Device::Cpu).unwrap_err());
    is_limit(&raw.tensors(&Device::Cpu).unwrap_err());
    let builder = raw.var_builder(DType::F32, &Device::Cpu);
    assert!(builder.get(1usize << 40, "huge").is_err());
}

#[test]
fn views_do_not_fill_a_disk() {
    let _alone = alone();
    let memory = storage(&[("views.pt", &views(100))]);
    let fabric = on(memory.clone());
    for to in ["views.safetensors", "other.pt"] {
        is_limit(&fabric.export("views.pt", to, ExportOptions::new()).unwrap_err());
        assert!(memory.kind(Path::new(to)).unwrap().is_none());
    }
    is_limit(&fabric.consolidate("views.pt", "one.ckpt").unwrap_err());
    is_limit(
        &fabric
            .reshard("views.pt", "run", Strategy::fsdp().ranks(2))
            .unwrap_err(),
    );
    assert!(memory.kind(Path::new("run")).unwrap().is_none());
}

#[test]
fn a_view_is_loaded_into_a_tensor_that_is_there_whatever_it_repeats() {
    let _alone = alone();
    let memory = storage(&[("views.pt", &views(10))]);
    let mut state = BTreeMap::from([(
        "view3".to_owned(),
        Tensor::ones((1024, 4096), DType::F32, &Device::Cpu).unwrap(),
    )]);
    on(memory.clone())
        .load_raw_with("views.pt", &mut state, LoadOptions::new().strict(false))
        .unwrap();
    assert_eq!(
        state["view3"].sum_all().unwrap().to_scalar::<f32>().unwrap().to_bits(),
        0
    );
}

#[test]
fn tied_tensors_share_memory_when_all_are_read() {
    let _alone = alone();
    let memory = storage(&[]);
    let shared = Tensor::ones((512, 512), DType::F32, &Device::Cpu).unwrap();
    let other = Tensor::zeros(7, DType::F32, &Device::Cpu).unwrap();
    let mut state: BTreeMap<String, Tensor> = (0..1000).map(|at| (format!("tie{at}"), shared.clone())).collect();
    state.insert("other".to_owned(), other);
    let fabric = on(memory.clone());
    fabric.save("ties.ckpt", &state).unwrap();
    fabric.reshard("ties.ckpt", "ties", Strategy::fsdp().ranks(2)).unwrap();
    for path in ["ties.ckpt", "ties"] {
        let raw = fabric.open(path).unwrap();
        let (tensors, tally) = tally(|| raw.tensors(&Device::Cpu).unwrap());
        assert!(tally.peak < 16 << 20, "{path}: {tally:?}");
        assert_eq!(tensors.len(), 1001);
        let sum = |name: &str| tensors[name].sum_all().unwrap().to_scalar::<f32>().unwrap().to_bits();
        assert_eq!((sum("tie999"), sum("other")), ((512f32 * 512.).to_bits(), 0));
    }
    // Plain safetensors have no ties: each would be written in full.
    let format = ExportOptions::new().format(ExportFormat::Safetensors);
    is_limit(&fabric.export("ties.ckpt", "ties.safetensors", format).unwrap_err());
}
