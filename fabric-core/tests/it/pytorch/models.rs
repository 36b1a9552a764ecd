//! Weights by themselves.

use candle_core::{DType, Device, Tensor};
use candle_nn::{BatchNorm, VarBuilder, VarMap, batch_norm};
use fabric_core::{Checkpoint, Error, Fabric, LoadOptions, MismatchKind};

use super::{Mlp, assert_weights, fixture};

#[test]
fn a_state_dict_loads_from_every_container() {
    for file in ["mlp.pt", "mlp_legacy.pt", "mlp_plain_dict.pt"] {
        let (mut mlp, _) = Mlp::new();
        let loaded = Fabric::new().load_raw(fixture(file), &mut mlp).unwrap();
        assert!(
            loaded.report.is_complete() && loaded.remainder.is_empty(),
            "{}",
            loaded.report
        );
        assert_weights(&mlp, file, "");
    }
}

#[test]
fn a_name_without_a_telling_end_does_not_matter() {
    let directory = tempfile::tempdir().unwrap();
    for (file, name) in [("mlp.pt", "weights.bin"), ("mlp_legacy.pt", "weights.safetensors")] {
        let path = directory.path().join(name);
        std::fs::copy(fixture(file), &path).unwrap();
        let (mut mlp, _) = Mlp::new();
        Fabric::new().load_raw(path, &mut mlp).unwrap();
        assert_weights(&mlp, file, "");
    }
}

#[derive(Checkpoint)]
struct Layouts {
    transposed: Tensor,
    slice: Tensor,
    strided: Tensor,
    tied_a: Tensor,
    tied_b: Tensor,
    scalar: Tensor,
    empty: Tensor,
    expanded: Tensor,
}

#[test]
fn views_land_in_tensors_of_their_own() {
    let zeros = |shape: &[usize]| Tensor::zeros(shape, DType::F32, &Device::Cpu).unwrap();
    let mut layouts = Layouts {
        transposed: zeros(&[8, 6]),
        slice: zeros(&[3, 5]),
        strided: zeros(&[3, 3]),
        tied_a: zeros(&[5, 7]),
        tied_b: zeros(&[5, 7]),
        scalar: zeros(&[]),
        empty: zeros(&[0, 4]),
        expanded: zeros(&[4, 3]),
    };
    let fabric = Fabric::new();
    fabric
        .load_raw_with(
            fixture("layouts.pt"),
            &mut layouts,
            LoadOptions::new().verify_first(true),
        )
        .unwrap();
    let mut again = Layouts {
        transposed: zeros(&[8, 6]),
        ..layouts
    };
    fabric
        .load_raw(fixture("layouts.pt.expected.safetensors"), &mut again)
        .unwrap();
    assert_eq!(
        again.transposed.to_vec2::<f32>().unwrap()[1],
        [1., 9., 17., 25., 33., 41.]
    );
    let raw = fabric.open(fixture("layouts.pt")).unwrap();
    let (file, expected) = (fixture("layouts.pt"), super::expected("layouts.pt"));
    for name in raw.names() {
        let tensor = raw.tensor(name, &Device::Cpu).unwrap();
        assert_eq!(
            super::bits(&tensor),
            super::bits(&expected[name]),
            "{}: {name}",
            file.display()
        );
    }
}

#[test]
fn candles_batch_norm_needs_no_count_of_batches() {
    let builder = VarBuilder::from_varmap(&VarMap::new(), DType::F32, &Device::Cpu);
    let mut norm: BatchNorm = batch_norm(4, 1e-5, builder).unwrap();
    let raw = Fabric::new().open(fixture("bag.pt")).unwrap().subtree("bn");
    let loaded = raw.load_raw(&mut norm).unwrap();
    assert_eq!(loaded.report.ignored, ["num_batches_tracked"]);
    assert!(loaded.report.is_complete());
    assert!(
        loaded.report.to_string().contains("ignored: 1 entry"),
        "{}",
        loaded.report
    );
    assert_eq!(loaded.remainder.names(), ["num_batches_tracked"]);
}

#[derive(Checkpoint)]
struct Odd {
    bool: Tensor,
    i8: Tensor,
    u16: Tensor,
    f8_e4m3: Tensor,
    f8_e5m2: Tensor,
    c64: Tensor,
}

fn odd(dtype: DType) -> Odd {
    let zeros = |shape: &[usize]| Tensor::zeros(shape, dtype, &Device::Cpu).unwrap();
    Odd {
        bool: zeros(&[1, 3]),
        i8: zeros(&[2]),
        u16: zeros(&[2]),
        f8_e4m3: zeros(&[3]),
        f8_e5m2: zeros(&[2]),
        c64: zeros(&[1]),
    }
}

#[test]
fn element_types_that_candle_lacks_are_errors_that_name_entry_and_type() {
    let error = Fabric::new()
        .load_raw(fixture("more_dtypes.pt"), &mut odd(DType::F32))
        .unwrap_err();
    let report = error.report().unwrap();
    let found: Vec<_> = report
        .mismatched
        .iter()
        .map(|m| (m.name.as_str(), m.kind, m.found.as_str()))
        .collect();
    let dtype = MismatchKind::DType;
    assert_eq!(
        found,
        [
            ("bool", dtype, "BOOL"),
            ("c64", dtype, "C64"),
            ("f8_e4m3", dtype, "F8_E4M3"),
            ("f8_e5m2", dtype, "F8_E5M2"),
            ("i8", dtype, "I8"),
            ("u16", dtype, "U16"),
        ]
    );
    let raw = Fabric::new().open(fixture("more_dtypes.pt")).unwrap();
    let error = raw.tensor("c64", &Device::Cpu).unwrap_err().to_string();
    assert!(error.contains("`c64`") && error.contains("C64"), "{error}");
}

#[test]
fn they_are_widened_without_loss_where_that_is_asked_for() {
    let mut odd = odd(DType::F32);
    let cast = LoadOptions::new().cast(true);
    let error = Fabric::new()
        .load_raw_with(fixture("more_dtypes.pt"), &mut odd, cast.clone())
        .unwrap_err();
    let refused: Vec<_> = error
        .report()
        .unwrap()
        .mismatched
        .iter()
        .map(|m| m.name.as_str())
        .collect();
    assert_eq!(refused, ["c64"], "a complex number is no real one: {error}");

    let raw = Fabric::new().open(fixture("more_dtypes.pt")).unwrap();
    let options = cast.rename("c64", "elsewhere").strict(false);
    raw.load_raw_with(&mut odd, options).unwrap();
    let numbers = |tensor: &Tensor| tensor.flatten_all().unwrap().to_vec1::<f32>().unwrap();
    assert_eq!(numbers(&odd.bool), [1., 0., 1.]);
    assert_eq!(numbers(&odd.i8), [-3., 4.]);
    assert_eq!(numbers(&odd.u16), [1., 65535.]);
    assert_eq!(numbers(&odd.f8_e4m3), [0.5, -1.75, 448.]);
    assert_eq!(numbers(&odd.f8_e5m2), [0.5, -1.75]);
}

#[test]
fn a_flipped_bit_is_found_before_the_first_write_if_asked() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("mlp.pt");
    let mut bytes = std::fs::read(fixture("mlp.pt")).unwrap();
    // In the last storage: earlier tensors are written before it is read.
    let member = bytes.windows(10).rposition(|window| window == b"mlp/data/5").unwrap();
    let local = bytes.windows(10).position(|window| window == b"mlp/data/5").unwrap();
    assert!(local < member);
    let descriptor = local
        + bytes[local..]
            .windows(4)
            .position(|window| window == b"PK\x07\x08")
            .unwrap();
    bytes[descriptor - 1] ^= 1;
    std::fs::write(&path, bytes).unwrap();

    let (mut mlp, _) = Mlp::new();
    let before = super::bits(mlp.fc1.weight());
    let verify = LoadOptions::new().verify_first(true);
    let error = Fabric::new().load_raw_with(&path, &mut mlp, verify).unwrap_err();
    assert!(
        matches!(&error, Error::Checksum { entry, .. } if entry == "fc2.bias"),
        "{error}"
    );
    assert_eq!(super::bits(mlp.fc1.weight()), before);
    let error = Fabric::new().load_raw(&path, &mut mlp).unwrap_err();
    assert!(error.to_string().contains("fc2.bias"), "{error}");
}

#[test]
fn what_is_no_plain_tensor_is_a_leaf_that_says_what_it_is() {
    for (file, reason) in [
        ("leaf_negated.pt", "resolve_neg()"),
        ("leaf_conjugated.pt", "resolve_conj()"),
        ("leaf_complex32.pt", "complex32"),
        ("leaf_sparse.pt", "_rebuild_sparse_tensor"),
        ("leaf_csr.pt", "_rebuild_sparse_tensor"),
        ("leaf_quantized.pt", "_rebuild_qtensor"),
        ("leaf_meta.pt", "_rebuild_meta_tensor_no_storage"),
        ("leaf_nested_tensor.pt", "_rebuild_nested_tensor"),
        ("leaf_numpy.pt", "numpy"),
        ("leaf_module.pt", "torch.nn.modules.linear.Linear"),
    ] {
        let raw = Fabric::new().open(fixture(file)).unwrap();
        assert!(raw.contains("x") && raw.info("x").is_none(), "{file}");
        let error = raw.value::<f32>("x").unwrap_err().to_string();
        assert!(error.contains("`x`") && error.contains(reason), "{file}: {error}");
        let zeros = Tensor::zeros(2, DType::F32, &Device::Cpu).unwrap();
        let mut weights = std::collections::BTreeMap::from([("x".to_owned(), zeros)]);
        let error = Fabric::new().load(fixture(file), &mut weights).unwrap_err().to_string();
        assert!(error.contains("x: ") && error.contains(reason), "{file}: {error}");
        assert_eq!(raw.tensor("w", &Device::Cpu).unwrap().dims(), [2], "{file}");
    }
}
