//! Recipes that do not fit: each is an error before anything changes.

use std::collections::BTreeMap;

use candle_core::Tensor;
use candle_nn::Optimizer;
use fabric_core::optim::AdamW;
use fabric_core::{Checkpoint, Error, LoadOptions, Migrations, Moments, set_optimizer_steps};

use crate::states::{PATH, bits, fabric, tensor, var};

#[derive(Checkpoint)]
struct Model {
    model: BTreeMap<String, Tensor>,
    count: u64,
}

fn model(seed: u64) -> Model {
    let tensors = [("a", vec![2, 3]), ("b", vec![2, 3]), ("c", vec![4])];
    let tensors = tensors.map(|(name, shape)| (name.to_owned(), tensor(seed, shape)));
    Model {
        model: tensors.into(),
        count: seed,
    }
}

/// The message of a load with this recipe, which changes nothing.
fn refused(recipe: impl FnOnce(&mut Migrations)) -> String {
    let fabric = fabric();
    fabric.save(PATH, &model(1)).unwrap();
    let mut state = model(2);
    let error = fabric
        .load_with(PATH, &mut state, LoadOptions::new().migrations(recipe))
        .unwrap_err();
    assert_eq!(bits(&state.model["a"]), bits(&model(2).model["a"]));
    assert_eq!(state.count, 2);
    error.to_string()
}

#[track_caller]
fn says(message: &str, parts: &[&str]) {
    for part in parts {
        assert!(message.contains(part), "{part:?} is not in: {message}");
    }
}

#[test]
fn a_word_that_finds_nothing() {
    says(
        &refused(|m| {
            m.rename("model.aa", "model.z");
        }),
        &[
            "rename(\"model.aa\", \"model.z\")",
            "no `model.aa`",
            "did you mean \"model.a\"",
            ".if_present()",
        ],
    );
    says(
        &refused(|m| {
            m.remove("models");
        }),
        &["no `models`"],
    );
    says(
        &refused(|m| {
            m.transpose("model.*.w", 0, 1);
        }),
        &["no `model.*.w`"],
    );
    let fabric = fabric();
    fabric.save(PATH, &model(1)).unwrap();
    let mut state = model(2);
    let recipe = LoadOptions::new().migrations(|m| {
        m.rename("model.aa", "model.z")
            .if_present()
            .remove("models")
            .if_present();
    });
    fabric.load_with(PATH, &mut state, recipe).unwrap();
}

#[test]
fn some_of_the_entries_of_a_word_are_not_there() {
    says(
        &refused(|m| {
            m.concat(["model.a", "model.d"], "model.z", 0);
        }),
        &["has `model.a`, and not `model.d`"],
    );
    says(
        &refused(|m| {
            m.concat(["model.a", "model.d"], "model.z", 0).if_present();
        }),
        &["and not `model.d`"],
    );
}

#[test]
fn two_entries_of_one_name() {
    says(
        &refused(|m| {
            m.rename("model.a", "model.b");
        }),
        &["two entries would have the name `model.b`"],
    );
    says(
        &refused(|m| {
            m.rename("model.*", "model.z");
        }),
        &["two entries would have the name `model.z`"],
    );
    says(
        &refused(|m| {
            m.insert("count", 3);
        }),
        &["`count`"],
    );
    says(
        &refused(|m| {
            m.insert_zeros("model.a");
        }),
        &["the file has `model.a` already"],
    );
}

#[test]
fn shapes_that_do_not_fit() {
    says(
        &refused(|m| {
            m.concat(["model.a", "model.c"], "model.z", 0);
        }),
        &["concat", "[2, 3]", "[4]"],
    );
    says(
        &refused(|m| {
            m.split("model.a", [("model.y", 1), ("model.z", 1)], 1);
        }),
        &["2 together", "dimension 1", "3"],
    );
    says(
        &refused(|m| {
            m.split("model.a", [("model.y", 2)], 4);
        }),
        &["no dimension 4"],
    );
    says(
        &refused(|m| {
            m.transpose("model.c", 0, 1);
        }),
        &["transpose(\"model.c\", 0, 1)", "[4]"],
    );
    says(
        &refused(|m| {
            m.reshape("model.a", [7]);
        }),
        &["[2, 3]", "[7]"],
    );
    says(
        &refused(|m| {
            m.unstack("model.a", "model.z", 0);
        }),
        &["one `*` more"],
    );
    says(
        &refused(|m| {
            m.stack("model.*", "model.z", 0);
        }),
        &["which is no number"],
    );
    says(
        &refused(|m| {
            m.rename("model.a", "model.*");
        }),
        &["more `*`"],
    );
}

#[test]
fn a_value_is_no_tensor_and_a_tensor_no_value() {
    says(
        &refused(|m| {
            m.transpose("count", 0, 1);
        }),
        &["`count` is a value"],
    );
    says(
        &refused(|m| {
            m.value("model.a", "count", |n: u64| n);
        }),
        &["`model.a` is a tensor"],
    );
    says(
        &refused(|m| {
            m.cast("count", candle_core::DType::F16);
        }),
        &["`count` is a value"],
    );
    says(
        &refused(|m| {
            m.tensor("count", "count", Ok::<Tensor, String>);
        }),
        &["`count` is a value"],
    );
}

#[test]
fn after_the_recipe_the_match_is_strict_and_says_where_entries_came_from() {
    let message = refused(|m| {
        m.concat(["model.a", "model.b"], "model.ab", 1);
    });
    says(
        &message,
        &[
            "missing in the file",
            "model.a",
            "only in the file",
            "model.ab",
            "made of `model.a`, `model.b`",
            "concat",
        ],
    );
    let message = refused(|m| {
        m.reshape("model.c", (2, 2));
    });
    says(
        &message,
        &[
            "model.c: shape [2, 2] in the file, [4] in the state",
            "reshape(\"model.c\", [2, 2])",
        ],
    );
}

#[derive(Checkpoint)]
struct Training {
    model: BTreeMap<String, Tensor>,
    optimizer: AdamW,
}

/// Two parameters with other numbers of steps.
fn training(first: u64, second: u64) -> Training {
    let (a, b) = (var(1, (2, 2)), var(2, (2, 2)));
    let named = [("a".to_owned(), a.clone()), ("b".to_owned(), b.clone())];
    let mut state = Training {
        model: BTreeMap::from([("a".into(), a.as_tensor().clone()), ("b".into(), b.as_tensor().clone())]),
        optimizer: AdamW::from_named(named, candle_nn::ParamsAdamW::default()).unwrap(),
    };
    let loss = (a.as_tensor() * b.as_tensor()).unwrap().sum_all().unwrap();
    state.optimizer.backward_step(&loss).unwrap();
    let steps = |name: &str, _| Some(if name == "model.a" { first } else { second });
    set_optimizer_steps(&mut state, steps).unwrap();
    state
}

#[derive(Checkpoint)]
struct Joined {
    model: BTreeMap<String, Tensor>,
    optimizer: AdamW,
}

fn joined() -> Joined {
    let both = var(3, (4, 2));
    Joined {
        model: BTreeMap::from([("ab".into(), both.as_tensor().clone())]),
        optimizer: AdamW::from_named([("ab".to_owned(), both)], candle_nn::ParamsAdamW::default()).unwrap(),
    }
}

#[test]
fn unequal_steps_do_not_join() {
    let fabric = fabric();
    fabric.save(PATH, &training(3, 2)).unwrap();
    let recipe = |m: &mut Migrations| {
        m.concat(["model.a", "model.b"], "model.ab", 0);
    };
    let error = fabric
        .load_with(PATH, &mut joined(), LoadOptions::new().migrations(recipe))
        .unwrap_err();
    assert!(matches!(error, Error::Migration(_)), "{error}");
    says(
        &error.to_string(),
        &[
            "`step` of `model.a` is integer 3",
            "of `model.b` is integer 2",
            ".moments(Moments::Reset)",
        ],
    );
    let recipe = |m: &mut Migrations| {
        m.concat(["model.a", "model.b"], "model.ab", 0).moments(Moments::Reset);
    };
    fabric
        .load_with(PATH, &mut joined(), LoadOptions::new().migrations(recipe))
        .unwrap();
}

#[test]
fn steps_of_a_call_follow_the_version_of_the_state() {
    let fabric = fabric();
    fabric.save(PATH, &model(1)).unwrap();
    let mut state = model(2);
    let recipe = LoadOptions::new().migrations(|m| {
        m.from(0, "seen already").rename("never", "there");
        m.from(1, "due")
            .rename("model.a", "model.x")
            .rename("model.x", "model.a");
    });
    fabric.load_with(PATH, &mut state, recipe).unwrap();
}
