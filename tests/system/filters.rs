//! What is saved can be filtered: by the schema, and by the call.

use candle_core::{DType, Tensor};
use candle_nn::Linear;
use fabric_core::optim::AdamW;
use fabric_core::{Checkpoint, Error, Fabric, LoadOptions, SaveOptions, StateError, TensorInfo};

use crate::states::{Mlp, PATH, Train, bits, fabric, image, linear, refused, tensor, variables};

fn names(fabric: &Fabric, below: &str) -> Vec<String> {
    let raw = fabric.open(PATH).unwrap().subtree(below);
    raw.names().into_iter().map(str::to_owned).collect()
}

fn is_matrix(_: &str, info: &TensorInfo) -> bool {
    info.shape().len() == 2
}

#[derive(Checkpoint)]
struct ByText {
    #[checkpoint(filter = "fc2")]
    model: Mlp,
}

#[derive(Checkpoint)]
struct ByTexts {
    #[checkpoint(filter("fc2", "fc1.bias"))]
    model: Mlp,
}

#[derive(Checkpoint)]
struct ByGlob {
    #[checkpoint(filter = glob("*.weight"))]
    model: Mlp,
}

#[derive(Checkpoint)]
struct ByFunction {
    #[checkpoint(filter = is_matrix)]
    model: Mlp,
}

#[test]
fn a_text_keeps_names_that_contain_it() {
    let fabric = fabric();
    let report = fabric.save(PATH, &ByText { model: Mlp::new(1) }).unwrap();
    assert_eq!(report.filtered, ["model.fc1.bias", "model.fc1.weight"]);
    assert_eq!(names(&fabric, "model"), ["fc2.bias", "fc2.weight"]);
    fabric.save(PATH, &ByTexts { model: Mlp::new(1) }).unwrap();
    assert_eq!(names(&fabric, "model"), ["fc1.bias", "fc2.bias", "fc2.weight"]);
}

#[test]
fn a_glob_keeps_names_that_match_from_end_to_end() {
    let fabric = fabric();
    fabric.save(PATH, &ByGlob { model: Mlp::new(1) }).unwrap();
    assert_eq!(names(&fabric, "model"), ["fc1.weight", "fc2.weight"]);
}

#[test]
fn a_function_sees_shapes_and_a_schema_with_the_same_outcome_loads_strictly() {
    let fabric = fabric();
    fabric.save(PATH, &ByFunction { model: Mlp::new(1) }).unwrap();
    assert_eq!(names(&fabric, "model"), ["fc1.weight", "fc2.weight"]);
    let mut live = ByGlob { model: Mlp::new(2) };
    let loaded = fabric.load(PATH, &mut live).unwrap();
    assert!(loaded.report.is_complete());
    assert_eq!(bits(live.model.fc1.weight()), bits(Mlp::new(1).fc1.weight()));
    assert_eq!(
        bits(live.model.fc1.bias().unwrap()),
        bits(Mlp::new(2).fc1.bias().unwrap())
    );
}

#[test]
fn a_closure_sees_the_name_below_the_field_and_the_element_type_and_captures() {
    #[derive(Checkpoint)]
    struct Mixed {
        parts: Vec<Tensor>,
        other: Tensor,
    }
    let half = tensor(2, 3).to_dtype(DType::F16).unwrap();
    let state = Mixed {
        parts: vec![tensor(1, 3), half],
        other: tensor(3, 3),
    };
    let fabric = fabric();
    let wanted = DType::F16;
    let halves = SaveOptions::new().filter(Mixed::FIELDS.parts, move |name, info| {
        assert!(["0", "1"].contains(&name), "{name}");
        info.dtype() == wanted
    });
    fabric.save_with(PATH, &state, halves).unwrap();
    assert_eq!(names(&fabric, ""), ["other", "parts.1"]);
}

#[test]
fn a_filter_of_the_call_narrows_that_of_the_schema() {
    let fabric = fabric();
    let keep = SaveOptions::new().filter(ByGlob::FIELDS.model, |name, _| name.starts_with("fc2"));
    let report = fabric.save_with(PATH, &ByGlob { model: Mlp::new(1) }, keep).unwrap();
    assert_eq!(names(&fabric, "model"), ["fc2.weight"]);
    assert_eq!(
        report.filtered,
        ["model.fc1.bias", "model.fc1.weight", "model.fc2.bias"]
    );
}

#[test]
fn three_filters_of_three_kinds_each_see_their_own_component() {
    #[derive(Checkpoint)]
    struct Three {
        #[checkpoint(filter = "fc1")]
        model: Mlp,
        #[checkpoint(filter = glob("*_sq"))]
        optimizer: AdamW,
        ema: Mlp,
        step: u64,
    }
    let model = Mlp::new(1);
    let state = Three {
        optimizer: AdamW::new_lr(variables(&model.fc2), 0.1).unwrap(),
        model,
        ema: Mlp::new(3),
        step: 4,
    };
    let fabric = fabric();
    let keep = SaveOptions::new().filter(Three::FIELDS.ema, |_, info| info.shape() == [2]);
    fabric.save_with(PATH, &state, keep).unwrap();
    let (weight, bias) = ("optimizer.state.model.fc2.weight", "optimizer.state.model.fc2.bias");
    let mut expected = [
        "ema.fc2.bias",
        "model.fc1.bias",
        "model.fc1.weight",
        "optimizer.kind",
        "optimizer.param_groups",
        "step",
    ]
    .map(String::from)
    .to_vec();
    expected.extend(
        [weight, bias]
            .iter()
            .flat_map(|name| [format!("{name}.exp_avg_sq"), format!("{name}.step")]),
    );
    expected.sort();
    assert_eq!(names(&fabric, ""), expected);
}

#[test]
fn a_filter_reaches_a_nested_field() {
    let fabric = fabric();
    let keep = SaveOptions::new().filter(Train::FIELDS.model.then(Mlp::FIELDS.fc1), |name, _| name == "bias");
    fabric.save_with(PATH, &Train::new(1), keep).unwrap();
    assert_eq!(names(&fabric, "model"), ["fc1.bias", "fc2.bias", "fc2.weight"]);
}

#[test]
fn the_file_records_what_was_filtered() {
    let fabric = fabric();
    fabric.save(PATH, &ByText { model: Mlp::new(1) }).unwrap();
    let raw = fabric.open(PATH).unwrap();
    assert_eq!(raw.filtered(), ["model.fc1.bias", "model.fc1.weight"]);
    assert_eq!(raw.subtree("model.fc1").filtered(), ["bias", "weight"]);
    let error = raw
        .tensor("model.fc1.bias", &crate::states::CPU)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("a filter left it out when the file was saved"),
        "{error}"
    );
}

#[test]
fn a_component_that_was_left_out_whole_is_said_to_be_filtered_not_absent() {
    let fabric = fabric();
    let report = fabric
        .save_with(
            PATH,
            &Train::new(1),
            SaveOptions::new().exclude(Train::FIELDS.optimizer),
        )
        .unwrap();
    assert_eq!(report.filtered.len(), 2 + 4 * 3);
    assert_eq!(report.entries, 6);
    let mut live = Train::new(2);
    let report = refused(&fabric, &mut live, LoadOptions::new());
    assert_eq!((report.filtered_at_save.len(), report.missing.len()), (14, 0));
    let before = image(&live.optimizer);
    fabric
        .load_with(PATH, &mut live, LoadOptions::new().strict(false))
        .unwrap();
    assert!(image(&live.optimizer) == before);
    assert_eq!(live.iteration, 103);
}

#[test]
fn an_excluded_value_is_left_as_it_is() {
    #[derive(Checkpoint)]
    struct Values {
        best: Option<f64>,
        epoch: u64,
    }
    let fabric = fabric();
    let exclude = SaveOptions::new().exclude(Values::FIELDS.best);
    fabric
        .save_with(
            PATH,
            &Values {
                best: Some(1.),
                epoch: 1,
            },
            exclude,
        )
        .unwrap();
    let mut live = Values {
        best: Some(2.),
        epoch: 2,
    };
    assert_eq!(
        refused(&fabric, &mut live, LoadOptions::new()).filtered_at_save,
        ["best"]
    );
    fabric
        .load_with(PATH, &mut live, LoadOptions::new().strict(false))
        .unwrap();
    assert_eq!((live.best, live.epoch), (Some(2.), 1));
}

#[test]
fn a_filter_that_keeps_nothing_is_a_typing_mistake() {
    #[derive(Checkpoint)]
    struct Mistyped {
        #[checkpoint(filter = "wieght")]
        model: Mlp,
    }
    let fabric = fabric();
    let error = fabric.save(PATH, &Mistyped { model: Mlp::new(1) }).unwrap_err();
    assert!(matches!(&error, Error::State(StateError::EmptyFilter { declared, .. }) if declared == "Mistyped.model"));
    let text = error.to_string();
    assert!(text.contains("wieght") && text.contains("`fc1.weight`"), "{text}");

    let none = SaveOptions::new().filter(Train::FIELDS.model, |_, _| false);
    let error = fabric.save_with(PATH, &Train::new(1), none).unwrap_err();
    assert!(matches!(&error, Error::State(StateError::EmptyFilter { declared, .. }) if declared == "model"));
    let no_tensors = SaveOptions::new().filter(Train::FIELDS.iteration, |_, _| true);
    let error = fabric
        .save_with(PATH, &Train::new(1), no_tensors)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("`iteration`") && error.contains("it has none"),
        "{error}"
    );
    assert!(fabric.open(PATH).is_err(), "nothing was written");
}

#[test]
fn one_declaration_that_is_met_many_times_is_one_filter() {
    #[derive(Checkpoint)]
    struct Block {
        #[checkpoint(filter = "lora")]
        parts: std::collections::BTreeMap<String, Tensor>,
    }
    #[derive(Checkpoint)]
    struct Model {
        blocks: Vec<Block>,
    }
    let block = |key: &str| Block {
        parts: [(key.to_owned(), tensor(1, 2))].into(),
    };
    let fabric = fabric();
    fabric
        .save(
            PATH,
            &Model {
                blocks: vec![block("base"), block("lora_a")],
            },
        )
        .unwrap();
    assert_eq!(names(&fabric, ""), ["blocks.1.parts.lora_a"]);
    let error = fabric
        .save(
            PATH,
            &Model {
                blocks: vec![block("base"), block("other")],
            },
        )
        .unwrap_err();
    assert!(matches!(error, Error::State(StateError::EmptyFilter { .. })), "{error}");
}

#[test]
fn a_filter_over_nothing_is_no_mistake_of_the_schema() {
    #[derive(Checkpoint)]
    struct Maybe {
        base: Tensor,
        #[checkpoint(filter = "weight")]
        adapter: Option<Linear>,
    }
    fabric()
        .save(
            PATH,
            &Maybe {
                base: tensor(1, 2),
                adapter: None,
            },
        )
        .unwrap();
}

#[test]
fn a_filtered_model_does_not_filter_its_optimizer() {
    #[derive(Checkpoint)]
    struct Filtered {
        #[checkpoint(filter = "weight")]
        model: Linear,
        optimizer: AdamW,
    }
    let model = linear(1, 2, 2);
    let state = Filtered {
        optimizer: AdamW::new_lr(variables(&model), 0.1).unwrap(),
        model,
    };
    let fabric = fabric();
    fabric.save(PATH, &state).unwrap();
    assert!(
        fabric
            .open(PATH)
            .unwrap()
            .contains("optimizer.state.model.bias.exp_avg")
    );
}

#[test]
fn a_filter_on_an_optimizer_sees_its_own_names() {
    #[derive(Checkpoint)]
    struct Moments {
        model: Linear,
        #[checkpoint(filter = glob("state.model.*.exp_avg"))]
        optimizer: AdamW,
    }
    let state = |seed| {
        let model = linear(seed, 2, 2);
        Moments {
            optimizer: AdamW::new_lr(variables(&model), 0.1).unwrap(),
            model,
        }
    };
    let fabric = fabric();
    let report = fabric.save(PATH, &state(1)).unwrap();
    assert_eq!(
        report.filtered,
        [
            "optimizer.state.model.bias.exp_avg_sq",
            "optimizer.state.model.weight.exp_avg_sq"
        ]
    );
    assert!(fabric.load(PATH, &mut state(2)).unwrap().report.is_complete());
}
