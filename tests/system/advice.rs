//! What a refused load advises, and that doing it restores the run.

use std::path::Path;

use candle_core::DType;
use candle_nn::{Linear, VarBuilder, VarMap};
use fabric_core::optim::AdamW;
use fabric_core::{Checkpoint, Fabric, LoadOptions, PartMismatchKind};
use serde_json::json;

use crate::python::{Py, adamw, adamw_group, dict, state_dict, value, write};
use crate::states::{CPU, Mlp, PATH, Train, bits, fabric, linear, refused, tensor, variables, weights};

fn contains(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part:?} is not in:\n{text}");
    }
}

fn lacks(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(!text.contains(part), "{part:?} is in:\n{text}");
    }
}

/// What the load of a file says when it is refused.
fn text_of<S: Checkpoint>(path: &Path, state: &mut S, whole: bool) -> String {
    let fabric = Fabric::new();
    let refused = if whole {
        fabric.load_raw(path, state)
    } else {
        fabric.load(path, state)
    };
    refused.unwrap_err().to_string()
}

#[derive(Checkpoint)]
struct Renamed {
    network: Mlp,
    optimizer: AdamW,
    iteration: u64,
}

fn renamed() -> Renamed {
    let network = Mlp::new(9);
    Renamed {
        optimizer: AdamW::new_lr(variables(&network), 0.5).unwrap(),
        network,
        iteration: 0,
    }
}

/// The first moments of a state, in the order of their names.
fn moments<S: Checkpoint>(state: &S) -> Vec<Vec<u8>> {
    let fabric = fabric();
    fabric.save("probe", state).unwrap();
    let raw = fabric.open("probe").unwrap();
    let names = raw.names().into_iter().filter(|name| name.ends_with(".exp_avg"));
    names.map(|name| bits(&raw.tensor(name, &CPU).unwrap())).collect()
}

#[test]
fn a_component_of_another_name_is_found_and_its_optimizer_comes_along() {
    #[derive(Checkpoint)]
    struct Aliased {
        #[checkpoint(alias = "model")]
        network: Mlp,
        optimizer: AdamW,
        iteration: u64,
    }
    let fabric = fabric();
    let saved = Train::new(1);
    fabric.save(PATH, &saved).unwrap();
    let mut live = renamed();
    let text = refused(&fabric, &mut live, LoadOptions::new()).to_string();
    contains(
        &text,
        &[
            "the file's `model` has the same 4 entries as `network`: alias = \"model\", or LoadOptions::rename(\"model\", \"network\")",
        ],
    );
    lacks(&text, &["strict(false)", "all together"]);
    // The cause stands before the lists.
    assert!(
        text.find("the same 4 entries") < text.find("missing in the file"),
        "{text}"
    );

    let loaded = fabric
        .load_with(PATH, &mut live, LoadOptions::new().rename("model", "network"))
        .unwrap();
    assert!(loaded.report.is_complete(), "{}", loaded.report);
    assert_eq!(weights(&live.network), weights(&saved.model));
    assert_eq!((moments(&live), live.iteration), (moments(&saved), saved.iteration));

    let Renamed {
        network,
        optimizer,
        iteration,
    } = renamed();
    let mut live = Aliased {
        network,
        optimizer,
        iteration,
    };
    assert!(fabric.load(PATH, &mut live).unwrap().report.is_complete());
    assert_eq!((moments(&live), live.iteration), (moments(&saved), saved.iteration));
}

#[test]
fn a_renamed_optimizer_and_a_renamed_layer_are_found_too() {
    #[derive(Checkpoint)]
    struct Net {
        first: Linear,
        fc2: Linear,
    }
    #[derive(Checkpoint)]
    struct Other {
        model: Net,
        opt: AdamW,
        iteration: u64,
    }
    let fabric = fabric();
    let saved = Train::new(1);
    fabric.save(PATH, &saved).unwrap();
    let model = Net {
        first: linear(7, 4, 8),
        fc2: linear(8, 8, 2),
    };
    let mut live = Other {
        opt: AdamW::new_lr(variables(&model), 0.5).unwrap(),
        model,
        iteration: 0,
    };
    let text = refused(&fabric, &mut live, LoadOptions::new()).to_string();
    contains(
        &text,
        &[
            "the file's `model.fc1` has the same 2 entries as `model.first`: alias = \"fc1\"",
            "LoadOptions::rename(\"model.fc1\", \"model.first\")",
            "LoadOptions::rename(\"optimizer\", \"opt\")",
        ],
    );
    let options = LoadOptions::new()
        .rename("model.fc1", "model.first")
        .rename("optimizer", "opt");
    let loaded = fabric.load_with(PATH, &mut live, options).unwrap();
    assert!(loaded.report.is_complete(), "{}", loaded.report);
    let sorted = |mut moments: Vec<Vec<u8>>| {
        moments.sort();
        moments
    };
    assert_eq!(sorted(moments(&live)), sorted(moments(&saved)));
}

#[test]
fn a_value_of_a_near_name_is_found() {
    #[derive(Checkpoint)]
    struct Now {
        iterations: u64,
        best_loss: f64,
    }
    #[derive(Checkpoint)]
    struct Before {
        iteration: u64,
        best_loss: f64,
    }
    let fabric = fabric();
    let saved = Before {
        iteration: 7,
        best_loss: 0.5,
    };
    fabric.save(PATH, &saved).unwrap();
    let mut live = Now {
        iterations: 0,
        best_loss: 0.,
    };
    let text = refused(&fabric, &mut live, LoadOptions::new()).to_string();
    contains(
        &text,
        &["alias = \"iteration\", or LoadOptions::rename(\"iteration\", \"iterations\")"],
    );
    lacks(&text, &["strict(false)"]);
    fabric
        .load_with(PATH, &mut live, LoadOptions::new().rename("iteration", "iterations"))
        .unwrap();
    assert_eq!(live.iterations, 7);
}

#[derive(Checkpoint)]
struct Run {
    model: Mlp,
    optimizer: AdamW,
}

fn run() -> Run {
    let model = Mlp::new(9);
    Run {
        optimizer: AdamW::new_lr(variables(&model), 0.5).unwrap(),
        model,
    }
}

fn optimizer() -> Py {
    let moments = [[8].as_slice(), &[8, 4], &[2], &[2, 8]].map(|shape| tensor(3, shape));
    adamw(json!([adamw_group(4)]), &moments, 5.)
}

#[test]
fn a_trainers_file_says_the_exact_call() {
    for (model, prefix, optimizer_key) in [
        ("model_state_dict", "", "optimizer_state_dict"),
        ("model_state_dict", "module.", "optimizer_state_dict"),
        ("state_dict", "net.", "optimizer"),
        ("net", "", "opt"),
        ("model", "module.", "optim"),
    ] {
        let file = dict([
            (model, state_dict(&Mlp::new(1), prefix)),
            (optimizer_key, optimizer()),
            ("epoch", value(3)),
            ("loss", value(0.5)),
        ]);
        let (_directory, path) = write(&file);
        let mut live = run();
        let text = text_of(&path, &mut live, false);
        lacks(&text, &["strict(false)"]);
        let from = format!("{model}.{prefix}");
        let from = from.trim_end_matches('.');
        let mut options = LoadOptions::new().rename(from, "model");
        contains(&text, &[&format!("rename({from:?}, \"model\")")]);
        if optimizer_key != "optimizer" {
            contains(
                &text,
                &[&format!(
                    "all together: LoadOptions::new().rename({from:?}, \"model\").rename({optimizer_key:?}, \"optimizer\")"
                )],
            );
            options = options.rename(optimizer_key, "optimizer");
        }
        let loaded = Fabric::new().load_with(&path, &mut live, options).unwrap();
        assert!(loaded.report.is_complete(), "{}", loaded.report);
        assert_eq!(weights(&live.model), weights(&Mlp::new(1)));
        assert_eq!(loaded.remainder.names(), ["epoch", "loss"]);
    }
}

#[test]
fn a_file_of_lightnings_trainer_says_the_exact_call() {
    let file = dict([
        ("state_dict", state_dict(&Mlp::new(1), "net.")),
        ("optimizer_states", dict([("0", optimizer())])),
        ("epoch", value(3)),
    ]);
    let (_directory, path) = write(&file);
    let mut live = run();
    let text = text_of(&path, &mut live, false);
    let call = "all together: LoadOptions::new().rename(\"state_dict.net\", \"model\").rename(\"optimizer_states.0\", \"optimizer\")";
    contains(&text, &[call]);
    let options = LoadOptions::new()
        .rename("state_dict.net", "model")
        .rename("optimizer_states.0", "optimizer");
    Fabric::new().load_with(&path, &mut live, options).unwrap();
    assert_eq!(weights(&live.model), weights(&Mlp::new(1)));
}

#[test]
fn prefixes_of_wrappers_inside_of_a_component_are_named() {
    for prefix in ["module.", "_orig_mod."] {
        let file = dict([("model", state_dict(&Mlp::new(1), prefix)), ("optimizer", optimizer())]);
        let (_directory, path) = write(&file);
        let mut live = run();
        let text = text_of(&path, &mut live, false);
        let is_prefix = text.contains(&format!(
            "LoadOptions::new().strip_prefix({prefix:?}) would match 4 entries"
        ));
        assert!(is_prefix, "{text}");
        let options = LoadOptions::new().strip_prefix(prefix);
        Fabric::new().load_with(&path, &mut live, options).unwrap();
        assert_eq!(weights(&live.model), weights(&Mlp::new(1)));
    }
}

#[test]
fn bare_weights_given_to_a_state_are_loaded_into_its_model() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("weights.safetensors");
    let weights_of = fabric_core::named_parameters(&Mlp::new(1)).into_iter();
    let tensors = weights_of.map(|(name, var)| (name, var.as_tensor().clone()));
    candle_core::safetensors::save(&tensors.collect(), &path).unwrap();
    let mut live = Train::new(2);
    for strict in [true, false] {
        let options = LoadOptions::new().strict(strict);
        let text = Fabric::new()
            .load_with(&path, &mut live, options)
            .unwrap_err()
            .to_string();
        contains(
            &text,
            &["the file itself has the same 4 entries as `model`: fabric.load_raw(path, &mut state.model)"],
        );
        lacks(&text, &["strict(false)"]);
    }
    Fabric::new().load_raw(&path, &mut live.model).unwrap();
    assert_eq!(weights(&live.model), weights(&Mlp::new(1)));
}

#[test]
fn a_states_file_given_to_a_model_names_the_root() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state.ckpt");
    Fabric::new().save(&path, &Train::new(1)).unwrap();
    for whole in [true, false] {
        let mut live = Mlp::new(2);
        let text = text_of(&path, &mut live, whole);
        contains(&text, &["LoadOptions::new().root(\"model\") would match 4 entries"]);
        lacks(&text, &["strict(false)"]);
        let options = LoadOptions::new().root("model");
        Fabric::new().load_raw_with(&path, &mut live, options).unwrap();
        assert_eq!(weights(&live), weights(&Train::new(1).model));
    }
}

#[test]
fn a_model_whose_head_lies_beside_its_body_is_found_by_the_prefix_of_the_body() {
    #[derive(Checkpoint)]
    struct Decoder {
        embed: Linear,
        norm: Linear,
        lm_head: Linear,
    }
    let lm = |seed| Decoder {
        embed: linear(seed, 2, 2),
        norm: linear(seed + 1, 2, 3),
        lm_head: linear(seed + 2, 3, 3),
    };
    let saved = lm(1);
    let body = dict([
        ("embed", state_dict(&saved.embed, "")),
        ("norm", state_dict(&saved.norm, "")),
    ]);
    let (_directory, path) = write(&dict([("model", body), ("lm_head", state_dict(&saved.lm_head, ""))]));
    let mut live = lm(5);
    let text = text_of(&path, &mut live, true);
    contains(
        &text,
        &["LoadOptions::new().strip_prefix(\"model.\") would match 4 entries"],
    );
    Fabric::new()
        .load_raw_with(&path, &mut live, LoadOptions::new().strip_prefix("model."))
        .unwrap();
    assert_eq!(weights(&live), weights(&saved));
}

#[test]
fn a_list_of_another_length_says_both_lengths() {
    #[derive(Checkpoint)]
    struct State {
        layers: Vec<Linear>,
        step: u64,
    }
    let state = |count: u64| State {
        layers: (0..count).map(|seed| linear(seed, 2, 2)).collect(),
        step: 1,
    };
    let fabric = fabric();
    fabric.save(PATH, &state(3)).unwrap();
    for count in [2, 5] {
        let text = refused(&fabric, &mut state(count), LoadOptions::new()).to_string();
        contains(
            &text,
            &[&format!("`layers` has 3 items in the file and {count} in the state")],
        );
    }
    let text = refused(&fabric, &mut state(0), LoadOptions::new()).to_string();
    contains(
        &text,
        &["`layers` is empty in the state", "the file has 6 entries for it"],
    );
}

/// The entries of one list in another were named one by one, and the list inside of it was not named at all.
#[test]
fn a_list_of_another_length_is_named_once_and_first_at_any_depth() {
    #[derive(Checkpoint)]
    struct Block {
        experts: Vec<Linear>,
    }
    #[derive(Checkpoint)]
    struct State {
        blocks: Vec<Block>,
        heads: Vec<Linear>,
    }
    let layers = |count: u64| (0..count).map(|seed| linear(seed, 2, 2)).collect::<Vec<_>>();
    let state = |experts: u64, heads: u64| State {
        blocks: vec![
            Block { experts: layers(2) },
            Block {
                experts: layers(experts),
            },
        ],
        heads: layers(heads),
    };
    let fabric = fabric();
    fabric.save(PATH, &state(4, 9)).unwrap();
    let report = refused(&fabric, &mut state(2, 2), LoadOptions::new());
    let length = |name: &str, found, expected| (name.to_owned(), PartMismatchKind::Length { found, expected });
    let parts: Vec<_> = report.parts.iter().map(|part| (part.name.clone(), part.kind)).collect();
    assert_eq!(parts, [length("blocks.1.experts", 4, 2), length("heads", 9, 2)]);
    assert_eq!(report.unexpected.len(), 18);
    let text = report.to_string();
    let expected = format!(
        "{PATH} does not match the state, which is unchanged\n  \
         help: `blocks.1.experts` has 4 items in the file and 2 in the state: give it 4 before the load\n  \
         help: `heads` has 9 items in the file and 2 in the state: give it 9 before the load\n  \
         only in the file: 18 entries\n    \
         4 entries below `blocks.1.experts`\n    \
         14 entries below `heads`"
    );
    assert!(text.starts_with(&expected), "{text}");
    let text = refused(&fabric, &mut state(2, 11), LoadOptions::new()).to_string();
    contains(&text, &["missing in the file: 4 entries\n    4 entries below `heads`"]);
}

#[test]
fn what_is_none_or_empty_in_the_state_is_named() {
    #[derive(Checkpoint)]
    struct Model {
        body: Linear,
        head: Option<Linear>,
    }
    #[derive(Checkpoint)]
    struct State {
        model: Model,
        ema: Option<Linear>,
        extra: VarMap,
    }
    let some = VarMap::new();
    candle_nn::linear(2, 2, VarBuilder::from_varmap(&some, DType::F32, &CPU)).unwrap();
    let state = |extra: VarMap, full: bool| State {
        model: Model {
            body: linear(1, 2, 2),
            head: full.then(|| linear(2, 2, 2)),
        },
        ema: full.then(|| linear(3, 2, 2)),
        extra,
    };
    let fabric = fabric();
    fabric.save(PATH, &state(some, true)).unwrap();
    let text = refused(&fabric, &mut state(VarMap::new(), false), LoadOptions::new()).to_string();
    contains(
        &text,
        &[
            "`ema` is None in the state, so nothing can be restored into it",
            "`model.head` is None in the state, so nothing can be restored into it",
            "`extra` is empty in the state, so nothing can be restored into it",
        ],
    );
}

#[test]
fn a_flattened_field_that_is_none_is_named_by_its_level() {
    #[derive(Checkpoint)]
    struct Part {
        #[checkpoint(flatten)]
        head: Option<Linear>,
        bottom: Linear,
    }
    #[derive(Checkpoint)]
    struct State {
        #[checkpoint(flatten)]
        extra: Option<Mlp>,
        model: Part,
    }
    let state = |full: bool| State {
        extra: full.then(|| Mlp::new(1)),
        model: Part {
            head: full.then(|| linear(2, 2, 2)),
            bottom: linear(3, 2, 2),
        },
    };
    let fabric = fabric();
    fabric.save(PATH, &state(true)).unwrap();
    let text = refused(&fabric, &mut state(false), LoadOptions::new()).to_string();
    contains(
        &text,
        &[
            "a flattened field of the state is None, so nothing can be restored into it",
            "a flattened field of `model` is None, so nothing can be restored into it, and the file has 2 entries there",
        ],
    );
}

#[test]
fn a_load_that_is_not_strict_is_the_last_resort_and_says_what_it_leaves() {
    #[derive(Checkpoint)]
    struct State {
        model: Mlp,
        adapter: Linear,
    }
    #[derive(Checkpoint)]
    struct Before {
        model: Mlp,
    }
    let fabric = fabric();
    fabric.save(PATH, &Before { model: Mlp::new(1) }).unwrap();
    let mut live = State {
        model: Mlp::new(2),
        adapter: linear(3, 7, 7),
    };
    let text = refused(&fabric, &mut live, LoadOptions::new()).to_string();
    let last = text.lines().last().unwrap();
    contains(
        last,
        &[
            "as a last resort, LoadOptions::new().strict(false) restores what matches",
            "leaves 2 entries of the state as they are: `adapter.bias`, `adapter.weight`",
        ],
    );
    let loaded = fabric
        .load_with(PATH, &mut live, LoadOptions::new().strict(false))
        .unwrap();
    assert_eq!(loaded.report.missing, ["adapter.bias", "adapter.weight"]);
    assert_eq!(weights(&live.model), weights(&Mlp::new(1)));
}

#[test]
fn a_tensor_that_no_conversion_reaches_is_not_advised_to_be_converted() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("complex.safetensors");
    let bytes = [0u8; 16];
    let complex = safetensors::tensor::TensorView::new(safetensors::Dtype::C64, vec![2], &bytes).unwrap();
    safetensors::serialize_to_file([("weight", complex)], None, &path).unwrap();
    let mut live = Linear::new(tensor(1, 2), None);
    let text = text_of(&path, &mut live, true);
    contains(&text, &["weight: element type C64 in the file, F32 in the state"]);
    lacks(&text, &["cast(true)"]);
}
