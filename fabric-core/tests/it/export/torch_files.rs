//! What `torch.load` will find.

use std::collections::BTreeMap;
use std::path::Path;

use candle_core::{DType, Device, Tensor, Var};
use candle_nn::{Linear, ParamsAdamW};
use fabric_core::optim::AdamW;
use fabric_core::storage::Storage;
use fabric_core::testing::Memory;
use fabric_core::{Checkpoint, Error, ExportFormat, ExportOptions, ExportReport, Fabric};

use super::python::{File, Py};
use super::states::{every_dtype, var, with_adamw, with_sgd};

const FROM: &str = "run/last.ckpt";

/// A fabric in memory with this state saved.
pub(crate) fn saved<S: Checkpoint>(state: &S) -> (Fabric, Memory) {
    let memory = Memory::new();
    let fabric = Fabric::builder().storage(memory.clone()).build().unwrap();
    fabric.save(FROM, state).unwrap();
    (fabric, memory)
}

pub(crate) fn bytes(memory: &Memory, path: &str) -> Vec<u8> {
    let file = memory.open(Path::new(path)).unwrap();
    let mut bytes = vec![0; usize::try_from(file.len().unwrap()).unwrap()];
    file.read_exact_at(&mut bytes, 0).unwrap();
    bytes
}

fn exported_with<S: Checkpoint>(state: &S, options: ExportOptions) -> (File, ExportReport) {
    let (fabric, memory) = saved(state);
    let report = fabric.export(FROM, "run/out.pt", options).unwrap();
    let bytes = bytes(&memory, "run/out.pt");
    assert_eq!(report.bytes, bytes.len() as u64);
    (File::parse(&bytes), report)
}

fn exported<S: Checkpoint>(state: &S) -> File {
    exported_with(state, ExportOptions::new()).0
}

fn elements(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

#[test]
fn components_are_keys_and_a_modules_names_stay_whole() {
    let state = with_adamw();
    let file = exported(&state);
    let root = &file.object;
    assert_eq!(
        root.names(),
        ["best", "hparams", "iteration", "model", "model.scale", "optimizer"]
    );
    assert_eq!(*root.at("iteration"), Py::Int(3_000_000_000));
    assert_eq!(*root.at("best"), Py::Float(0.25));
    let hparams = root.at("hparams");
    assert_eq!(*hparams.at("name"), Py::str("größe"));
    assert_eq!(*hparams.at("layers"), Py::List(vec![4.into(), 6.into(), 5.into()]));
    assert_eq!(*hparams.at("dropout"), Py::None);
    let model = root.at("model");
    assert!(matches!(model, Py::OrderedDict(_)));
    assert_eq!(
        model.names(),
        [
            "bn.bias",
            "bn.num_batches_tracked",
            "bn.running_mean",
            "bn.running_var",
            "bn.weight",
            "embed",
            "fc1.bias",
            "fc1.weight",
            "fc2.bias",
            "fc2.weight",
            "head"
        ]
    );
    let weight = model.at("fc1.weight").tensor();
    assert_eq!((&weight.shape[..], &weight.strides[..]), (&[6, 4][..], &[4, 1][..]));
    assert_eq!(file.f32s(weight), elements(state.model.fc1.weight()));
}

#[test]
fn values_inside_a_module_stand_beside_it() {
    // `load_state_dict` would refuse the key in the module's own dict.
    let file = exported(&with_adamw());
    assert_eq!(*file.object.at("model.scale"), Py::Float(0.5));
    let (file, report) = exported_with(&with_adamw(), ExportOptions::new().subtree("model"));
    assert!(file.object.names().contains(&"fc1.weight"));
    assert_eq!(report.left_out, ["scale"]);
    assert_eq!((report.tensors, report.values), (10, 0));
}

#[test]
fn tied_tensors_share_a_storage_and_equal_ones_do_not() {
    let file = exported(&with_adamw());
    let model = file.object.at("model");
    assert_eq!(model.at("embed").tensor().key, model.at("head").tensor().key);
    let twins = BTreeMap::from([("a".to_owned(), var(1, 3)), ("b".to_owned(), var(1, 3))]);
    let file = exported(&twins);
    assert_eq!(file.storages(), 2);
    assert_ne!(file.object.at("a").tensor().key, file.object.at("b").tensor().key);
}

#[test]
fn a_batch_norm_gets_the_counter_that_pytorch_expects() {
    let (file, report) = exported_with(&with_adamw(), ExportOptions::new());
    let counter = file.object.at("model").at("bn.num_batches_tracked").tensor();
    assert_eq!((counter.kind.as_str(), counter.count), ("torch LongStorage", 1));
    assert!(counter.shape.is_empty());
    assert_eq!(file.bytes(counter), [0; 8]);
    assert_eq!(report.added, ["model.bn.num_batches_tracked"]);
}

#[test]
fn adamw_becomes_what_pytorch_calls_its_state_dict() {
    let state = with_adamw();
    let (file, report) = exported_with(&state, ExportOptions::new());
    assert_eq!(report.left_out, ["optimizer.kind"]);
    let optimizer = file.object.at("optimizer");
    assert_eq!(optimizer.names(), ["param_groups", "state"]);
    let numbers: Vec<Py> = (0..7).map(Py::Int).collect();
    assert_eq!(optimizer.at("state").keys(), numbers.iter().collect::<Vec<_>>());
    let first = optimizer.at("state").at(0);
    assert_eq!(first.names(), ["exp_avg", "exp_avg_sq", "step"]);
    assert_eq!(file.f32s(first.at("step").tensor()), [3.]);
    assert!(first.at("step").tensor().shape.is_empty());
    let Py::List(groups) = optimizer.at("param_groups") else {
        panic!("no list")
    };
    assert_eq!(groups.len(), 2);
    assert_eq!(
        groups[0].names(),
        [
            "amsgrad",
            "betas",
            "capturable",
            "decoupled_weight_decay",
            "differentiable",
            "eps",
            "foreach",
            "fused",
            "lr",
            "maximize",
            "param_names",
            "params",
            "weight_decay"
        ]
    );
    assert_eq!(
        *groups[0].at("betas"),
        Py::Tuple(vec![Py::Float(0.9), Py::Float(0.999)])
    );
    assert_eq!(*groups[0].at("lr"), Py::Float(0.01));
    assert_eq!(*groups[1].at("lr"), Py::Float(0.001));
    assert_eq!(*groups[1].at("params"), Py::List(numbers[3..].to_vec()));
    assert_eq!(
        *groups[0].at("param_names"),
        Py::List(vec![
            "model.embed".into(),
            "model.fc1.weight".into(),
            "model.fc1.bias".into()
        ])
    );
    // The second parameter is fc1.weight: its state has its shape.
    let second = optimizer.at("state").at(1).at("exp_avg").tensor();
    assert_eq!(second.shape, [6, 4]);
}

#[test]
fn optimizer_state_can_keep_its_names() {
    let (file, _) = exported_with(&with_adamw(), ExportOptions::new().parameter_names(true));
    let optimizer = file.object.at("optimizer");
    assert!(optimizer.at("state").names().contains(&"model.fc1.weight"));
    let Py::List(groups) = optimizer.at("param_groups") else {
        panic!("no list")
    };
    assert_eq!(
        *groups[0].at("params"),
        Py::List(vec![
            "model.embed".into(),
            "model.fc1.weight".into(),
            "model.fc1.bias".into()
        ])
    );
}

#[test]
fn sgd_has_its_buffers_and_plain_sgd_has_no_state() {
    let file = exported(&with_sgd(0.9));
    let optimizer = file.object.at("optimizer");
    assert_eq!(optimizer.at("state").at(0).names(), ["momentum_buffer"]);
    let Py::List(groups) = optimizer.at("param_groups") else {
        panic!("no list")
    };
    for key in [
        "lr",
        "momentum",
        "dampening",
        "weight_decay",
        "nesterov",
        "foreach",
        "fused",
    ] {
        groups[0].at(key);
    }
    let file = exported(&with_sgd(0.));
    assert_eq!(*file.object.at("optimizer").at("state"), Py::Dict(vec![]));
}

#[test]
fn an_optimizer_alone_is_its_state_dict() {
    let (file, _) = exported_with(&with_adamw(), ExportOptions::new().subtree("optimizer"));
    assert_eq!(file.object.names(), ["param_groups", "state"]);
}

#[test]
fn every_element_type_that_both_have_comes_across() {
    let tensors = every_dtype();
    let file = exported(&tensors);
    let kind = |name: &str| file.object.at(name).tensor().kind.as_str();
    for (name, expected) in [
        ("t_u8", "torch ByteStorage"),
        ("t_u32", "torch uint32"),
        ("t_i16", "torch ShortStorage"),
        ("t_i32", "torch IntStorage"),
        ("t_i64", "torch LongStorage"),
        ("t_bf16", "torch BFloat16Storage"),
        ("t_f16", "torch HalfStorage"),
        ("t_f32", "torch FloatStorage"),
        ("t_f64", "torch DoubleStorage"),
        ("t_f8e4m3", "torch float8_e4m3fn"),
    ] {
        assert_eq!(kind(name), expected);
        let tensor = file.object.at(name).tensor();
        let size = tensors[name].dtype().size_in_bytes();
        assert_eq!(file.bytes(tensor).len(), 12 * size);
        // An untyped storage counts bytes.
        let count = if name == "t_u32" { 48 } else { 12 };
        assert_eq!(tensor.count, count, "{name}");
    }
    let empty = file.object.at("empty").tensor();
    assert_eq!((&empty.shape[..], file.bytes(empty).len()), (&[0, 4][..], 0));
    let transposed = file.object.at("transposed").tensor();
    assert_eq!(
        (&transposed.shape[..], &transposed.strides[..]),
        (&[3, 2][..], &[2, 1][..])
    );
    assert_eq!(
        file.f32s(transposed),
        elements(&tensors["transposed"].contiguous().unwrap())
    );
}

#[test]
fn an_element_type_that_pytorch_lacks_is_refused_by_name_and_nothing_is_written() {
    let six_bits = Tensor::from_raw_buffer(&[0; 6], DType::F6E2M3, &[8], &Device::Cpu).unwrap();
    let (fabric, memory) = saved(&BTreeMap::from([("w".to_owned(), six_bits)]));
    let error = fabric.export(FROM, "run/out.pt", ExportOptions::new()).unwrap_err();
    assert!(matches!(error, Error::WrongType { .. }), "{error}");
    assert!(
        error.to_string().contains("`w`") && error.to_string().contains("F6_E2M3"),
        "{error}"
    );
    assert_eq!(memory.list(Path::new("run")).unwrap(), ["last.ckpt"]);
}

#[derive(Checkpoint)]
struct Schedule {
    warmup: u64,
    decay: f64,
}

#[derive(Checkpoint)]
struct Adversarial {
    generator: Linear,
    critic: Linear,
}

#[derive(Checkpoint)]
struct Nested {
    inner: Adversarial,
    schedule: Schedule,
    epoch: u64,
}

fn adversarial() -> Adversarial {
    Adversarial {
        generator: Linear::new(var(1, (2, 2)), None),
        critic: Linear::new(var(2, (2, 2)), None),
    }
}

#[test]
fn an_exported_file_has_the_same_entries_when_it_is_read_and_exported_again() {
    for state in [&with_sgd(0.9), &with_sgd(0.)] {
        let (fabric, memory) = saved(state);
        for (from, to) in [(FROM, "a.pt"), ("a.pt", "b.pt"), ("b.pt", "c.pt")] {
            fabric.export(from, to, ExportOptions::new()).unwrap();
        }
        assert_eq!(bytes(&memory, "b.pt"), bytes(&memory, "c.pt"));
        let (a, b) = (fabric.open("a.pt").unwrap(), fabric.open("b.pt").unwrap());
        assert_eq!(a.names(), b.names());
        for name in a.names() {
            match (a.stored_value(name), b.stored_value(name)) {
                (Ok(a), Ok(b)) => assert_eq!(a, b, "{name}"),
                _ => assert_eq!(a.info(name), b.info(name)),
            }
        }
        let [a, b] = ["a.pt", "b.pt"].map(|path| File::parse(&bytes(&memory, path)));
        assert_eq!(a.storages(), b.storages());
        let weight = |file: &File| file.f32s(file.object.at("model").at("fc1.weight").tensor());
        assert_eq!(weight(&a), weight(&b));
    }
}

#[test]
fn what_is_no_module_is_split_at_every_dot() {
    let nested = Nested {
        inner: adversarial(),
        schedule: Schedule { warmup: 10, decay: 0.5 },
        epoch: 2,
    };
    let file = exported(&nested);
    assert_eq!(file.object.names(), ["epoch", "inner", "schedule"]);
    assert_eq!(*file.object.at("schedule").at("warmup"), Py::Int(10));
    assert_eq!(file.object.at("inner").names(), ["critic.weight", "generator.weight"]);
}

#[test]
fn modules_only_are_one_module_unless_said_otherwise() {
    let file = exported(&adversarial());
    assert_eq!(file.object.names(), ["critic.weight", "generator.weight"]);
    let (file, _) = exported_with(&adversarial(), ExportOptions::new().bare(false));
    assert_eq!(file.object.names(), ["critic", "generator"]);
    assert_eq!(file.object.at("critic").names(), ["weight"]);
    let (file, report) = exported_with(&with_sgd(0.), ExportOptions::new().subtree("model").bare(true));
    assert!(file.object.names().contains(&"fc2.bias"));
    assert_eq!(report.left_out, ["scale"]);
}

#[test]
fn numbered_components_are_a_list() {
    #[derive(Checkpoint)]
    struct Several {
        optimizers: Vec<AdamW>,
        epoch: u64,
    }
    let of = |seed| {
        let variable = Var::from_tensor(&var(seed, seed)).unwrap();
        AdamW::from_named([(format!("p{seed}"), variable)], ParamsAdamW::default()).unwrap()
    };
    let file = exported(&Several {
        optimizers: (1..=12).map(of).collect(),
        epoch: 1,
    });
    let Py::List(optimizers) = file.object.at("optimizers") else {
        panic!("no list")
    };
    assert_eq!(optimizers.len(), 12);
    let shape = |at: usize| &optimizers[at].at("state").at(0).at("exp_avg").tensor().shape;
    assert_eq!((shape(1), shape(10)), (&vec![2], &vec![11]));
}

#[test]
fn a_name_that_is_also_the_beginning_of_another_is_a_key_once() {
    let mut map = BTreeMap::from([("a".to_owned(), var(1, 2)), ("a.b".to_owned(), var(2, 2))]);
    let (file, _) = exported_with(&map, ExportOptions::new().bare(false));
    assert_eq!(file.object.names(), ["a", "a.b"]);
    let deep = vec!["x"; 1500].join(".");
    map.insert(deep, var(3, 2));
    let (file, _) = exported_with(&map, ExportOptions::new().bare(false));
    assert_eq!(file.object.names(), ["a", "a.b", "x"]);
}

#[test]
fn the_format_follows_the_name_or_the_options() {
    let (fabric, memory) = saved(&adversarial());
    for name in ["a.pt", "a.pth", "a.bin", "a.CKPT"] {
        fabric.export(FROM, name, ExportOptions::new()).unwrap();
        assert!(bytes(&memory, name).starts_with(b"PK\x03\x04"), "{name}");
    }
    fabric
        .export(FROM, "weights", ExportOptions::new().format(ExportFormat::Torch))
        .unwrap();
    for name in ["weights.onnx", "weights"] {
        let error = fabric.export(FROM, name, ExportOptions::new()).unwrap_err();
        assert!(
            matches!(&error, Error::Destination { path, .. } if path.ends_with(name)),
            "{error}"
        );
    }
}

#[test]
fn nothing_to_export_is_an_error_that_names_what_there_is() {
    let (fabric, _) = saved(&adversarial());
    let error = fabric
        .export(FROM, "a.pt", ExportOptions::new().subtree("generatr.weight"))
        .unwrap_err();
    assert!(error.to_string().contains("generator.weight"), "{error}");
}

#[test]
fn equal_states_are_equal_files() {
    let file = || {
        let (fabric, memory) = saved(&with_adamw());
        fabric.export(FROM, "out.pt", ExportOptions::new()).unwrap();
        bytes(&memory, "out.pt")
    };
    assert_eq!(file(), file());
}

#[test]
fn a_damaged_source_leaves_what_was_there() {
    let (fabric, memory) = saved(&adversarial());
    fabric.export(FROM, "out.pt", ExportOptions::new()).unwrap();
    let before = bytes(&memory, "out.pt");
    let mut damaged = bytes(&memory, FROM);
    damaged[2048] ^= 1;
    memory
        .create(Path::new("damaged.ckpt"))
        .unwrap()
        .write_all(&damaged)
        .unwrap();
    let error = fabric
        .export("damaged.ckpt", "out.pt", ExportOptions::new())
        .unwrap_err();
    assert!(matches!(error, Error::Checksum { .. }), "{error}");
    assert_eq!(bytes(&memory, "out.pt"), before);
    assert_eq!(memory.list(Path::new("")).unwrap(), ["damaged.ckpt", "out.pt", "run"]);
}
