//! Optimizers in a checkpoint: state by parameter name, alone by order, groups, hyper-parameters that come back.

use candle_core::{Tensor, Var};
use candle_nn::{Linear, Optimizer, ParamsAdamW};
use fabric_core::optim::{AdamW, Group, ParamsSgd, Sgd};
use fabric_core::{Checkpoint, Error, LoadOptions, StateError};

use crate::states::{
    Mlp, PATH, Train, bits, descend, fabric, image, linear, mismatched, refused, tensor, var, variables, weights,
};

#[derive(Checkpoint)]
struct State<O> {
    model: Mlp,
    optimizer: O,
}

fn stepped(vars: &[Var], optimizer: &mut impl Optimizer) {
    let loss = vars
        .iter()
        .map(|var| var.sqr().unwrap().sum_all().unwrap())
        .reduce(|a, b| (a + b).unwrap())
        .unwrap();
    optimizer.backward_step(&loss).unwrap();
}

#[test]
fn the_state_of_each_parameter_stands_below_its_full_name() {
    let fabric = fabric();
    fabric.save(PATH, &Train::new(1)).unwrap();
    let raw = fabric.open(PATH).unwrap();
    assert_eq!(raw.value::<String>("optimizer.kind").unwrap(), "AdamW");
    assert_eq!(raw.value::<u64>("optimizer.state.model.fc2.weight.step").unwrap(), 3);
    assert_eq!(
        raw.info("optimizer.state.model.fc2.weight.exp_avg").unwrap().shape(),
        [2, 8]
    );
    let groups = raw.value::<serde_json::Value>("optimizer.param_groups").unwrap();
    assert_eq!(groups[0]["lr"], 0.01);
    assert_eq!(groups[0]["betas"], serde_json::json!([0.9, 0.999]));
    let params = [
        "model.fc1.weight",
        "model.fc1.bias",
        "model.fc2.weight",
        "model.fc2.bias",
    ];
    assert_eq!(groups[0]["params"], serde_json::json!(params));
}

#[test]
fn hyper_parameters_come_back() {
    let fabric = fabric();
    let saved = ParamsAdamW {
        lr: 0.125,
        beta1: 0.5,
        beta2: 0.75,
        eps: 1e-4,
        weight_decay: 0.25,
    };
    let state = |params| {
        let model = Mlp::new(1);
        State {
            optimizer: AdamW::new(variables(&model), params).unwrap(),
            model,
        }
    };
    fabric.save(PATH, &state(saved.clone())).unwrap();
    let mut live = state(ParamsAdamW::default());
    fabric.load(PATH, &mut live).unwrap();
    let params = live.optimizer.params();
    assert_eq!(
        (params.lr, params.beta1, params.beta2, params.eps, params.weight_decay),
        (0.125, 0.5, 0.75, 1e-4, 0.25)
    );

    let saved = ParamsSgd {
        lr: 0.125,
        momentum: 0.5,
        nesterov: true,
        weight_decay: 0.25,
    };
    let state = |params| {
        let model = Mlp::new(1);
        State {
            optimizer: Sgd::new(variables(&model), params).unwrap(),
            model,
        }
    };
    fabric.save(PATH, &state(saved)).unwrap();
    let mut live = state(ParamsSgd {
        momentum: 0.9,
        ..ParamsSgd::default()
    });
    fabric.load(PATH, &mut live).unwrap();
    assert_eq!(live.optimizer.params(), &saved);
}

#[test]
fn an_optimizer_that_never_stepped_comes_back_at_step_0() {
    let fabric = fabric();
    let fresh = |seed| {
        let model = Mlp::new(seed);
        State {
            optimizer: AdamW::new_lr(variables(&model), 0.1).unwrap(),
            model,
        }
    };
    fabric.save(PATH, &fresh(1)).unwrap();
    assert_eq!(
        fabric
            .open(PATH)
            .unwrap()
            .value::<u64>("optimizer.state.model.fc1.bias.step")
            .unwrap(),
        0
    );
    let mut live = fresh(2);
    (0..4).for_each(|_| descend(&live.model, &mut live.optimizer));
    fabric.load(PATH, &mut live).unwrap();
    assert!(
        image(&live) == image(&fresh(1)),
        "moments and steps are those of a fresh optimizer again"
    );
}

#[test]
fn saving_and_resuming_again_and_again_does_not_grow_the_file() {
    let fabric = fabric();
    let mut state = Train::new(1);
    let first = fabric.save(PATH, &state).unwrap();
    for seed in 2..5 {
        let mut next = Train::new(seed);
        fabric.load(PATH, &mut next).unwrap();
        next.step();
        state = next;
        let report = fabric.save(PATH, &state).unwrap();
        assert_eq!((report.entries, report.bytes), (first.entries, first.bytes));
    }
}

#[test]
fn each_group_gets_its_own_hyper_parameters_and_parameters_back() {
    let state = |seed, decays: [f64; 2]| {
        let model = Mlp::new(seed);
        let vars = variables(&model);
        let params = decays.map(|weight_decay| ParamsAdamW {
            weight_decay,
            ..ParamsAdamW::default()
        });
        let [decayed, plain] = params;
        let matrices = Group::new([vars[0].clone(), vars[2].clone()], decayed);
        let biases = Group::new([vars[1].clone(), vars[3].clone()], plain);
        State {
            optimizer: AdamW::with_groups([matrices, biases]).unwrap(),
            model,
        }
    };
    let fabric = fabric();
    let mut saved = state(1, [0.5, 0.]);
    (0..3).for_each(|_| descend(&saved.model, &mut saved.optimizer));
    fabric.save(PATH, &saved).unwrap();
    let mut live = state(2, [0., 0.25]);
    fabric.load(PATH, &mut live).unwrap();
    let decays: Vec<f64> = live.optimizer.groups().iter().map(|group| group.weight_decay).collect();
    assert_eq!(decays, [0.5, 0.]);
    for state in [&mut saved, &mut live] {
        descend(&state.model, &mut state.optimizer);
    }
    assert!(weights(&live) == weights(&saved));
}

#[test]
fn an_optimizer_alone_is_restored_by_the_order_of_its_parameters() {
    let fabric = fabric();
    let vars = || [var(1, (2, 3)), var(2, 3)];
    let own = vars();
    let mut saved = AdamW::new_lr(own.to_vec(), 0.125).unwrap();
    stepped(&own, &mut saved);
    fabric.save(PATH, &saved).unwrap();
    let names = fabric.open(PATH).unwrap().names().join(" ");
    let expected = "kind param_groups state.0.exp_avg state.0.exp_avg_sq state.0.step state.1.exp_avg state.1.exp_avg_sq \
                    state.1.step";
    assert_eq!(names, expected);
    for load_raw in [true, false] {
        let others = vars();
        let mut live = AdamW::new_lr(others.to_vec(), 0.5).unwrap();
        let loaded = if load_raw {
            fabric.load_raw(PATH, &mut live)
        } else {
            fabric.load(PATH, &mut live)
        };
        assert!(loaded.unwrap().report.is_complete());
        assert!(image(&live) == image(&saved));
        assert_eq!(live.learning_rate(), 0.125);
    }
    let mut fewer = AdamW::new_lr(vec![var(1, (2, 3))], 0.5).unwrap();
    let error = fabric.load_raw(PATH, &mut fewer).unwrap_err();
    assert_eq!(error.report().unwrap().unexpected.len(), 3);
    let [matrix, bias] = vars();
    let mut turned = AdamW::new_lr(vec![bias, matrix], 0.5).unwrap();
    let error = fabric.load_raw(PATH, &mut turned).unwrap_err();
    assert_eq!(error.report().unwrap().mismatched.len(), 4);
}

#[test]
fn an_optimizer_with_named_parameters_is_restored_by_name_in_any_order() {
    let fabric = fabric();
    let vars = [("a".to_owned(), var(1, 2)), ("b".to_owned(), var(2, 2))];
    let mut saved = AdamW::from_named(vars.clone(), ParamsAdamW::default()).unwrap();
    stepped(&[vars[0].1.clone(), vars[1].1.clone()], &mut saved);
    fabric.save(PATH, &saved).unwrap();
    let [a, b] = vars;
    let mut live = AdamW::from_named([b, a], ParamsAdamW::default()).unwrap();
    fabric.load(PATH, &mut live).unwrap();
    fabric.save("again", &live).unwrap();
    let read = |path: &str| {
        let raw = fabric.open(path).unwrap();
        bits(&raw.tensor("state.b.exp_avg", &crate::states::CPU).unwrap())
    };
    assert_eq!(read("again"), read(PATH));
}

#[test]
fn a_parameter_that_no_module_holds_is_an_error_that_says_what_to_do() {
    let model = Mlp::new(1);
    let mut vars = variables(&model);
    vars.push(var(5, 3));
    let optimizer = AdamW::new_lr(vars, 0.1).unwrap();
    let error = fabric().save(PATH, &State { model, optimizer }).unwrap_err();
    assert!(
        matches!(error, Error::State(StateError::UnnamedParameter { position: 4, .. })),
        "{error}"
    );
    assert!(
        error.to_string().contains("add the module or its VarMap to the state"),
        "{error}"
    );
}

#[test]
fn two_optimizers_of_one_state_do_not_mix() {
    #[derive(Checkpoint)]
    struct Gan {
        generator: Linear,
        discriminator: Linear,
        optimizer_g: AdamW,
        optimizer_d: Sgd,
    }
    let gan = |seed: u64| {
        let (generator, discriminator) = (linear(seed, 2, 2), linear(seed + 1, 2, 2));
        let (g, d) = (variables(&generator), variables(&discriminator));
        let mut optimizer_g = AdamW::new_lr(g.clone(), 0.1).unwrap();
        let mut optimizer_d = Sgd::new(
            d.clone(),
            ParamsSgd {
                momentum: 0.9,
                ..ParamsSgd::from(0.1)
            },
        )
        .unwrap();
        stepped(&g, &mut optimizer_g);
        stepped(&d, &mut optimizer_d);
        Gan {
            generator,
            discriminator,
            optimizer_g,
            optimizer_d,
        }
    };
    let fabric = fabric();
    fabric.save(PATH, &gan(1)).unwrap();
    let raw = fabric.open(PATH).unwrap();
    assert!(raw.contains("optimizer_g.state.generator.weight.exp_avg"));
    assert!(raw.contains("optimizer_d.state.discriminator.weight.momentum_buffer"));
    let mut live = gan(5);
    fabric.load(PATH, &mut live).unwrap();
    assert!(image(&live) == image(&gan(1)));
}

#[test]
fn a_renamed_module_takes_its_optimizer_state_along() {
    #[derive(Checkpoint)]
    struct Before {
        net: Linear,
        optimizer: AdamW,
    }
    #[derive(Checkpoint)]
    struct After {
        #[checkpoint(alias = "net")]
        model: Linear,
        optimizer: AdamW,
    }
    let fabric = fabric();
    let net = linear(1, 2, 2);
    let mut optimizer = AdamW::new_lr(variables(&net), 0.1).unwrap();
    stepped(&variables(&net), &mut optimizer);
    fabric.save(PATH, &Before { net, optimizer }).unwrap();
    let model = linear(2, 2, 2);
    let mut live = After {
        optimizer: AdamW::new_lr(variables(&model), 0.1).unwrap(),
        model,
    };
    let loaded = fabric.load(PATH, &mut live).unwrap();
    assert!(loaded.remainder.is_empty() && loaded.report.is_complete());
    fabric.save("again", &live).unwrap();
    let read = |path, name: &str| bits(&fabric.open(path).unwrap().tensor(name, &crate::states::CPU).unwrap());
    assert_eq!(
        read("again", "optimizer.state.model.weight.exp_avg"),
        read(PATH, "optimizer.state.net.weight.exp_avg")
    );
}

#[test]
fn a_frozen_parameter_needs_no_state() {
    let fabric = fabric();
    let state = |seed| {
        let model = Mlp::new(seed);
        State {
            optimizer: AdamW::new_lr(variables(&model.fc2), 0.1).unwrap(),
            model,
        }
    };
    let mut saved = state(1);
    descend(&saved.model, &mut saved.optimizer);
    fabric.save(PATH, &saved).unwrap();
    assert!(
        !fabric
            .open(PATH)
            .unwrap()
            .contains("optimizer.state.model.fc1.weight.exp_avg")
    );
    let mut live = state(2);
    fabric.load(PATH, &mut live).unwrap();
    assert!(image(&live) == image(&saved));
    let model = Mlp::new(3);
    let mut unfrozen = State {
        optimizer: AdamW::new_lr(variables(&model), 0.1).unwrap(),
        model,
    };
    let report = refused(&fabric, &mut unfrozen, LoadOptions::new());
    assert_eq!(report.missing.len(), 6);
    assert!(mismatched(&report).is_empty());
}

#[test]
fn parameters_that_the_file_knows_nothing_of_start_cold_when_that_is_allowed() {
    let fabric = fabric();
    let model = Mlp::new(1);
    let optimizer = AdamW::new_lr(variables(&model.fc2), 0.125).unwrap();
    let mut saved = State { model, optimizer };
    descend(&saved.model, &mut saved.optimizer);
    fabric.save(PATH, &saved).unwrap();
    let model = Mlp::new(3);
    let optimizer = AdamW::new_lr(variables(&model), 0.5).unwrap();
    let mut live = State { model, optimizer };
    fabric
        .load_with(PATH, &mut live, LoadOptions::new().strict(false))
        .unwrap();
    assert_eq!(live.optimizer.learning_rate(), 0.125);
    fabric.save("again", &live).unwrap();
    let raw = fabric.open("again").unwrap();
    let steps = ["fc1.weight", "fc2.weight"].map(|name| format!("optimizer.state.model.{name}.step"));
    assert_eq!(steps.map(|name| raw.value::<u64>(&name).unwrap()), [0, 1]);
}

#[test]
fn an_optimizer_may_be_declared_before_its_model() {
    #[derive(Checkpoint)]
    struct Turned {
        optimizer: AdamW,
        model: Mlp,
    }
    let fabric = fabric();
    let turned = |seed| {
        let Train { model, optimizer, .. } = Train::new(seed);
        Turned { optimizer, model }
    };
    fabric.save(PATH, &Train::new(1)).unwrap();
    let mut live = turned(2);
    let loaded = fabric.load(PATH, &mut live).unwrap();
    assert_eq!(loaded.remainder.names(), ["hparams", "iteration"]);
    assert!(image(&live) == image(&turned(1)));
}

#[test]
fn an_integer_tensor_among_the_variables_is_nobodys_parameter() {
    #[derive(Checkpoint)]
    struct Counted {
        weight: Var,
        count: Tensor,
        optimizer: AdamW,
    }
    let count = Tensor::new(&[3u32], &crate::states::CPU).unwrap();
    let weight = Var::from_tensor(&tensor(1, 2)).unwrap();
    let vars = vec![weight.clone(), Var::from_tensor(&count).unwrap()];
    let state = Counted {
        weight,
        count,
        optimizer: AdamW::new_lr(vars, 0.1).unwrap(),
    };
    let fabric = fabric();
    fabric.save(PATH, &state).unwrap();
    assert_eq!(fabric.open(PATH).unwrap().subtree("optimizer.state").len(), 3);
}

#[derive(Checkpoint)]
struct Transposed {
    layer: Linear,
    optimizer: AdamW,
}

/// A layer that holds a transposed view of the variable that is trained.
fn transposed() -> (Transposed, Var) {
    let var = var(1, (4, 2));
    let mut optimizer = AdamW::new_lr(vec![var.clone()], 0.1).unwrap();
    stepped(std::slice::from_ref(&var), &mut optimizer);
    let layer = Linear::new(var.t().unwrap(), None);
    (Transposed { layer, optimizer }, var)
}

#[test]
fn a_parameter_of_which_a_module_holds_a_view_is_named_after_the_view() {
    let fabric = fabric();
    let (state, _) = transposed();
    fabric.save(PATH, &state).unwrap();
    let raw = fabric.open(PATH).unwrap();
    let moment = raw.info("optimizer.state.layer.weight.exp_avg").unwrap();
    assert_eq!(moment.shape(), [4, 2], "the state has the shape of the variable");
    let (mut again, var) = transposed();
    var.set(&tensor(9, (4, 2))).unwrap();
    fabric.load(PATH, &mut again).unwrap();
    assert_eq!(bits(again.layer.weight()), bits(state.layer.weight()));
}
