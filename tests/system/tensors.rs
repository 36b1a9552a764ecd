//! Tensors of every element type, shape and layout, written as they are and restored where they are.

use candle_core::{CpuStorage, DType, Storage, Tensor, Var};
use fabric_core::{Checkpoint, LoadOptions, SaveOptions};

use crate::states::{CPU, PATH, bits, fabric, mismatched, refused, tensor, var};

#[derive(Checkpoint)]
struct One {
    tensor: Tensor,
}

fn one(tensor: Tensor) -> One {
    One { tensor }
}

/// The address of a tensor's memory.
fn address(tensor: &Tensor) -> usize {
    let (guard, _) = tensor.storage_and_layout();
    match &*guard {
        Storage::Cpu(CpuStorage::F32(elements)) => elements.as_ptr().addr(),
        _ => 0,
    }
}

#[test]
fn every_element_type_comes_back_bit_for_bit() {
    let fabric = fabric();
    let types = [
        (DType::U8, 1),
        (DType::U32, 4),
        (DType::I16, 2),
        (DType::I32, 4),
        (DType::I64, 8),
        (DType::BF16, 2),
        (DType::F16, 2),
        (DType::F32, 4),
        (DType::F64, 8),
        (DType::F8E4M3, 1),
    ];
    for (dtype, size) in types {
        // All bytes but those that make a NaN, which candle's conversions need not keep.
        let bytes: Vec<u8> = (0..240u8).map(|n| n & 0x3f).collect();
        let elements = bytes.len() / size;
        let saved = one(Tensor::from_raw_buffer(&bytes, dtype, &[2, elements / 2], &CPU).unwrap());
        fabric.save(PATH, &saved).unwrap();
        let mut live = one(Tensor::zeros((2, elements / 2), dtype, &CPU).unwrap());
        fabric.load(PATH, &mut live).unwrap();
        assert_eq!(live.tensor.dtype(), dtype);
        assert_eq!(bits(&live.tensor), bits(&saved.tensor), "{dtype:?}");
        let read = fabric.open(PATH).unwrap().tensor("tensor", &CPU).unwrap();
        assert_eq!((read.dtype(), bits(&read)), (dtype, bits(&saved.tensor)));
    }
}

/// The bytes of a type that candle carries and does not compute with.
fn raw_bytes(tensor: &Tensor) -> Vec<u8> {
    let (guard, _) = tensor.storage_and_layout();
    match &*guard {
        Storage::Cpu(
            CpuStorage::F8E8M0(bytes) | CpuStorage::F6E2M3(bytes) | CpuStorage::F6E3M2(bytes) | CpuStorage::F4(bytes),
        ) => bytes.clone(),
        _ => panic!("{:?}", tensor.dtype()),
    }
}

#[test]
fn element_types_that_candle_only_carries_come_back_too() {
    let fabric = fabric();
    let types = [
        (DType::F8E8M0, 4, 4),
        (DType::F6E2M3, 8, 6),
        (DType::F6E3M2, 16, 12),
        (DType::F4, 8, 4),
    ];
    for (dtype, elements, len) in types {
        let bytes: Vec<u8> = (1..=len).map(|n| n * 0x13).collect();
        let of = |bytes: &[u8]| one(Tensor::from_raw_buffer(bytes, dtype, &[elements], &CPU).unwrap());
        fabric.save(PATH, &of(&bytes)).unwrap();
        let mut live = of(&vec![0; bytes.len()]);
        fabric.load(PATH, &mut live).unwrap();
        assert_eq!(raw_bytes(&live.tensor), bytes, "{dtype:?}");
        assert_eq!(
            raw_bytes(&fabric.open(PATH).unwrap().tensor("tensor", &CPU).unwrap()),
            bytes
        );
    }
    let odd = one(Tensor::from_raw_buffer(&[1, 2], DType::F4, &[3], &CPU).unwrap());
    let error = fabric.save(PATH, &odd).unwrap_err().to_string();
    assert!(
        error.contains("smaller than a byte, which do not fill whole bytes"),
        "{error}"
    );
}

#[test]
fn not_a_numbers_keep_their_bits() {
    let fabric = fabric();
    let odd = [
        f32::from_bits(0x7fc0_dead),
        f32::from_bits(0xff80_0001),
        -0.0,
        f32::INFINITY,
    ];
    fabric.save(PATH, &one(Tensor::new(&odd, &CPU).unwrap())).unwrap();
    let mut live = one(tensor(1, 4));
    fabric.load(PATH, &mut live).unwrap();
    let read = live.tensor.to_vec1::<f32>().unwrap();
    assert_eq!(read.map_bits(), odd.map_bits());
}

trait Bits {
    fn map_bits(&self) -> Vec<u32>;
}

impl Bits for [f32] {
    fn map_bits(&self) -> Vec<u32> {
        self.iter().map(|float| float.to_bits()).collect()
    }
}

#[test]
fn scalars_and_empty_tensors_come_back() {
    let fabric = fabric();
    for shape in [&[][..], &[1], &[0], &[3, 0], &[0, 3, 2], &[1, 1, 1, 1, 2]] {
        let saved = one(tensor(1, shape));
        fabric.save(PATH, &saved).unwrap();
        assert_eq!(fabric.open(PATH).unwrap().info("tensor").unwrap().shape(), shape);
        let mut live = one(tensor(2, shape));
        fabric.load(PATH, &mut live).unwrap();
        assert_eq!(bits(&live.tensor), bits(&saved.tensor), "{shape:?}");
    }
    fabric.save(PATH, &one(tensor(1, &[3, 0][..]))).unwrap();
    refused(
        &fabric,
        &mut one(tensor(1, &[0, 3][..])),
        LoadOptions::new().strict(false),
    );
}

#[test]
fn many_empty_tensors_are_as_many_entries() {
    #[derive(Checkpoint)]
    struct Empty {
        parts: Vec<Tensor>,
    }
    let empty = |seed| Empty {
        parts: (0..5u64).map(|at| tensor(seed + at, (0, 3))).collect(),
    };
    let fabric = fabric();
    assert_eq!(fabric.save(PATH, &empty(1)).unwrap().entries, 5);
    assert_eq!(fabric.load(PATH, &mut empty(9)).unwrap().report.restored.len(), 5);
}

/// Views of one tensor in which elements do not lie in order, or not from the start.
fn views(whole: &Tensor) -> Vec<(&'static str, Tensor)> {
    vec![
        ("rows", whole.narrow(0, 1, 2).unwrap()),
        ("columns", whole.narrow(1, 1, 3).unwrap()),
        ("transposed", whole.t().unwrap()),
        (
            "a transposed box",
            whole.narrow(0, 1, 3).unwrap().narrow(1, 2, 2).unwrap().t().unwrap(),
        ),
        ("a column", whole.narrow(1, 2, 1).unwrap()),
        ("one element", whole.narrow(1, 2, 1).unwrap().narrow(0, 3, 1).unwrap()),
        ("no element", whole.narrow(1, 2, 0).unwrap()),
        (
            "permuted",
            whole.reshape((2, 2, 5)).unwrap().permute((2, 0, 1)).unwrap(),
        ),
    ]
}

#[test]
fn a_view_is_saved_as_what_it_shows_and_loads_into_a_plain_tensor() {
    let fabric = fabric();
    for (what, view) in views(&tensor(1, (4, 5))) {
        fabric.save(PATH, &one(view.clone())).unwrap();
        let mut live = one(tensor(2, view.shape()));
        fabric.load(PATH, &mut live).unwrap();
        assert_eq!(bits(&live.tensor), bits(&view), "{what}");
    }
}

#[test]
fn a_view_is_restored_in_place_and_what_it_does_not_show_is_not_touched() {
    let fabric = fabric();
    for at in 0..views(&tensor(1, (4, 5))).len() {
        let saved = views(&tensor(1, (4, 5))).swap_remove(at).1;
        fabric.save(PATH, &one(saved.force_contiguous().unwrap())).unwrap();
        let whole = tensor(2, (4, 5));
        let (what, view) = views(&whole).swap_remove(at);
        // Which elements of the whole the view shows, by the same view of their numbers.
        let numbers = Tensor::arange(0u32, 20, &CPU).unwrap().reshape((4, 5)).unwrap();
        let shown = views(&numbers)
            .swap_remove(at)
            .1
            .flatten_all()
            .unwrap()
            .to_vec1::<u32>()
            .unwrap();
        let before = whole.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        fabric.load(PATH, &mut one(view.clone())).unwrap();
        assert_eq!(bits(&view), bits(&saved), "{what}");
        let after = whole.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        for (at, (before, after)) in before.iter().zip(&after).enumerate() {
            let shown = shown.contains(&u32::try_from(at).unwrap());
            assert!(
                shown || before.to_bits() == after.to_bits(),
                "{what}: element {at} was overwritten"
            );
        }
    }
}

#[test]
fn a_view_is_cast_in_place_too() {
    let fabric = fabric();
    let saved = tensor(1, (5, 4)).to_dtype(DType::F16).unwrap();
    fabric.save(PATH, &one(saved.clone())).unwrap();
    let whole = tensor(2, (4, 5));
    fabric
        .load_with(PATH, &mut one(whole.t().unwrap()), LoadOptions::new().cast(true))
        .unwrap();
    assert_eq!(bits(&whole.t().unwrap()), bits(&saved.to_dtype(DType::F32).unwrap()));
}

#[test]
fn a_cast_narrows_as_candle_does() {
    let fabric = fabric();
    let exact = tensor(1, (5, 7));
    fabric.save(PATH, &one(exact.clone())).unwrap();
    for dtype in [DType::F16, DType::BF16, DType::F64, DType::I64, DType::U8] {
        let mut live = one(Tensor::ones((5, 7), dtype, &CPU).unwrap());
        fabric
            .load_with(PATH, &mut live, LoadOptions::new().cast(true))
            .unwrap();
        assert_eq!(bits(&live.tensor), bits(&exact.to_dtype(dtype).unwrap()), "{dtype:?}");
    }
}

#[test]
fn a_slice_of_a_large_tensor_costs_the_bytes_of_the_slice() {
    let fabric = fabric();
    let large = Tensor::zeros((1 << 20, 4), DType::F32, &CPU).unwrap();
    let report = fabric.save(PATH, &one(large.narrow(0, 100, 2).unwrap())).unwrap();
    assert!(report.bytes < 8192, "{} bytes for 32", report.bytes);
}

#[test]
fn a_load_keeps_the_memory_of_every_tensor_and_what_shares_it() {
    let fabric = fabric();
    fabric.save(PATH, &one(tensor(1, (4, 5)))).unwrap();
    let variable = var(2, (4, 5));
    let (before, row) = (address(&variable), variable.get(3).unwrap());
    let mut live = one(variable.as_tensor().clone());
    fabric.load(PATH, &mut live).unwrap();
    assert_eq!(address(&live.tensor), before);
    assert_eq!(live.tensor.id(), variable.id());
    assert!(live.tensor.is_variable());
    assert_eq!(
        bits(&row),
        bits(&tensor(1, (4, 5)).get(3).unwrap()),
        "a view of it shows the new contents"
    );
    let gradients = live.tensor.sqr().unwrap().sum_all().unwrap().backward().unwrap();
    assert!(gradients.get(&variable).is_some(), "gradients still reach the variable");
}

#[test]
fn an_expanded_tensor_is_refused_by_the_save_as_by_the_load() {
    #[derive(Checkpoint)]
    struct Masked {
        weight: Tensor,
        mask: Tensor,
    }
    let fabric = fabric();
    let row = tensor(1, (1, 3));
    let masked = |mask: Tensor| Masked {
        weight: tensor(2, (4, 3)),
        mask,
    };
    fabric.save(PATH, &masked(tensor(3, (4, 3)))).unwrap();
    let rows = row.flatten_all().unwrap();
    for expanded in [
        row.expand((4, 3)).unwrap(),
        row.broadcast_as((2, 4, 3)).unwrap(),
        rows.broadcast_left(4).unwrap().t().unwrap(),
    ] {
        let mut live = masked(expanded);
        let error = fabric.save(PATH, &live).unwrap_err().to_string();
        for part in ["tensor `mask` is expanded", "force_contiguous", "checkpoint(skip)"] {
            assert!(error.contains(part), "{error}");
        }
        let left_out = SaveOptions::new().exclude(Masked::FIELDS.mask);
        fabric.save_with("other", &live, left_out).unwrap();
        if live.mask.dims() == [4, 3] {
            let error = fabric.load(PATH, &mut live).unwrap_err().to_string();
            assert!(error.contains("tensor `mask` is expanded"), "{error}");
        }
    }
    fabric
        .save(PATH, &masked(row.expand((4, 3)).unwrap().force_contiguous().unwrap()))
        .unwrap();
    assert_eq!(bits(&row), bits(&tensor(1, (1, 3))));
}

#[test]
fn an_expanded_tensor_that_the_load_leaves_alone_is_in_nobodys_way() {
    #[derive(Checkpoint)]
    struct Masked {
        weight: Var,
        #[checkpoint(filter = "none of it", optional)]
        mask: Tensor,
    }
    #[derive(Checkpoint)]
    struct Plain {
        weight: Var,
    }
    let fabric = fabric();
    fabric.save(PATH, &Plain { weight: var(1, 3) }).unwrap();
    let mut live = Masked {
        weight: var(2, 3),
        mask: tensor(3, (1, 3)).expand((4, 3)).unwrap(),
    };
    fabric.load(PATH, &mut live).unwrap();
    fabric
        .load_with(PATH, &mut live, LoadOptions::new().only(Masked::FIELDS.weight))
        .unwrap();
    assert_eq!(bits(&live.weight), bits(&var(1, 3)));
}

#[test]
fn large_tensors_cross_every_block_boundary() {
    let fabric = fabric();
    // Several blocks of a few MiB, and a rest that is no whole number of anything.
    let elements = 5 * (1 << 20) + 12_345;
    let saved = one(Tensor::arange(0u32, elements, &CPU).unwrap());
    fabric.save(PATH, &saved).unwrap();
    let mut live = one(Tensor::zeros(elements as usize, DType::U32, &CPU).unwrap());
    fabric.load(PATH, &mut live).unwrap();
    assert!(bits(&live.tensor) == bits(&saved.tensor));
    let spread = Tensor::zeros((elements as usize, 2), DType::U32, &CPU).unwrap();
    let mut column = one(spread.narrow(1, 1, 1).unwrap().squeeze(1).unwrap());
    fabric.load(PATH, &mut column).unwrap();
    assert!(bits(&column.tensor) == bits(&saved.tensor));
    let mut wide = one(Tensor::zeros(elements as usize, DType::I64, &CPU).unwrap());
    fabric
        .load_with(PATH, &mut wide, LoadOptions::new().cast(true))
        .unwrap();
    assert!(bits(&wide.tensor) == bits(&saved.tensor.to_dtype(DType::I64).unwrap()));
    let mut shorter = one(Tensor::zeros(elements as usize - 1, DType::U32, &CPU).unwrap());
    assert_eq!(mismatched(&refused(&fabric, &mut shorter, LoadOptions::new())).len(), 1);
}
