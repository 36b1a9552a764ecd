//! Parts of a state that have other names than in the file, and that doing what the error says restores them all.

use candle_core::{Tensor, Var};
use candle_nn::Linear;
use fabric_core::optim::AdamW;
use fabric_core::{Checkpoint, Fabric, LoadOptions};

use crate::states::{Mlp, PATH, Train, descend, fabric, image, linear, refused, tensor, var, variables};

/// The literal call of a sentence, as options. The sentences of these tests have strings without escapes in them.
fn options(sentence: &str) -> LoadOptions {
    let call = sentence.split_once("LoadOptions::").unwrap().1;
    let call = call.strip_prefix("new().").unwrap_or(call);
    call.split(").").fold(LoadOptions::new(), |options, call| {
        let (method, arguments) = call.split_once('(').unwrap();
        let arguments: Vec<&str> = arguments.split('"').skip(1).step_by(2).collect();
        match (method, &arguments[..]) {
            ("rename", [from, to]) => options.rename(*from, *to),
            ("strip_prefix", [prefix]) => options.strip_prefix(*prefix),
            ("root", [root]) => options.root(*root),
            _ => panic!("no such call: {sentence}"),
        }
    })
}

/// What the error says first, or of all parts together.
fn advised<S: Checkpoint>(fabric: &Fabric, state: &mut S) -> String {
    let report = refused(fabric, state, LoadOptions::new());
    let mut sentences = report.advice.iter();
    let together = sentences.clone().find(|sentence| sentence.starts_with("all together"));
    together
        .or(sentences.next())
        .unwrap_or_else(|| panic!("{report}"))
        .clone()
}

/// Saves `saved`, loads it into `live` as the error says, and compares everything with `expected`.
fn assert_followed<S: Checkpoint>(saved: &impl Checkpoint, mut live: S, expected: &S) {
    let fabric = fabric();
    fabric.save(PATH, saved).unwrap();
    let advice = advised(&fabric, &mut live);
    let loaded = fabric.load_with(PATH, &mut live, options(&advice));
    let loaded = loaded.unwrap_or_else(|error| panic!("{advice}\n{error}"));
    assert!(loaded.report.is_complete(), "{advice}\n{}", loaded.report);
    assert!(image(&live) == image(expected), "{advice}");
}

/// An optimizer over these parameters that has made a step of its own, so that its state is not that of another.
fn trained<M: Checkpoint>(module: &M, mlp: &Mlp, seed: u64) -> AdamW {
    #[allow(clippy::cast_precision_loss, reason = "seeds are small")]
    let mut optimizer = AdamW::new_lr(variables(module), 0.01 * seed as f64).unwrap();
    descend(mlp, &mut optimizer);
    optimizer
}

#[derive(Checkpoint)]
struct Kernel {
    kernel: Var,
    bias: Var,
}

#[derive(Checkpoint)]
struct Weight {
    weight: Var,
    bias: Var,
}

#[test]
fn a_parameter_of_another_name_brings_its_state_along() {
    #[derive(Checkpoint)]
    struct State<M> {
        model: M,
        optimizer: AdamW,
    }
    let parts = |seed| {
        let (weight, bias) = (var(seed, (3, 4)), var(seed + 1, 3));
        let loss = (weight.sqr().unwrap().sum_all().unwrap() + bias.sqr().unwrap().sum_all().unwrap()).unwrap();
        let mut optimizer = AdamW::new_lr(vec![weight.clone(), bias.clone()], 0.5).unwrap();
        candle_nn::Optimizer::backward_step(&mut optimizer, &loss).unwrap();
        (weight, bias, optimizer)
    };
    let kernel = |seed| {
        let (kernel, bias, optimizer) = parts(seed);
        let model = Kernel { kernel, bias };
        State { model, optimizer }
    };
    let (weight, bias, optimizer) = parts(1);
    let model = Weight { weight, bias };
    assert_followed(&State { model, optimizer }, kernel(5), &kernel(1));
}

#[test]
fn a_tensor_that_no_optimizer_trains_is_found_by_its_shape() {
    let weight = |seed| Weight {
        weight: var(seed, (3, 4)),
        bias: var(seed + 1, 3),
    };
    let kernel = |seed| Kernel {
        kernel: var(seed, (3, 4)),
        bias: var(seed + 1, 3),
    };
    assert_followed(&weight(1), kernel(5), &kernel(1));
}

#[test]
fn which_of_two_tensors_of_one_shape_is_meant_is_for_the_user_to_say() {
    #[derive(Checkpoint)]
    struct Two {
        gamma: Tensor,
        beta: Tensor,
    }
    #[derive(Checkpoint)]
    struct Others {
        scale: Tensor,
        shift: Tensor,
        step: u64,
    }
    let fabric = fabric();
    let (scale, shift) = (tensor(1, 3), tensor(2, 3));
    fabric.save(PATH, &Others { scale, shift, step: 1 }).unwrap();
    let (gamma, beta) = (tensor(3, 3), tensor(4, 3));
    let report = refused(&fabric, &mut Two { gamma, beta }, LoadOptions::new());
    assert!(report.advice.is_empty(), "{report}");
}

#[test]
fn a_model_and_its_optimizer_of_other_names_come_together() {
    #[derive(Checkpoint)]
    struct Before {
        model: Mlp,
        optimizer: AdamW,
        step: u64,
    }
    #[derive(Checkpoint)]
    struct Now {
        network: Mlp,
        opt: AdamW,
        step: u64,
    }
    let now = |seed| {
        let network = Mlp::new(seed);
        let opt = trained(&network, &network, seed);
        Now {
            network,
            opt,
            step: seed,
        }
    };
    let model = Mlp::new(1);
    let optimizer = trained(&model, &model, 1);
    let before = Before {
        model,
        optimizer,
        step: 1,
    };
    assert_followed(&before, now(2), &now(1));
}

#[test]
fn a_part_that_moved_takes_nothing_away_from_the_parts_that_stayed() {
    #[derive(Checkpoint)]
    struct Inner {
        fc1: Linear,
        head: Linear,
    }
    #[derive(Checkpoint)]
    struct Before {
        model: Inner,
        step: u64,
    }
    #[derive(Checkpoint)]
    struct Model {
        head: Linear,
    }
    // `model.fc1` is one level higher; `model.head` stays.
    #[derive(Checkpoint)]
    struct Higher {
        model: Model,
        fc1: Linear,
        step: u64,
    }
    #[derive(Checkpoint)]
    struct Body {
        fc1: Linear,
    }
    #[derive(Checkpoint)]
    struct Bodied {
        body: Body,
        head: Linear,
    }
    // `model.fc1` is one level deeper.
    #[derive(Checkpoint)]
    struct Deeper {
        model: Bodied,
        step: u64,
    }
    let (fc1, head) = (|seed| linear(seed, 4, 5), |seed| linear(seed + 10, 5, 2));
    let before = Before {
        model: Inner {
            fc1: fc1(1),
            head: head(1),
        },
        step: 1,
    };
    let higher = |seed| Higher {
        model: Model { head: head(seed) },
        fc1: fc1(seed),
        step: seed,
    };
    let deeper = |seed| Deeper {
        model: Bodied {
            body: Body { fc1: fc1(seed) },
            head: head(seed),
        },
        step: seed,
    };
    assert_followed(&before, higher(2), &higher(1));
    assert_followed(&before, deeper(2), &deeper(1));
}

#[test]
fn parts_that_moved_into_a_struct_leave_the_values_beside_it_in_place() {
    #[derive(Checkpoint)]
    struct Trainer {
        model: Mlp,
        optimizer: AdamW,
    }
    #[derive(Checkpoint)]
    struct Now {
        trainer: Trainer,
        iteration: u64,
    }
    let now = |seed| {
        let Train {
            model,
            optimizer,
            iteration,
            ..
        } = Train::new(seed);
        let trainer = Trainer { model, optimizer };
        Now { trainer, iteration }
    };
    assert_followed(&Train::new(1), now(2), &now(1));
}

#[test]
fn a_value_of_another_name_is_found_among_the_values_that_fit() {
    #[derive(Checkpoint)]
    struct Before {
        weight: Tensor,
        iteration: u64,
        run: String,
    }
    #[derive(Checkpoint)]
    struct Now {
        weight: Tensor,
        global_step: u64,
    }
    #[derive(Checkpoint)]
    struct Named {
        weight: Tensor,
        seed: u64,
        title: String,
        epoch: u64,
    }
    let before = || Before {
        weight: tensor(1, 3),
        iteration: 7,
        run: "a".to_owned(),
    };
    let now = |seed, global_step| Now {
        weight: tensor(seed, 3),
        global_step,
    };
    assert_followed(&before(), now(2, 0), &now(1, 7));

    // One of several is named, and left to the user.
    let fabric = fabric();
    let named = Named {
        weight: tensor(1, 3),
        seed: 1,
        title: "a".to_owned(),
        epoch: 2,
    };
    fabric.save(PATH, &named).unwrap();
    let text = refused(&fabric, &mut now(2, 0), LoadOptions::new()).to_string();
    let expected = "`global_step` may be what the file calls `epoch` or `seed`: LoadOptions::rename(\"epoch\", \
                    \"global_step\") or LoadOptions::rename(\"seed\", \"global_step\")";
    assert!(text.contains(expected), "{text}");
    assert!(text.contains("as a last resort"), "{text}");
}

#[test]
fn a_run_that_is_now_a_part_of_the_state_is_loaded_with_its_values() {
    #[derive(Checkpoint)]
    struct Outer {
        run: Train,
    }
    let fabric = fabric();
    fabric.save(PATH, &Train::new(1)).unwrap();
    let mut outer = Outer { run: Train::new(2) };
    let text = refused(&fabric, &mut outer, LoadOptions::new()).to_string();
    assert!(text.contains("fabric.load(path, &mut state.run)"), "{text}");
    fabric.load(PATH, &mut outer.run).unwrap();
    assert!(image(&outer.run) == image(&Train::new(1)));
}

#[test]
fn a_parameter_that_an_optimizer_has_twice_is_refused_by_the_save() {
    #[derive(Checkpoint)]
    struct State {
        weight: Var,
        optimizer: AdamW,
    }
    let weight = var(1, 3);
    let state = |parameters| State {
        weight: weight.clone(),
        optimizer: AdamW::new_lr(parameters, 0.5).unwrap(),
    };
    let error = fabric()
        .save(PATH, &state(vec![weight.clone(), weight.clone()]))
        .unwrap_err();
    let expected =
        "parameters 0 and 1 of optimizer `optimizer` are both `weight`; give the optimizer each parameter once";
    assert!(error.to_string().contains(expected), "{error}");
    fabric().save(PATH, &state(vec![weight.clone()])).unwrap();
}
