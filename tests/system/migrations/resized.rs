//! Tensors that grow and shrink, and optimizers that change.

use std::collections::BTreeMap;

use candle_core::{Tensor, Var};
use candle_nn::{Optimizer, ParamsAdamW};
use fabric_core::optim::{Adam, AdamW, Group, ParamsAdam, ParamsSgd, Sgd};
use fabric_core::{Checkpoint, LoadOptions, OnMismatch, named_optimizer_state, set_optimizer_steps};

use crate::states::{CPU, PATH, bits, fabric, tensor, var};

#[derive(Checkpoint)]
struct State<O> {
    embedding: Var,
    bias: Var,
    optimizer: O,
}

fn adamw(rows: usize, columns: usize, seed: u64) -> State<AdamW> {
    let (embedding, bias) = vars(rows, columns, seed);
    let named = vec![
        ("embedding".to_owned(), embedding.clone()),
        ("bias".to_owned(), bias.clone()),
    ];
    State {
        optimizer: AdamW::from_named(named, ParamsAdamW::default()).unwrap(),
        embedding,
        bias,
    }
}

fn vars(rows: usize, columns: usize, seed: u64) -> (Var, Var) {
    let var = |tensor: Tensor| Var::from_tensor(&tensor).unwrap();
    (var(tensor(seed, (rows, columns))), var(tensor(seed + 1, 3)))
}

fn step<O: Optimizer>(state: &mut State<O>) {
    let loss = |var: &Var| var.as_tensor().sqr().unwrap().sum_all().unwrap();
    let loss = (loss(&state.embedding) + loss(&state.bias)).unwrap();
    state.optimizer.backward_step(&loss).unwrap();
}

fn moment<O: Checkpoint>(state: &State<O>, parameter: &str, name: &str) -> Tensor {
    let states = named_optimizer_state(state).unwrap();
    let own = states.iter().find(|own| own.parameter == parameter).unwrap();
    own.tensor(name).unwrap().clone()
}

#[test]
fn a_vocabulary_that_grew_restores_its_rows_with_their_moments() {
    let fabric = fabric();
    let mut old = adamw(5, 2, 1);
    step(&mut old);
    step(&mut old);
    fabric.save(PATH, &old).unwrap();
    let mut new = adamw(7, 2, 50);
    let fresh = new.embedding.narrow(0, 5, 2).unwrap().copy().unwrap();
    let loaded = fabric
        .load_with(PATH, &mut new, LoadOptions::new().on_mismatch(OnMismatch::Overlap))
        .unwrap();
    assert!(loaded.report.is_acceptable() && loaded.remainder.is_empty());
    let resized: Vec<&str> = loaded
        .report
        .overlapping
        .iter()
        .map(|found| found.name.as_str())
        .collect();
    assert_eq!(
        resized,
        [
            "embedding",
            "optimizer.state.embedding.exp_avg",
            "optimizer.state.embedding.exp_avg_sq"
        ]
    );
    let rows = |tensor: &Tensor, from, len| bits(&tensor.narrow(0, from, len).unwrap());
    assert_eq!(rows(&new.embedding, 0, 5), bits(&old.embedding));
    assert_eq!(rows(&new.embedding, 5, 2), bits(&fresh));
    let first = moment(&new, "embedding", "exp_avg");
    assert_eq!(rows(&first, 0, 5), bits(&moment(&old, "embedding", "exp_avg")));
    assert_eq!(first.narrow(0, 5, 2).unwrap().to_vec2::<f32>().unwrap(), [[0.; 2]; 2]);
    let (second, before) = (
        moment(&new, "embedding", "exp_avg_sq"),
        moment(&old, "embedding", "exp_avg_sq"),
    );
    assert_eq!(rows(&second, 0, 5), bits(&before));
    let mean = before.to_dtype(candle_core::DType::F64).unwrap().mean(0).unwrap();
    let mean = mean
        .to_dtype(candle_core::DType::F32)
        .unwrap()
        .to_vec1::<f32>()
        .unwrap();
    for row in second.narrow(0, 5, 2).unwrap().to_vec2::<f32>().unwrap() {
        for (own, mean) in row.iter().zip(&mean) {
            assert!((own - mean).abs() <= mean.abs() * 1e-6, "{own} and {mean}");
        }
    }
    assert_eq!(named_optimizer_state(&new).unwrap()[0].step, Some(2));
    assert_eq!(bits(&new.bias), bits(&old.bias));
}

#[test]
fn columns_grow_and_rows_shrink() {
    let fabric = fabric();
    let mut old = adamw(5, 2, 1);
    step(&mut old);
    fabric.save(PATH, &old).unwrap();
    let mut new = adamw(3, 4, 50);
    let fresh = new.embedding.as_tensor().copy().unwrap();
    fabric
        .load_with(PATH, &mut new, LoadOptions::new().on_mismatch(OnMismatch::Overlap))
        .unwrap();
    let part = |tensor: &Tensor, from, len| {
        bits(
            &tensor
                .narrow(0, 0, 3)
                .unwrap()
                .narrow(1, from, len)
                .unwrap()
                .contiguous()
                .unwrap(),
        )
    };
    assert_eq!(part(&new.embedding, 0, 2), part(&old.embedding, 0, 2));
    assert_eq!(part(&new.embedding, 2, 2), part(&fresh, 2, 2));
    let second = moment(&new, "embedding", "exp_avg_sq").to_vec2::<f32>().unwrap();
    for row in second {
        assert!(
            (row[2] - f32::midpoint(row[0], row[1])).abs() < 1e-9 && row[2] == row[3],
            "{row:?}"
        );
    }
}

#[test]
fn another_number_of_dimensions_is_refused() {
    #[derive(Checkpoint)]
    struct One {
        weight: Tensor,
    }
    let fabric = fabric();
    fabric
        .save(
            PATH,
            &One {
                weight: tensor(1, (2, 2)),
            },
        )
        .unwrap();
    let mut state = One { weight: tensor(2, 4) };
    let error = fabric
        .load_with(PATH, &mut state, LoadOptions::new().on_mismatch(OnMismatch::Overlap))
        .unwrap_err();
    assert!(
        error.to_string().contains("shape [2, 2] in the file, [4] in the state"),
        "{error}"
    );
}

#[test]
fn the_program_keeps_its_learning_rate_and_its_groups() {
    let fabric = fabric();
    let mut old = adamw(5, 2, 1);
    step(&mut old);
    fabric.save(PATH, &old).unwrap();
    let (embedding, bias) = vars(5, 2, 9);
    let params = |lr| ParamsAdamW {
        lr,
        ..ParamsAdamW::default()
    };
    let groups = [
        Group::named([("embedding".to_owned(), embedding.clone())], params(0.5)),
        Group::named([("bias".to_owned(), bias.clone())], params(0.25)),
    ];
    let optimizer = AdamW::with_groups(groups).unwrap();
    let mut new = State {
        embedding,
        bias,
        optimizer,
    };
    fabric.load(PATH, &mut new).unwrap_err();
    fabric
        .load_with(PATH, &mut new, LoadOptions::new().keep_hyperparameters())
        .unwrap();
    assert_eq!(new.optimizer.learning_rate(), 0.5);
    assert_eq!(
        bits(&moment(&new, "bias", "exp_avg")),
        bits(&moment(&old, "bias", "exp_avg"))
    );
    assert_eq!(named_optimizer_state(&new).unwrap()[1].step, Some(1));
}

fn momentum(seed: u64) -> State<Sgd> {
    let (embedding, bias) = vars(5, 2, seed);
    let named = vec![
        ("embedding".to_owned(), embedding.clone()),
        ("bias".to_owned(), bias.clone()),
    ];
    let options = ParamsSgd {
        lr: 0.1,
        momentum: 0.9,
        ..ParamsSgd::default()
    };
    State {
        optimizer: Sgd::from_named(named, options).unwrap(),
        embedding,
        bias,
    }
}

#[test]
fn another_optimizer_takes_what_is_common() {
    let fabric = fabric();
    let mut old = momentum(1);
    step(&mut old);
    fabric.save(PATH, &old).unwrap();
    let mut new = adamw(5, 2, 7);
    step(&mut new);
    fabric.load(PATH, &mut adamw(5, 2, 7)).unwrap_err();
    let loaded = fabric
        .load_with(PATH, &mut new, LoadOptions::new().change_optimizer())
        .unwrap();
    assert!(loaded.remainder.is_empty(), "{:?}", loaded.remainder);
    assert_eq!(bits(&new.embedding), bits(&old.embedding));
    assert_eq!(loaded.report.begun_anew.len(), 6, "{:?}", loaded.report.begun_anew);
    assert!(
        loaded
            .report
            .ignored
            .contains(&"optimizer.state.bias.momentum_buffer".to_owned())
    );
    for own in named_optimizer_state(&new).unwrap() {
        assert_eq!(own.step, Some(0));
        assert_eq!(
            own.tensor("exp_avg")
                .unwrap()
                .abs()
                .unwrap()
                .sum_all()
                .unwrap()
                .to_scalar::<f32>()
                .unwrap(),
            0.
        );
    }

    let mut old = adamw(5, 2, 1);
    step(&mut old);
    fabric.save(PATH, &old).unwrap();
    let (embedding, bias) = vars(5, 2, 20);
    let named = vec![
        ("embedding".to_owned(), embedding.clone()),
        ("bias".to_owned(), bias.clone()),
    ];
    let mut adam = State {
        optimizer: Adam::from_named(named, ParamsAdam::default()).unwrap(),
        embedding,
        bias,
    };
    let loaded = fabric
        .load_with(PATH, &mut adam, LoadOptions::new().change_optimizer())
        .unwrap();
    assert!(loaded.report.begun_anew.is_empty());
    assert_eq!(
        bits(&moment(&adam, "embedding", "exp_avg_sq")),
        bits(&moment(&old, "embedding", "exp_avg_sq"))
    );
    assert_eq!(named_optimizer_state(&adam).unwrap()[0].step, Some(1));
}

#[test]
fn moments_are_read_and_written_by_hand() {
    let mut state = adamw(5, 2, 1);
    step(&mut state);
    let states = named_optimizer_state(&state).unwrap();
    let names: Vec<(&str, &str)> = states
        .iter()
        .map(|own| (own.optimizer.as_str(), own.parameter.as_str()))
        .collect();
    assert_eq!(names, [("optimizer", "embedding"), ("optimizer", "bias")]);
    let twos = (Tensor::ones((5, 2), candle_core::DType::F32, &CPU).unwrap() * 2.).unwrap();
    states[0].set("exp_avg", &twos).unwrap();
    assert_eq!(bits(&moment(&state, "embedding", "exp_avg")), bits(&twos));
    let error = states[0].set("momentum", &twos).unwrap_err().to_string();
    assert!(
        error.contains("`optimizer.state.embedding` has `exp_avg`, `exp_avg_sq`, and no `momentum`"),
        "{error}"
    );
    let error = states[1].set("exp_avg", &twos).unwrap_err().to_string();
    assert!(error.contains("[3]") && error.contains("[5, 2]"), "{error}");
    set_optimizer_steps(&mut state, |name, step| (name == "bias").then(|| step.unwrap() + 10)).unwrap();
    let steps: BTreeMap<String, Option<u64>> = named_optimizer_state(&state)
        .unwrap()
        .into_iter()
        .map(|own| (own.parameter, own.step))
        .collect();
    assert_eq!(
        steps,
        BTreeMap::from([("embedding".into(), Some(1)), ("bias".into(), Some(11))])
    );
}

#[derive(Checkpoint)]
struct Two {
    embedding: Tensor,
    head: Tensor,
}

/// The head is tied to the embedding, and the file has one of their names, or both.
#[test]
fn a_vocabulary_grows_under_two_names() {
    #[derive(Checkpoint)]
    struct One {
        embedding: Tensor,
    }
    #[derive(Checkpoint)]
    struct Tied {
        embedding: Var,
        head: Var,
    }
    let tied = |rows: usize, seed: u64| {
        let both = var(seed, (rows, 2));
        Tied {
            embedding: both.clone(),
            head: both,
        }
    };
    let fabric = fabric();
    let overlap = || LoadOptions::new().on_mismatch(OnMismatch::Overlap);
    let rows =
        |state: &Tied, from: usize, len: usize| bits(&state.head.narrow(0, from, len).unwrap().contiguous().unwrap());
    let (old, own) = (tied(5, 1), tied(7, 2));
    fabric.save(PATH, &old).unwrap();
    let mut new = tied(7, 2);
    fabric.load_with(PATH, &mut new, overlap()).unwrap();
    assert_eq!(
        (rows(&new, 0, 5), rows(&new, 5, 2)),
        (rows(&old, 0, 5), rows(&own, 5, 2))
    );
    let one = One {
        embedding: old.embedding.as_tensor().clone(),
    };
    fabric.save(PATH, &one).unwrap();
    let mut new = tied(7, 2);
    fabric.load_with(PATH, &mut new, overlap()).unwrap();
    assert_eq!(
        (rows(&new, 0, 5), rows(&new, 5, 2)),
        (rows(&old, 0, 5), rows(&own, 5, 2))
    );
    // Two tensors with other contents cannot be one.
    let two = Two {
        embedding: tensor(1, (5, 2)),
        head: tensor(2, (5, 2)),
    };
    fabric.save(PATH, &two).unwrap();
    let error = fabric
        .load_with(PATH, &mut tied(7, 2), overlap())
        .unwrap_err()
        .to_string();
    assert!(error.contains("head") && error.contains("embedding"), "{error}");
}
