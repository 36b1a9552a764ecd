//! Bare weights: safetensors files that others wrote.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use candle_core::{DType, Tensor};
use candle_nn::Linear;
use fabric_core::optim::AdamW;
use fabric_core::{Checkpoint, Fabric, LoadOptions, OnMismatch};

use crate::states::{CPU, Mlp, Train, bits, image, linear, tensor, variables, weights};

fn directory() -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("weights.safetensors");
    (directory, path)
}

fn named(prefix: &str, model: &Mlp) -> HashMap<String, Tensor> {
    let parameters = fabric_core::named_parameters(model).into_iter();
    parameters
        .map(|(name, var)| (format!("{prefix}{name}"), var.as_tensor().clone()))
        .collect()
}

fn write(path: &Path, tensors: &HashMap<String, Tensor>) {
    candle_core::safetensors::save(tensors, path).unwrap();
}

fn refused<S: Checkpoint>(path: &Path, live: &mut S, options: LoadOptions) -> String {
    let before = weights(live);
    let error = Fabric::new().load_raw_with(path, live, options).unwrap_err();
    assert!(weights(live) == before, "{error}");
    error.to_string()
}

#[test]
fn a_file_that_candle_wrote_fills_a_module() {
    let (_directory, path) = directory();
    write(&path, &named("", &Mlp::new(1)));
    let mut live = Mlp::new(2);
    let loaded = Fabric::new().load_raw(&path, &mut live).unwrap();
    assert!(loaded.report.is_complete() && loaded.remainder.is_empty());
    assert_eq!(weights(&live), weights(&Mlp::new(1)));
}

#[test]
fn a_file_of_the_safetensors_crate_with_its_metadata_fills_a_module() {
    let (_directory, path) = directory();
    let bytes: Vec<u8> = (0..6u8).flat_map(|n| f32::from(n).to_le_bytes()).collect();
    let view = safetensors::tensor::TensorView::new(safetensors::Dtype::F32, vec![3, 2], &bytes).unwrap();
    let metadata = HashMap::from([("format".to_owned(), "pt".to_owned())]);
    safetensors::serialize_to_file([("weight", view)], Some(metadata), &path).unwrap();
    let mut live = Linear::new(tensor(1, (3, 2)), None);
    Fabric::new().load_raw(&path, &mut live).unwrap();
    assert_eq!(
        live.weight().flatten_all().unwrap().to_vec1::<f32>().unwrap(),
        [0., 1., 2., 3., 4., 5.]
    );
}

#[test]
fn our_own_checkpoint_is_a_file_that_others_read() {
    let (_directory, path) = directory();
    let state = Train::new(1);
    Fabric::new().save(&path, &state).unwrap();
    let read = candle_core::safetensors::load(&path, &CPU).unwrap();
    assert_eq!(bits(&read["model.fc1.weight"]), bits(state.model.fc1.weight()));
    let bytes = std::fs::read(&path).unwrap();
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    assert_eq!(
        file.tensor("model.fc2.bias").unwrap().data(),
        bits(state.model.fc2.bias().unwrap())
    );
}

#[test]
fn every_entry_of_the_file_is_meant_for_the_module() {
    let (_directory, path) = directory();
    let mut tensors = named("", &Mlp::new(1));
    tensors.insert("extra".to_owned(), tensor(1, 2));
    tensors.remove("fc2.bias");
    write(&path, &tensors);
    let mut live = Mlp::new(2);
    let text = refused(&path, &mut live, LoadOptions::new());
    assert!(text.contains("missing in the file: 1 entry\n    fc2.bias"), "{text}");
    assert!(text.contains("only in the file: 1 entry\n    extra"), "{text}");
    let loaded = Fabric::new()
        .load_raw_with(&path, &mut live, LoadOptions::new().strict(false))
        .unwrap();
    assert_eq!(
        (loaded.report.restored.len(), loaded.remainder.names()),
        (3, vec!["extra"])
    );
}

#[test]
fn shapes_and_element_types_follow_the_same_rules() {
    let (_directory, path) = directory();
    let half = |tensor: Tensor| tensor.to_dtype(DType::BF16).unwrap();
    let mut tensors: HashMap<_, _> = named("", &Mlp::new(1))
        .into_iter()
        .map(|(name, t)| (name, half(t)))
        .collect();
    write(&path, &tensors);
    let mut live = Mlp::new(2);
    assert!(refused(&path, &mut live, LoadOptions::new().strict(false)).contains("BF16 in the file, F32 in the state"));
    Fabric::new()
        .load_raw_with(&path, &mut live, LoadOptions::new().cast(true))
        .unwrap();
    assert_eq!(
        bits(live.fc1.weight()),
        bits(&tensors["fc1.weight"].to_dtype(DType::F32).unwrap())
    );
    tensors = named("", &Mlp::new(1));
    tensors.insert("fc2.weight".to_owned(), tensor(1, (5, 8)));
    write(&path, &tensors);
    assert!(refused(&path, &mut live, LoadOptions::new().strict(false)).contains("shape [5, 8] in the file, [2, 8]"));
    let skip = LoadOptions::new().on_mismatch(OnMismatch::Skip);
    let loaded = Fabric::new().load_raw_with(&path, &mut live, skip).unwrap();
    assert_eq!(loaded.report.restored.len(), 3);
}

#[test]
fn a_file_in_which_nothing_matches_is_an_error_also_when_not_strict() {
    let (_directory, path) = directory();
    write(&path, &named("bert.encoder.", &Mlp::new(1)));
    let mut live = Mlp::new(2);
    for options in [LoadOptions::new(), LoadOptions::new().strict(false)] {
        let text = refused(&path, &mut live, options);
        assert!(
            text.contains("nothing in it matches: it holds 4 entries below `bert`"),
            "{text}"
        );
        assert!(text.contains("subtree(name).load_raw(&mut model)"), "{text}");
    }
    let raw = Fabric::new().open(&path).unwrap();
    raw.subtree("bert.encoder").load_raw(&mut live).unwrap();
    assert_eq!(weights(&live), weights(&Mlp::new(1)));
}

#[test]
fn our_own_checkpoint_given_as_bare_weights_says_what_it_is() {
    let (_directory, path) = directory();
    Fabric::new().save(&path, &Train::new(1)).unwrap();
    let mut live = Mlp::new(2);
    let text = refused(&path, &mut live, LoadOptions::new().strict(false));
    for component in ["`hparams`", "`iteration`", "`model`", "`optimizer`", "subtree(name)"] {
        assert!(text.contains(component), "{component} is not in {text}");
    }
}

#[test]
fn one_tensor_of_another_shape_is_the_right_file_all_the_same() {
    let (_directory, path) = directory();
    write(&path, &[("weight".to_owned(), tensor(1, (3, 2)))].into());
    let mut live = Linear::new(tensor(2, (2, 2)), None);
    let text = refused(&path, &mut live, LoadOptions::new());
    assert!(
        text.contains("weight: shape [3, 2] in the file, [2, 2] in the state"),
        "{text}"
    );
    assert!(!text.contains("nothing in it matches"), "{text}");
}

#[test]
fn plain_values_inside_a_module_are_not_looked_for_and_stay() {
    #[derive(Checkpoint)]
    struct Norm {
        weight: Tensor,
        eps: f64,
        seen: Option<u64>,
    }
    let (_directory, path) = directory();
    write(&path, &[("weight".to_owned(), tensor(1, 3))].into());
    let mut live = Norm {
        weight: tensor(2, 3),
        eps: 1e-5,
        seen: Some(3),
    };
    let loaded = Fabric::new().load_raw(&path, &mut live).unwrap();
    assert!(loaded.report.is_complete());
    assert_eq!(
        (bits(&live.weight), live.eps, live.seen),
        (bits(&tensor(1, 3)), 1e-5, Some(3))
    );
    // Also from a checkpoint of the module by itself, which has them.
    Fabric::new()
        .save(
            &path,
            &Norm {
                weight: tensor(3, 3),
                eps: 0.5,
                seen: None,
            },
        )
        .unwrap();
    Fabric::new().load_raw(&path, &mut live).unwrap();
    assert_eq!(
        (bits(&live.weight), live.eps, live.seen),
        (bits(&tensor(3, 3)), 1e-5, Some(3))
    );
}

#[test]
fn a_state_loads_bare_weights_of_its_model_without_losing_its_values() {
    #[derive(Checkpoint)]
    struct State {
        model: Mlp,
        best: Option<f64>,
        step: u64,
    }
    let (_directory, path) = directory();
    write(&path, &named("model.", &Mlp::new(1)));
    let mut live = State {
        model: Mlp::new(2),
        best: Some(0.5),
        step: 7,
    };
    Fabric::new()
        .load_with(&path, &mut live, LoadOptions::new().only(State::FIELDS.model))
        .unwrap();
    assert_eq!(
        (weights(&live), live.best, live.step),
        (
            weights(&State {
                model: Mlp::new(1),
                best: None,
                step: 0
            }),
            Some(0.5),
            7
        )
    );
}

#[test]
fn a_file_that_cannot_hold_values_does_not_clear_an_option() {
    #[derive(Checkpoint)]
    struct State {
        model: Mlp,
        best: Option<f64>,
    }
    let (_directory, path) = directory();
    write(&path, &named("model.", &Mlp::new(1)));
    let mut live = State {
        model: Mlp::new(2),
        best: Some(0.5),
    };
    let loaded = Fabric::new().load(&path, &mut live).unwrap();
    assert_eq!((weights(&live.model), live.best), (weights(&Mlp::new(1)), Some(0.5)));
    assert!(!loaded.report.restored.iter().any(|name| name == "best"));
}

#[test]
fn a_value_with_a_default_takes_it_from_a_file_that_cannot_hold_values() {
    #[derive(Checkpoint)]
    struct State {
        model: Mlp,
        #[checkpoint(default)]
        step: u64,
        #[checkpoint(metadata, default)]
        notes: Vec<String>,
        #[checkpoint(optional)]
        epoch: u64,
    }
    #[derive(Checkpoint)]
    struct Counted {
        #[checkpoint(flatten)]
        model: Mlp,
        #[checkpoint(default)]
        step: u64,
    }
    let (_directory, path) = directory();
    write(&path, &named("model.", &Mlp::new(1)));
    let mut live = State {
        model: Mlp::new(2),
        step: 7,
        notes: vec!["seven".to_owned()],
        epoch: 7,
    };
    let loaded = Fabric::new().load(&path, &mut live).unwrap();
    assert_eq!((live.step, live.notes.len(), live.epoch), (0, 0, 7));
    assert!(loaded.report.restored.iter().any(|name| name == "step"));
    // `load_raw` is about tensors.
    write(&path, &named("", &Mlp::new(1)));
    let mut counted = Counted {
        model: Mlp::new(2),
        step: 7,
    };
    Fabric::new().load_raw(&path, &mut counted).unwrap();
    assert_eq!((weights(&counted.model), counted.step), (weights(&Mlp::new(1)), 7));
}

#[test]
fn an_optimizer_without_a_match_is_an_error_too() {
    let (_directory, path) = directory();
    write(&path, &named("", &Mlp::new(1)));
    let mut optimizer = AdamW::new_lr(variables(&Mlp::new(2)), 0.5).unwrap();
    let before = image(&optimizer);
    let error = Fabric::new()
        .load_raw_with(&path, &mut optimizer, LoadOptions::new().strict(false))
        .unwrap_err();
    assert!(error.to_string().contains("nothing in it matches"), "{error}");
    assert!(image(&optimizer) == before);
}

#[test]
fn element_types_that_candle_lacks_are_listed_and_widened_only_where_that_is_asked_for() {
    let (_directory, path) = directory();
    let mask = safetensors::tensor::TensorView::new(safetensors::Dtype::BOOL, vec![2], &[1, 0]).unwrap();
    let bytes = [0u8; 8];
    let weight = safetensors::tensor::TensorView::new(safetensors::Dtype::F32, vec![2, 1], &bytes).unwrap();
    safetensors::serialize_to_file([("bias", mask), ("weight", weight)], None, &path).unwrap();
    let raw = Fabric::new().open(&path).unwrap();
    assert_eq!(raw.info("bias").unwrap().dtype().to_string(), "BOOL");
    let error = raw.tensor("bias", &CPU).unwrap_err().to_string();
    assert!(error.contains("BOOL"), "{error}");
    let mut live = linear(1, 1, 2);
    let text = refused(&path, &mut live, LoadOptions::new());
    assert!(
        text.contains("bias: element type BOOL in the file, F32 in the state"),
        "{text}"
    );
    Fabric::new()
        .load_raw_with(&path, &mut live, LoadOptions::new().cast(true))
        .unwrap();
    assert_eq!(live.bias().unwrap().to_vec1::<f32>().unwrap(), [1., 0.]);
    let mut live = Linear::new(tensor(1, (2, 1)), None);
    Fabric::new()
        .load_raw_with(&path, &mut live, LoadOptions::new().strict(false))
        .unwrap();
}
