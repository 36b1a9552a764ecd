//! A load that is refused has changed nothing, wherever the bad entry is: in the first component or the last.

use candle_core::Var;
use candle_nn::{Linear, Optimizer, ParamsAdamW};
use fabric_core::optim::{AdamW, Group, ParamsSgd, Sgd};
use fabric_core::{Checkpoint, Fabric, LoadOptions, MismatchKind};
use serde::{Deserialize, Serialize};

use crate::states::{
    HParams, Mlp, PATH, Train, descend, fabric, image, mismatched, refused, tensor, variables, weights,
};

/// The state of [`Train`] with another optimizer and other metadata.
#[derive(Checkpoint)]
struct Other<O, H: Serialize + for<'de> Deserialize<'de>> {
    model: Mlp,
    optimizer: O,
    iteration: u64,
    #[checkpoint(metadata)]
    hparams: H,
}

fn other<O>(seed: u64, optimizer: impl FnOnce(Vec<Var>) -> O) -> Other<O, HParams> {
    let model = Mlp::new(seed);
    Other {
        optimizer: optimizer(variables(&model)),
        model,
        iteration: seed,
        hparams: HParams {
            lr: 0.1,
            layers: vec![],
        },
    }
}

fn saved() -> Fabric {
    let fabric = fabric();
    fabric.save(PATH, &Train::new(1)).unwrap();
    fabric
}

/// Neither strictness nor leniency gets past it.
fn refused_always<S: Checkpoint>(fabric: &Fabric, state: &mut S) -> fabric_core::LoadReport {
    let before = weights(state);
    refused(fabric, state, LoadOptions::new());
    let report = refused(fabric, state, LoadOptions::new().strict(false));
    assert!(weights(state) == before);
    report
}

#[test]
fn bad_metadata_after_a_good_module_and_a_good_optimizer() {
    #[derive(Serialize, Deserialize)]
    struct Stricter {
        lr: f64,
        layers: Vec<usize>,
        warmup: u32,
    }
    let model = Mlp::new(2);
    let mut live = Other {
        optimizer: AdamW::new_lr(variables(&model), 0.3).unwrap(),
        model,
        iteration: 2,
        hparams: Stricter {
            lr: 0.1,
            layers: vec![],
            warmup: 5,
        },
    };
    let report = refused_always(&saved(), &mut live);
    assert_eq!(mismatched(&report), [("hparams", MismatchKind::Type)]);
    assert!(report.to_string().contains("warmup"), "{report}");
    assert_eq!((live.hparams.warmup, live.optimizer.learning_rate()), (5, 0.3));
}

#[test]
fn an_optimizer_of_another_kind_after_a_good_module() {
    for params in [
        ParamsSgd::from(0.1),
        ParamsSgd {
            momentum: 0.9,
            ..ParamsSgd::from(0.1)
        },
    ] {
        let mut live = other(2, |vars| Sgd::new(vars, params).unwrap());
        let report = refused_always(&saved(), &mut live);
        assert!(
            mismatched(&report).contains(&("optimizer.kind", MismatchKind::Optimizer)),
            "{report}"
        );
        let text = report.to_string();
        let sentence = "optimizer.kind: found text \"AdamW\", expected the state of an optimizer of kind `Sgd`";
        assert!(text.contains(sentence), "{text}");
        assert_eq!(live.optimizer.params(), &params);
    }
}

#[test]
fn an_optimizer_with_another_number_of_groups() {
    let mut live = other(2, |mut vars| {
        let last = vars.split_off(2);
        let (a, b) = (ParamsAdamW::default(), ParamsAdamW::default());
        AdamW::with_groups([Group::new(vars, a), Group::new(last, b)]).unwrap()
    });
    let report = refused_always(&saved(), &mut live);
    assert_eq!(
        mismatched(&report),
        [("optimizer.param_groups", MismatchKind::Optimizer)]
    );
}

#[test]
fn hyper_parameters_that_do_not_fit() {
    let fabric = fabric();
    let momentum = |momentum| {
        move |vars| {
            Sgd::new(
                vars,
                ParamsSgd {
                    momentum,
                    ..ParamsSgd::from(0.1)
                },
            )
            .unwrap()
        }
    };
    fabric.save(PATH, &other(1, momentum(0.9))).unwrap();
    let mut live = other(2, momentum(0.));
    let report = refused_always(&fabric, &mut live);
    assert_eq!(
        mismatched(&report),
        [("optimizer.param_groups", MismatchKind::Optimizer)]
    );
    assert!(report.to_string().contains("momentum"), "{report}");

    fabric.save(PATH, &other(1, momentum(0.))).unwrap();
    let mut live = other(2, momentum(0.9));
    let report = refused_always(&fabric, &mut live);
    assert!(
        mismatched(&report).contains(&("optimizer.param_groups", MismatchKind::Optimizer)),
        "{report}"
    );
}

#[test]
fn a_parameter_that_changed_groups() {
    let groups = |order: [usize; 4]| {
        move |vars: Vec<Var>| {
            let vars: Vec<Var> = order.iter().map(|&at| vars[at].clone()).collect();
            let decayed = ParamsAdamW {
                weight_decay: 0.5,
                ..ParamsAdamW::default()
            };
            AdamW::with_groups([
                Group::new(vars[..2].to_vec(), decayed),
                Group::new(vars[2..].to_vec(), ParamsAdamW::default()),
            ])
            .unwrap()
        }
    };
    let fabric = fabric();
    fabric.save(PATH, &other(1, groups([0, 1, 2, 3]))).unwrap();
    let mut live = other(2, groups([0, 2, 1, 3]));
    let report = refused_always(&fabric, &mut live);
    assert_eq!(
        mismatched(&report),
        [("optimizer.param_groups", MismatchKind::Optimizer)]
    );
    assert!(report.to_string().contains("in group"), "{report}");
    fabric.load(PATH, &mut other(3, groups([1, 0, 3, 2]))).unwrap();
}

#[test]
fn a_moment_of_another_shape_although_every_parameter_fits() {
    #[derive(Checkpoint)]
    struct Forged {
        model: Linear,
        #[checkpoint(rename = "optimizer")]
        moments: Moments,
    }
    #[derive(Checkpoint)]
    struct Moments {
        state: State,
    }
    #[derive(Checkpoint)]
    struct State {
        model: Weight,
    }
    #[derive(Checkpoint)]
    struct Weight {
        weight: Slot,
    }
    #[derive(Checkpoint)]
    struct Slot {
        exp_avg: candle_core::Tensor,
    }
    #[derive(Checkpoint)]
    struct Live {
        model: Linear,
        optimizer: AdamW,
    }
    let fabric = fabric();
    let model = || Linear::new(tensor(1, (2, 3)), None);
    let weight = Weight {
        weight: Slot { exp_avg: tensor(1, 6) },
    };
    let forged = Forged {
        model: model(),
        moments: Moments {
            state: State { model: weight },
        },
    };
    fabric.save(PATH, &forged).unwrap();
    let model = model();
    let mut live = Live {
        optimizer: AdamW::new_lr(variables(&model), 0.1).unwrap(),
        model,
    };
    let report = refused_always(&fabric, &mut live);
    assert_eq!(
        mismatched(&report),
        [("optimizer.state.model.weight.exp_avg", MismatchKind::Shape)]
    );
}

#[test]
fn the_last_tensor_of_the_last_component_is_enough() {
    #[derive(Checkpoint)]
    struct Many {
        first: Vec<Linear>,
        count: u64,
        history: Vec<f32>,
        last: candle_core::Tensor,
    }
    let many = |seed: u64, last: usize| Many {
        first: (0..20).map(|at| Linear::new(tensor(seed + at, (3, 3)), None)).collect(),
        count: seed,
        history: vec![0.5; usize::try_from(seed).unwrap()],
        last: tensor(seed, last),
    };
    let fabric = fabric();
    fabric.save(PATH, &many(1, 4)).unwrap();
    let mut live = many(7, 5);
    let report = refused_always(&fabric, &mut live);
    assert_eq!(mismatched(&report), [("last", MismatchKind::Shape)]);
    assert_eq!(report.restored.len(), 22);
    assert_eq!((live.count, live.history.len()), (7, 7));
}

#[test]
fn what_fits_is_restored_when_the_optimizer_is_not_asked_for() {
    let mut live = other(2, |vars| Sgd::new(vars, 0.1).unwrap());
    let only = LoadOptions::new().only(Other::<Sgd, HParams>::FIELDS.model);
    saved().load_with(PATH, &mut live, only).unwrap();
    assert_eq!(weights(&live.model), weights(&Train::new(1).model));
    assert_eq!(live.iteration, 2);
    descend(&live.model, &mut live.optimizer);
}

#[test]
fn loading_twice_changes_nothing_more() {
    let fabric = fabric();
    fabric.save(PATH, &Train::new(1)).unwrap();
    let mut live = Train::new(2);
    fabric.load(PATH, &mut live).unwrap();
    let once = image(&live);
    fabric.load(PATH, &mut live).unwrap();
    assert!(image(&live) == once);
    assert!(once == image(&Train::new(1)));
}
