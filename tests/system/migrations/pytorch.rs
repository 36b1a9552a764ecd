//! Optimizers of PyTorch under a recipe: their parameters are numbered, or named relative to the module.

use candle_core::{DType, Tensor};
use candle_nn::Linear;
use fabric_core::optim::AdamW;
use fabric_core::{Checkpoint, Fabric, LoadOptions, LoadReport, Migrations, named_optimizer_state};
use serde_json::json;

use crate::numbers::{Saved as Net, State, layer, swapped};
use crate::python::{Py, adamw, adamw_group, dict, state_dict, value, write};
use crate::states::{CPU, bits, variables};

fn net(seed: u64) -> Net {
    Net {
        k: layer(seed),
        q: layer(seed + 2),
    }
}

const NAMES: [&str; 4] = ["k.bias", "k.weight", "q.bias", "q.weight"];

fn numbered(shape: &[usize], from: f32) -> Tensor {
    let count: usize = shape.iter().product();
    let count = u8::try_from(count).unwrap();
    let elements: Vec<f32> = (0..count).map(|at| from + f32::from(at)).collect();
    Tensor::from_vec(elements, shape, &CPU).unwrap()
}

/// One moment for each parameter, in the order of [`NAMES`]. No two elements are equal.
fn moments() -> Vec<Tensor> {
    let shapes: [&[usize]; 4] = [&[2], &[2, 2], &[2], &[2, 2]];
    let all = shapes.iter().zip([10., 20., 30., 40.]);
    all.map(|(shape, from)| numbered(shape, from)).collect()
}

fn group(names: bool) -> serde_json::Value {
    let mut group = adamw_group(4);
    if names {
        group["param_names"] = json!(NAMES);
    }
    json!([group])
}

/// A file with the net at each of these levels, and its optimizer.
fn file(levels: &[&str], names: bool) -> Py {
    let nets = (1..).step_by(10).zip(levels);
    let nets = nets.map(|(seed, level)| ((*level).to_owned(), state_dict(&net(seed), "")));
    let optimizer = ("optimizer".to_owned(), adamw(group(names), &moments(), 5.));
    dict(nets.chain([optimizer]))
}

fn moment<M: Checkpoint>(state: &State<M>, parameter: &str) -> Tensor {
    let all = named_optimizer_state(state).unwrap();
    let own = all.iter().find(|own| own.parameter == format!("model.{parameter}"));
    own.unwrap().tensor("exp_avg").unwrap().clone()
}

#[track_caller]
fn assert_moments<M: Checkpoint>(state: &State<M>) {
    for (name, expected) in NAMES.iter().zip(moments()) {
        assert_eq!(bits(&moment(state, name)), bits(&expected), "{name}");
    }
}

fn load<M: Checkpoint>(object: &Py, live: &mut State<M>, recipe: impl FnOnce(&mut Migrations)) -> LoadReport {
    let (_directory, path) = write(object);
    let options = LoadOptions::new().migrations(recipe);
    Fabric::new().load_with(&path, live, options).unwrap().report
}

#[test]
fn the_order_of_a_file_numbers_its_parameters_after_a_rename_too() {
    for (levels, recipe) in [
        (
            ["net"],
            (|m| {
                m.rename("net", "model");
            }) as fn(&mut Migrations),
        ),
        (["net"], |m| {
            m.rename("net.*.*", "model.*.*");
        }),
        (["model"], |m| {
            m.rename("model.k", "model.x").rename("model.x", "model.k");
        }),
    ] {
        let mut live = swapped();
        let report = load(&file(&levels, false), &mut live, recipe);
        assert!(report.assumed.is_empty(), "{report}");
        assert_moments(&live);
    }
    // With options before the recipe.
    let (_directory, path) = write(&dict([("state", file(&["net"], false)), ("epoch", value(3))]));
    let mut live = swapped();
    let options = LoadOptions::new().root("state").migrations(|m| {
        m.rename("net", "model");
    });
    let loaded = Fabric::new().load_with(&path, &mut live, options).unwrap();
    assert!(loaded.report.assumed.is_empty(), "{}", loaded.report);
    assert_moments(&live);
    // What lies outside of the root is in the remainder.
    assert_eq!(loaded.remainder.names(), ["epoch"]);
    assert_eq!(loaded.report.migrated[0].from, ["state.net.k.bias"]);
}

/// The averaged weights have the names of the model's.
#[test]
fn words_on_another_module_leave_the_moments() {
    let both = file(&["ema", "model"], true);
    let recipes: [fn(&mut Migrations); 3] = [
        |m| {
            m.remove("ema");
        },
        |m| {
            m.remove("ema.*");
        },
        |m| {
            m.transpose("ema.*.weight", 0, 1).remove("ema");
        },
    ];
    for recipe in recipes {
        let mut live = swapped();
        load(&both, &mut live, recipe);
        assert_moments(&live);
    }
    let mut live = swapped();
    load(&both, &mut live, |m| {
        m.transpose("model.k.weight", 0, 1)
            .transpose("ema.k.weight", 0, 1)
            .remove("ema");
    });
    let turned = moments()[1].t().unwrap().contiguous().unwrap();
    assert_eq!(bits(&moment(&live, "k.weight")), bits(&turned));
    assert_eq!(bits(&moment(&live, "q.weight")), bits(&moments()[3]));
}

/// Without a state, nobody says which of two modules the optimizer is of.
#[test]
fn a_word_on_one_of_two_modules_is_refused_without_a_state() {
    let (_directory, path) = write(&file(&["ema", "net"], true));
    let raw = Fabric::new().open(&path).unwrap();
    let error = raw
        .migrated(|m| {
            m.transpose("net.k.weight", 0, 1);
        })
        .unwrap_err()
        .to_string();
    assert!(error.contains("that of each of `ema`, `net`"), "{error}");
    assert!(
        error.contains(".remove(..) the level that the optimizer does not train"),
        "{error}"
    );
    let turned = raw
        .migrated(|m| {
            m.rename("net", "model").remove("ema").transpose("model.k.weight", 0, 1);
        })
        .unwrap();
    let moment = turned.tensor("optimizer.state.1.exp_avg", &CPU).unwrap();
    assert_eq!(bits(&moment), bits(&moments()[1].t().unwrap().contiguous().unwrap()));
}

#[derive(Checkpoint)]
struct Weights {
    model: Net,
}

#[test]
fn words_that_move_elements_need_the_names() {
    let mut live = swapped();
    load(&file(&["net"], true), &mut live, |m| {
        m.rename("net", "model")
            .transpose("model.*.weight", 0, 1)
            .transpose("model.*.weight", 0, 1);
    });
    assert_moments(&live);
    let (_directory, path) = write(&file(&["model"], false));
    let recipe = LoadOptions::new().migrations(|m| {
        m.transpose("model.k.weight", 0, 1);
    });
    let error = Fabric::new()
        .load_with(&path, &mut swapped(), recipe.clone())
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("numbers its parameters") && error.contains("exclude"),
        "{error}"
    );
    // A state without an optimizer takes the weights.
    let mut weights = Weights { model: net(50) };
    Fabric::new().load_with(&path, &mut weights, recipe).unwrap();
    let turned = net(1).k.weight().t().unwrap().contiguous().unwrap();
    assert_eq!(bits(weights.model.k.weight()), bits(&turned));
}

#[test]
fn a_value_that_a_recipe_makes_of_groups_stays() {
    let mut live = swapped();
    load(&file(&["net"], true), &mut live, |m| {
        m.value(
            "optimizer.param_groups",
            "optimizer.param_groups",
            |mut groups: serde_json::Value| {
                groups[0]["lr"] = json!(0.125);
                groups
            },
        )
        .rename("net", "model");
    });
    assert_moments(&live);
    let lr = fabric_core::optim::Optimizer::learning_rate(&live.optimizer);
    assert_eq!(lr.to_bits(), 0.125f64.to_bits());
}

#[test]
fn hyper_parameters_that_stay_are_those_of_the_same_kind() {
    let mut radam = adamw_group(4);
    radam.as_object_mut().unwrap().remove("amsgrad");
    let other = dict([
        ("model", state_dict(&net(1), "")),
        ("optimizer", adamw(json!([radam]), &moments(), 5.)),
    ]);
    let (_directory, path) = write(&other);
    let options = LoadOptions::new().keep_hyperparameters();
    let error = Fabric::new()
        .load_with(&path, &mut swapped(), options.clone())
        .unwrap_err()
        .to_string();
    assert!(error.contains("RAdam"), "{error}");
    let (_directory, path) = write(&file(&["model"], true));
    let mut live = swapped();
    let loaded = Fabric::new().load_with(&path, &mut live, options).unwrap();
    assert_moments(&live);
    assert_eq!(loaded.report.kept, ["optimizer.param_groups"]);
    let lr = fabric_core::optim::Optimizer::learning_rate(&live.optimizer);
    assert_eq!(lr.to_bits(), 0.5f64.to_bits());
}

#[test]
fn each_of_two_recipes_keeps_the_tensors_that_it_made() {
    let (_directory, path) = write(&file(&["model"], true));
    let raw = Fabric::new().open(&path).unwrap();
    let twice = raw
        .migrated(|m| {
            m.tensor("model.k.weight", "model.k.weight", |old| old * 2.);
        })
        .and_then(|raw| {
            raw.migrated(|m| {
                m.tensor("model.q.bias", "model.q.bias", |old| old * 4.);
            })
        })
        .unwrap();
    let stored = |raw: &fabric_core::RawCheckpoint, name: &str| raw.tensor(name, &CPU).unwrap();
    for (name, factor) in [("model.k.weight", 2.), ("model.q.bias", 4.)] {
        let expected = (stored(&raw, name) * factor).unwrap();
        assert_eq!(bits(&stored(&twice, name)), bits(&expected), "{name}");
    }
    assert_eq!(stored(&twice, "model.k.weight").dtype(), DType::F32);
}

#[derive(Checkpoint)]
struct OfK {
    k: Linear,
}

#[derive(Checkpoint)]
struct OfQ {
    q: Linear,
}

#[derive(Checkpoint)]
struct TwoModules {
    a: OfK,
    b: OfQ,
    optimizer: AdamW,
}

fn named_file(names: &[&str], parts: impl IntoIterator<Item = (&'static str, Py)>) -> Py {
    let mut group = adamw_group(4);
    group["param_names"] = json!(names);
    let optimizer = adamw(json!([group]), &moments(), 5.);
    dict(parts.into_iter().chain([("optimizer", optimizer)]))
}

/// One optimizer of two modules names each parameter relative to its own.
#[test]
fn parameters_of_two_modules_are_found_one_by_one() {
    let file = named_file(
        &NAMES,
        [
            ("a", state_dict(&OfK { k: layer(1) }, "")),
            ("b", state_dict(&OfQ { q: layer(3) }, "")),
        ],
    );
    let (_directory, path) = write(&file);
    let (a, b) = (OfK { k: layer(11) }, OfQ { q: layer(13) });
    let vars = [variables(&a), variables(&b)].concat();
    let mut live = TwoModules {
        optimizer: AdamW::new_lr(vars, 0.5).unwrap(),
        a,
        b,
    };
    let options = LoadOptions::new().migrations(|m| {
        m.transpose("a.k.weight", 0, 1);
    });
    Fabric::new().load_with(&path, &mut live, options).unwrap();
    let all = named_optimizer_state(&live).unwrap();
    let moment = |name: &str| {
        all.iter()
            .find(|own| own.parameter == name)
            .unwrap()
            .tensor("exp_avg")
            .unwrap()
    };
    let turned = moments()[1].t().unwrap().contiguous().unwrap();
    assert_eq!(bits(moment("a.k.weight")), bits(&turned));
    assert_eq!(bits(moment("b.q.weight")), bits(&moments()[3]));
}

/// The optimizer was given the wrapped module, and the file has the state of the module inside.
#[test]
fn parameters_under_names_that_the_file_lacks_are_no_guess() {
    let names = NAMES.map(|name| format!("module.{name}"));
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let file = named_file(&names, [("model", state_dict(&net(1), ""))]);
    let (_directory, path) = write(&file);
    let options = LoadOptions::new().migrations(|m| {
        m.transpose("model.k.weight", 0, 1);
    });
    let error = Fabric::new()
        .load_with(&path, &mut swapped(), options)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("`module.k.weight`, which is no tensor of the file and may be `model.k.weight`"),
        "{error}"
    );
}
