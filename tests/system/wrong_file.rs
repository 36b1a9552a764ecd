//! A load that would restore nothing was given the wrong file, strict or not.

use std::collections::HashMap;

use candle_core::{DType, Tensor};
use candle_nn::{Linear, VarBuilder, VarMap};
use fabric_core::{Checkpoint, Error, LoadOptions, OnMismatch, SaveOptions};

use crate::states::{CPU, Mlp, PATH, Train, bits, fabric, linear, tensor, weights};

fn lenient() -> LoadOptions {
    LoadOptions::new().strict(false)
}

/// Both loads refuse the file, strictly and not, and change nothing.
fn wrong<S: Checkpoint>(fabric: &fabric_core::Fabric, state: &mut S, options: &LoadOptions) -> String {
    let before = weights(state);
    let mut texts = [true, false].map(|strict| {
        let error = fabric
            .load_with(PATH, state, options.clone().strict(strict))
            .unwrap_err();
        assert!(matches!(error, Error::Mismatch(_)), "{error}");
        error.to_string()
    });
    assert!(weights(state) == before);
    let text = std::mem::take(&mut texts[1]);
    assert!(text.contains("nothing in it matches"), "{text}");
    text
}

#[derive(Checkpoint)]
struct Other {
    encoder: Linear,
    epoch: u64,
}

fn other() -> Other {
    Other {
        encoder: linear(3, 2, 2),
        epoch: 4,
    }
}

#[test]
fn a_file_that_shares_no_entry_with_the_state_is_the_wrong_file() {
    let fabric = fabric();
    fabric.save(PATH, &Train::new(1)).unwrap();
    let mut live = other();
    let text = wrong(&fabric, &mut live, &LoadOptions::new());
    assert!(text.contains("`hparams`, `iteration`, `model`, `optimizer`"), "{text}");
    assert_eq!(live.epoch, 4);
    let raw = fabric.open(PATH).unwrap();
    assert!(raw.load_with(&mut live, lenient()).is_err() && raw.load_raw_with(&mut live, lenient()).is_err());
}

#[test]
fn an_empty_map_of_variables_cannot_take_anything() {
    let fabric = fabric();
    fabric.save(PATH, &Mlp::new(1)).unwrap();
    let mut variables = VarMap::new();
    let text = wrong(&fabric, &mut variables, &LoadOptions::new());
    assert!(
        text.contains("the state has no entries") && text.contains("once the model is built"),
        "{text}"
    );
    for strict in [true, false] {
        let options = LoadOptions::new().strict(strict);
        assert!(fabric.load_raw_with(PATH, &mut variables, options).is_err());
    }
    // What the message says works.
    let builder = VarBuilder::from_varmap(&variables, DType::F32, &CPU);
    candle_nn::linear(4, 8, builder.pp("fc1")).unwrap();
    candle_nn::linear(8, 2, builder.pp("fc2")).unwrap();
    fabric.load_raw(PATH, &mut variables).unwrap();
    let filled = variables.data().lock().unwrap()["fc1.weight"].clone();
    assert_eq!(bits(&filled), bits(Mlp::new(1).fc1.weight()));
}

#[test]
fn a_file_of_the_model_given_to_the_state_is_the_wrong_file() {
    let fabric = fabric();
    fabric.save(PATH, &Mlp::new(1)).unwrap();
    wrong(&fabric, &mut Train::new(2), &LoadOptions::new());
}

#[test]
fn absence_that_is_a_value_or_allowed_is_no_match() {
    #[derive(Checkpoint)]
    struct Allowed {
        best: Option<f64>,
        #[checkpoint(optional)]
        ema: Tensor,
    }
    let fabric = fabric();
    fabric.save(PATH, &other()).unwrap();
    let mut live = Allowed {
        best: Some(0.5),
        ema: tensor(1, 2),
    };
    wrong(&fabric, &mut live, &LoadOptions::new());
    assert_eq!(live.best, Some(0.5));
}

#[test]
fn entries_that_the_schema_filters_do_not_make_a_file_the_right_one() {
    #[derive(Checkpoint)]
    struct Filtered {
        #[checkpoint(filter = "weight")]
        model: HashMap<String, Tensor>,
    }
    #[derive(Checkpoint)]
    struct Biases {
        model: HashMap<String, Tensor>,
    }
    let fabric = fabric();
    let map = |names: &[&str]| names.iter().map(|name| ((*name).to_owned(), tensor(1, 2))).collect();
    fabric.save(PATH, &Biases { model: map(&["bias"]) }).unwrap();
    let mut live = Filtered {
        model: map(&["weight", "bias"]),
    };
    wrong(&fabric, &mut live, &LoadOptions::new());
}

#[test]
fn a_file_of_which_every_entry_would_be_skipped_is_the_wrong_file() {
    #[derive(Checkpoint)]
    struct Larger {
        encoder: Linear,
    }
    let fabric = fabric();
    fabric.save(PATH, &other()).unwrap();
    let mut live = Larger {
        encoder: linear(3, 3, 3),
    };
    let text = wrong(&fabric, &mut live, &LoadOptions::new().on_mismatch(OnMismatch::Skip));
    assert!(text.contains("another shape"), "{text}");
    let text = fabric.load(PATH, &mut live).unwrap_err().to_string();
    assert!(!text.contains("nothing in it matches"), "{text}");
}

#[test]
fn what_the_call_leaves_out_belongs_to_the_state_all_the_same() {
    #[derive(Checkpoint)]
    struct Before {
        iteration: u64,
    }
    let fabric = fabric();
    fabric.save(PATH, &Before { iteration: 7 }).unwrap();
    let mut live = Train::new(1);
    let own = bits(live.model.fc1.weight());
    let options = lenient().only(Train::FIELDS.model);
    let loaded = fabric.load_with(PATH, &mut live, options).unwrap();
    assert!(loaded.report.restored.is_empty() && loaded.remainder.contains("iteration"));
    assert_eq!(bits(live.model.fc1.weight()), own);
}

#[test]
fn what_a_save_left_out_belongs_to_the_state_all_the_same() {
    #[derive(Checkpoint)]
    struct Encoder {
        encoder: Linear,
    }
    let fabric = fabric();
    let options = SaveOptions::new().exclude(Other::FIELDS.encoder);
    fabric.save_with(PATH, &other(), options).unwrap();
    let mut live = Encoder {
        encoder: linear(1, 2, 2),
    };
    let loaded = fabric.load_with(PATH, &mut live, lenient()).unwrap();
    assert_eq!(loaded.report.filtered_at_save.len(), 2);
}

#[test]
fn a_state_without_entries_loads_its_own_empty_file() {
    #[derive(Checkpoint)]
    struct Empty {
        best: Option<f64>,
        ema: Option<Linear>,
        layers: Vec<Linear>,
    }
    let empty = || Empty {
        best: None,
        ema: None,
        layers: Vec::new(),
    };
    let fabric = fabric();
    fabric.save(PATH, &empty()).unwrap();
    fabric.load(PATH, &mut empty()).unwrap();
    let mut live = Empty {
        best: Some(1.),
        ..empty()
    };
    fabric.load(PATH, &mut live).unwrap();
    assert_eq!(live.best, None);
    let mut live = Empty {
        ema: Some(linear(1, 2, 2)),
        ..empty()
    };
    let text = wrong(&fabric, &mut live, &LoadOptions::new());
    assert!(text.contains("it holds no entries"), "{text}");
}

#[test]
fn one_value_in_common_is_something_in_common() {
    #[derive(Checkpoint)]
    struct OnlyEpoch {
        epoch: u64,
    }
    let fabric = fabric();
    fabric.save(PATH, &OnlyEpoch { epoch: 9 }).unwrap();
    let mut live = other();
    fabric.load_with(PATH, &mut live, lenient()).unwrap();
    assert_eq!(live.epoch, 9);
}
