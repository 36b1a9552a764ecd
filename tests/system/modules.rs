//! Every module of `candle_nn` that shows its tensors, under PyTorch's names.

use candle_core::{Module, ModuleT, Tensor};
use candle_nn::{
    BatchNorm, Conv1d, Conv1dConfig, Conv2d, Conv2dConfig, ConvTranspose1d, ConvTranspose1dConfig, ConvTranspose2d,
    ConvTranspose2dConfig, Embedding, LayerNorm, Linear, PReLU, RmsNorm,
};
use fabric_core::{Checkpoint, LoadOptions};

use crate::states::{CPU, PATH, bits, fabric, image, refused, tensor};

/// Saves one module, loads it into another, and sees that both then compute the same; gives the names of the entries.
fn round_trip<M: Checkpoint>(module: impl Fn(u64) -> M, compute: impl Fn(&M) -> Tensor) -> Vec<String> {
    #[derive(Checkpoint)]
    struct State<M> {
        m: M,
    }
    let fabric = fabric();
    let saved = State { m: module(1) };
    fabric.save(PATH, &saved).unwrap();
    let mut live = State { m: module(50) };
    assert_ne!(bits(&compute(&live.m)), bits(&compute(&saved.m)));
    let loaded = fabric.load(PATH, &mut live).unwrap();
    assert!(loaded.report.is_complete() && loaded.remainder.is_empty());
    assert_eq!(bits(&compute(&live.m)), bits(&compute(&saved.m)));
    assert!(image(&live) == image(&saved));
    let raw = fabric.open(PATH).unwrap().subtree("m");
    raw.names().into_iter().map(str::to_owned).collect()
}

fn input(shape: &[usize]) -> Tensor {
    tensor(99, shape)
}

#[test]
fn linear_layers_with_and_without_a_bias() {
    let with = |seed| Linear::new(tensor(seed, (3, 2)), Some(tensor(seed + 1, 3)));
    assert_eq!(
        round_trip(with, |m| m.forward(&input(&[4, 2])).unwrap()),
        ["bias", "weight"]
    );
    let without = |seed| Linear::new(tensor(seed, (3, 2)), None);
    assert_eq!(round_trip(without, |m| m.forward(&input(&[4, 2])).unwrap()), ["weight"]);
}

#[test]
fn a_bias_on_one_side_only_is_missing_or_unexpected() {
    let fabric = fabric();
    let with = || Linear::new(tensor(1, (3, 2)), Some(tensor(2, 3)));
    let without = || Linear::new(tensor(3, (3, 2)), None);
    fabric.save(PATH, &with()).unwrap();
    let report = fabric.load_with(PATH, &mut without(), LoadOptions::new()).unwrap();
    // A module saved by itself: its entries are components, and one more component remains.
    assert_eq!(report.remainder.names(), ["bias"]);
    fabric.save(PATH, &without()).unwrap();
    assert_eq!(refused(&fabric, &mut with(), LoadOptions::new()).missing, ["bias"]);
}

#[test]
fn convolutions() {
    let names = round_trip(
        |seed| {
            Conv1d::new(
                tensor(seed, (4, 2, 3)),
                Some(tensor(seed + 1, 4)),
                Conv1dConfig::default(),
            )
        },
        |m| m.forward(&input(&[1, 2, 8])).unwrap(),
    );
    assert_eq!(names, ["bias", "weight"]);
    let names = round_trip(
        |seed| Conv2d::new(tensor(seed, (4, 2, 3, 3)), None, Conv2dConfig::default()),
        |m| m.forward(&input(&[1, 2, 5, 5])).unwrap(),
    );
    assert_eq!(names, ["weight"]);
}

#[test]
fn transposed_convolutions() {
    let names = round_trip(
        |seed| {
            ConvTranspose1d::new(
                tensor(seed, (2, 4, 3)),
                Some(tensor(seed + 1, 4)),
                ConvTranspose1dConfig::default(),
            )
        },
        |m| m.forward(&input(&[1, 2, 8])).unwrap(),
    );
    assert_eq!(names, ["bias", "weight"]);
    let names = round_trip(
        |seed| {
            ConvTranspose2d::new(
                tensor(seed, (2, 4, 3, 3)),
                Some(tensor(seed + 1, 4)),
                ConvTranspose2dConfig::default(),
            )
        },
        |m| m.forward(&input(&[1, 2, 5, 5])).unwrap(),
    );
    assert_eq!(names, ["bias", "weight"]);
}

#[test]
fn an_embedding_is_called_weight() {
    let ids = Tensor::new(&[0u32, 2, 1], &CPU).unwrap();
    let names = round_trip(
        |seed| Embedding::new(tensor(seed, (3, 4)), 4),
        |m| m.forward(&ids).unwrap(),
    );
    assert_eq!(names, ["weight"]);
}

#[test]
fn normalisations() {
    let x = input(&[2, 4]);
    let with = |seed| LayerNorm::new(tensor(seed, 4), tensor(seed + 1, 4), 1e-5);
    assert_eq!(round_trip(with, |m| m.forward(&x).unwrap()), ["bias", "weight"]);
    let without = |seed| LayerNorm::new_no_bias(tensor(seed, 4), 1e-5);
    assert_eq!(round_trip(without, |m| m.forward(&x).unwrap()), ["weight"]);
    assert_eq!(
        round_trip(|seed| RmsNorm::new(tensor(seed, 4), 1e-5), |m| m.forward(&x).unwrap()),
        ["weight"]
    );
}

fn positive(seed: u64) -> Tensor {
    tensor(seed, 3).sqr().unwrap().affine(1., 0.1).unwrap()
}

#[test]
fn a_batch_norm_keeps_its_running_statistics() {
    let x = input(&[5, 3, 2]);
    let module = |seed: u64| {
        let (mean, var) = (tensor(seed, 3), positive(seed + 1));
        BatchNorm::new(3, mean, var, tensor(seed + 2, 3), tensor(seed + 3, 3), 1e-5).unwrap()
    };
    let names = round_trip(module, |m| m.forward_t(&x, false).unwrap());
    assert_eq!(names, ["bias", "running_mean", "running_var", "weight"]);
    let bare = |seed: u64| BatchNorm::new_no_bias(3, tensor(seed, 3), positive(seed + 1), 1e-5).unwrap();
    assert_eq!(
        round_trip(bare, |m| m.forward_t(&x, false).unwrap()),
        ["running_mean", "running_var"]
    );
}

#[test]
fn running_statistics_that_training_moved_are_what_is_saved() {
    let module = |seed: u64| {
        BatchNorm::new(
            3,
            tensor(seed, 3),
            positive(seed + 1),
            tensor(seed + 2, 3),
            tensor(seed + 3, 3),
            1e-5,
        )
        .unwrap()
    };
    let fabric = fabric();
    let trained = module(1);
    trained.forward_t(&input(&[5, 3, 2]), true).unwrap();
    assert_ne!(
        bits(trained.running_mean()),
        bits(&tensor(1, 3)),
        "training must have moved them"
    );
    fabric.save(PATH, &trained).unwrap();
    let mut live = module(9);
    fabric.load(PATH, &mut live).unwrap();
    assert_eq!(bits(live.running_mean()), bits(trained.running_mean()));
    assert_eq!(bits(live.running_var()), bits(trained.running_var()));
    // And training goes on alike in both.
    for module in [&trained, &live] {
        module.forward_t(&input(&[5, 3, 2]), true).unwrap();
    }
    assert_eq!(bits(live.running_mean()), bits(trained.running_mean()));
}

#[test]
fn running_statistics_are_no_parameters() {
    let module = BatchNorm::new(3, tensor(1, 3), positive(2), tensor(3, 3), tensor(4, 3), 1e-5).unwrap();
    let names: Vec<String> = fabric_core::named_parameters(&module)
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    assert_eq!(names, ["weight", "bias"]);
}

#[test]
fn a_prelu() {
    let x = input(&[2, 3]);
    assert_eq!(
        round_trip(|seed| PReLU::new(tensor(seed, 3), false), |m| m.forward(&x).unwrap()),
        ["weight"]
    );
    assert_eq!(
        round_trip(|seed| PReLU::new(tensor(seed, 1), true), |m| m.forward(&x).unwrap()),
        ["weight"]
    );
}
