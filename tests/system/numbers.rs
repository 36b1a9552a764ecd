//! State that PyTorch numbers goes to the parameters that it belongs to, in whatever order the fields are declared.

use candle_core::{DType, Tensor, Var};
use candle_nn::Linear;
use fabric_core::optim::{AdamW, Group, Optimizer, ParamsAdamW};
use fabric_core::{Checkpoint, ExportOptions, Fabric, LoadOptions, LoadReport};
use serde_json::json;

use crate::python::{Py, adamw, adamw_group, dict, state_dict, value, write};
use crate::states::{CPU, var, variables};

/// As the file has them: the order of the alphabet is that of a state dict that an export writes.
#[derive(Checkpoint)]
pub(crate) struct Saved {
    pub(crate) k: Linear,
    pub(crate) q: Linear,
}

/// The same modules in another order.
#[derive(Checkpoint)]
pub(crate) struct Swapped {
    pub(crate) q: Linear,
    pub(crate) k: Linear,
}

#[derive(Checkpoint)]
pub(crate) struct State<M> {
    pub(crate) model: M,
    pub(crate) optimizer: AdamW,
}

pub(crate) fn layer(seed: u64) -> Linear {
    Linear::new(
        var(seed, (2, 2)).as_tensor().clone(),
        Some(var(seed + 1, 2).as_tensor().clone()),
    )
}

pub(crate) fn state<M: Checkpoint>(model: M) -> State<M> {
    State {
        optimizer: AdamW::new_lr(variables(&model), 0.5).unwrap(),
        model,
    }
}

fn saved() -> Saved {
    Saved {
        k: layer(1),
        q: layer(3),
    }
}

pub(crate) fn swapped() -> State<Swapped> {
    state(Swapped {
        q: layer(5),
        k: layer(7),
    })
}

/// One moment for each parameter, filled with its number in the order of the file: k.bias, k.weight, q.bias, q.weight.
fn moments() -> Vec<Tensor> {
    let full = |(number, shape): (f32, &[usize])| {
        (Tensor::ones(shape, DType::F32, &CPU).unwrap() * f64::from(number)).unwrap()
    };
    [(1., &[2][..]), (2., &[2, 2]), (3., &[2]), (4., &[2, 2])]
        .into_iter()
        .map(full)
        .collect()
}

/// The number that fills a moment of the state.
fn moment<S: Checkpoint>(state: &S, parameter: &str) -> f32 {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("probe");
    Fabric::new().save(&path, state).unwrap();
    let raw = Fabric::new().open(&path).unwrap();
    let name = format!("optimizer.state.{parameter}.exp_avg");
    let numbers: Vec<f32> = raw
        .tensor(&name, &CPU)
        .unwrap()
        .flatten_all()
        .unwrap()
        .to_vec1()
        .unwrap();
    assert!(numbers.iter().all(|number| *number == numbers[0]), "{numbers:?}");
    numbers[0]
}

fn assert_own<S: Checkpoint>(state: &S, prefix: &str) {
    for (name, number) in [("k.bias", 1.), ("k.weight", 2.), ("q.bias", 3.), ("q.weight", 4.)] {
        assert_eq!(moment(state, &format!("{prefix}{name}")), number, "{name}");
    }
}

/// The names of the parameters, with something in front of them.
fn names(prefix: &str) -> Vec<String> {
    let names = ["k.bias", "k.weight", "q.bias", "q.weight"];
    names.iter().map(|name| format!("{prefix}{name}")).collect()
}

fn named_group(prefix: &str) -> serde_json::Value {
    let mut group = adamw_group(4);
    group["param_names"] = json!(names(prefix));
    json!([group])
}

/// In an order that nothing but the names tells: the last parameter is number 0.
fn shuffled_group(prefix: &str) -> serde_json::Value {
    let mut group = named_group(prefix);
    group[0]["param_names"].as_array_mut().unwrap().reverse();
    group
}

fn load<S: Checkpoint>(object: &Py, state: &mut S, options: LoadOptions) -> LoadReport {
    let (_directory, path) = write(object);
    Fabric::new().load_with(&path, state, options).unwrap().report
}

#[test]
fn an_exported_optimizer_comes_back_to_the_same_parameters_in_another_order() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    let fabric = Fabric::new();
    let mut original = state(saved());
    let loss = original.model.k.weight().sqr().unwrap().sum_all().unwrap();
    let loss = (loss + original.model.q.bias().unwrap().exp().unwrap().sum_all().unwrap()).unwrap();
    original.optimizer.backward_step(&loss).unwrap();
    fabric.save(path("own"), &original).unwrap();
    fabric
        .export(path("own"), path("torch.pt"), ExportOptions::new())
        .unwrap();
    let mut live = swapped();
    let loaded = fabric.load(path("torch.pt"), &mut live).unwrap();
    assert!(
        loaded.report.assumed.is_empty() && loaded.report.is_complete(),
        "{}",
        loaded.report
    );
    fabric.save(path("back"), &live).unwrap();
    let (own, back) = (fabric.open(path("own")).unwrap(), fabric.open(path("back")).unwrap());
    for name in own.names().into_iter().filter(|name| own.info(name).is_some()) {
        let bits = |raw: &fabric_core::RawCheckpoint| crate::states::bits(&raw.tensor(name, &CPU).unwrap());
        assert_eq!(bits(&own), bits(&back), "{name}");
    }
}

#[test]
fn names_decide_whatever_stands_in_front_of_them() {
    let reversed: Vec<Tensor> = moments().into_iter().rev().collect();
    for prefix in ["", "model.", "module.", "_orig_mod.", "module._orig_mod."] {
        let file = dict([
            ("model", state_dict(&saved(), "")),
            ("optimizer", adamw(shuffled_group(prefix), &reversed, 5.)),
        ]);
        let mut live = swapped();
        let report = load(&file, &mut live, LoadOptions::new());
        assert!(report.assumed.is_empty() && report.is_complete(), "{prefix}: {report}");
        assert_own(&live, "model.");
    }
}

#[test]
fn names_of_a_module_with_another_name_are_found_by_its_own_keys() {
    let reversed: Vec<Tensor> = moments().into_iter().rev().collect();
    let file = dict([
        ("state_dict", dict([("net", state_dict(&saved(), ""))])),
        (
            "optimizer_states",
            dict([("0", adamw(shuffled_group("net."), &reversed, 5.))]),
        ),
    ]);
    let options = LoadOptions::new()
        .rename("state_dict.net", "model")
        .rename("optimizer_states.0", "optimizer");
    let mut live = swapped();
    let report = load(&file, &mut live, options);
    assert!(report.assumed.is_empty() && report.is_complete(), "{report}");
    assert_own(&live, "model.");
}

#[test]
fn without_names_the_keys_of_the_model_in_the_file_decide() {
    for steps in [1., 5.] {
        let file = dict([
            ("model", state_dict(&saved(), "")),
            ("optimizer", adamw(json!([adamw_group(4)]), &moments(), steps)),
        ]);
        let mut live = swapped();
        let report = load(&file, &mut live, LoadOptions::new());
        assert!(report.assumed.is_empty() && report.is_complete(), "{report}");
        assert_own(&live, "model.");
        // Also where the model stays as it is.
        let mut live = swapped();
        load(
            &file,
            &mut live,
            LoadOptions::new().only(State::<Swapped>::FIELDS.optimizer),
        );
        assert_own(&live, "model.");
    }
}

#[test]
fn buffers_and_ties_in_the_file_are_not_counted() {
    #[derive(Checkpoint)]
    struct WithBuffer {
        q: Linear,
        k: Linear,
        mask: Tensor,
        tied: Tensor,
    }
    let Py::Dict(mut model) = state_dict(&saved(), "") else {
        unreachable!("a state dict is a dict")
    };
    let tied = match &model[0].1 {
        Py::Dict(k) => match &k[0].1 {
            Py::Tensor(tensor) => tensor.clone(),
            _ => unreachable!("a leaf"),
        },
        _ => unreachable!("a module"),
    };
    model.push(("tied".to_owned(), Py::Tensor(tied)));
    model.push((
        "mask".to_owned(),
        Py::Tensor(Tensor::ones(2, DType::F32, &CPU).unwrap()),
    ));
    let file = dict([
        ("model", Py::Dict(model)),
        ("optimizer", adamw(json!([adamw_group(4)]), &moments(), 5.)),
    ]);
    let k = layer(7);
    let live = WithBuffer {
        tied: k.weight().clone(),
        mask: Tensor::zeros(2, DType::F32, &CPU).unwrap(),
        q: layer(5),
        k,
    };
    let mut live = state(live);
    let report = load(&file, &mut live, LoadOptions::new());
    assert!(report.assumed.is_empty(), "{report}");
    assert_own(&live, "model.");
}

#[test]
fn what_neither_names_nor_keys_tell_is_taken_in_order_and_said() {
    let positions = |live: &State<Swapped>| {
        ["q.weight", "q.bias", "k.weight", "k.bias"].map(|name| moment(live, &format!("model.{name}")))
    };
    let square = |number: f64| (Tensor::ones((2, 2), DType::F32, &CPU).unwrap() * number).unwrap();
    let flat = |number: f64| (Tensor::ones(2, DType::F32, &CPU).unwrap() * number).unwrap();
    let in_order = [square(1.), flat(2.), square(3.), flat(4.)];
    let optimizer = |groups| adamw(groups, &in_order, 5.);
    // No model in the file; a model with one tensor more; a model whose shapes are others than those of the moments.
    let Py::Dict(mut more) = state_dict(&saved(), "") else {
        unreachable!("a state dict is a dict")
    };
    more.push(("extra".to_owned(), Py::Tensor(flat(0.))));
    let strangers = json!([{ "param_names": ["a", "b", "c", "d"] }]);
    let mut unknown = adamw_group(4);
    unknown["param_names"] = strangers[0]["param_names"].clone();
    for file in [
        dict([("optimizer", optimizer(json!([adamw_group(4)])))]),
        dict([
            ("model", Py::Dict(more)),
            ("optimizer", optimizer(json!([adamw_group(4)]))),
        ]),
        dict([
            ("model", state_dict(&saved(), "")),
            ("optimizer", optimizer(json!([adamw_group(4)]))),
        ]),
        dict([("optimizer", optimizer(json!([unknown])))]),
    ] {
        let mut live = swapped();
        let report = load(
            &file,
            &mut live,
            LoadOptions::new().only(State::<Swapped>::FIELDS.optimizer),
        );
        assert_eq!(positions(&live), [1., 2., 3., 4.]);
        assert_eq!(report.assumed.len(), 1, "{report}");
        let text = report.to_string();
        assert!(
            text.contains("assumed: `optimizer.param_groups`") && text.contains("the state declares its parameters"),
            "{text}"
        );
    }
}

#[test]
fn an_optimizer_by_itself_says_that_the_order_was_assumed() {
    let (_directory, path) = write(&adamw(json!([adamw_group(4)]), &moments(), 5.));
    let vars = variables(&saved());
    let order = [1, 0, 3, 2].map(|at| vars[at].clone());
    let mut optimizer = AdamW::new_lr(order.to_vec(), 0.5).unwrap();
    let loaded = Fabric::new().load_raw(&path, &mut optimizer).unwrap();
    assert!(loaded.report.assumed[0].contains("in which this optimizer was given its parameters"));
    // Names make it certain, in any order.
    let (_directory, path) = write(&adamw(named_group("model."), &moments(), 5.));
    let mut named: Vec<(String, Var)> = fabric_core::named_parameters(&saved());
    named.reverse();
    let mut live = Alone {
        optimizer: AdamW::from_named(named, ParamsAdamW::default()).unwrap(),
    };
    let loaded = Fabric::new().load_raw(&path, &mut live.optimizer).unwrap();
    assert!(loaded.report.assumed.is_empty(), "{}", loaded.report);
    assert_own(&live, "");
}

#[derive(Checkpoint)]
struct Alone {
    optimizer: AdamW,
}

#[test]
fn a_parameter_that_the_file_does_not_name_is_missing_and_no_other_moves_up() {
    let three: Vec<Tensor> = moments().into_iter().skip(1).collect();
    let mut group = adamw_group(3);
    group["param_names"] = json!(names("")[1..]);
    let file = dict([
        ("model", state_dict(&saved(), "")),
        ("optimizer", adamw(json!([group]), &three, 5.)),
        ("epoch", value(3)),
    ]);
    let (_directory, path) = write(&file);
    let mut live = swapped();
    let loaded = Fabric::new().load(&path, &mut live).unwrap();
    // PyTorch has no state of a parameter that it never updated: it begins at zero.
    assert!(
        loaded
            .report
            .restored
            .contains(&"optimizer.state.model.k.bias.exp_avg".to_owned())
    );
    assert_eq!(moment(&live, "model.k.bias"), 0.);
    assert_eq!(moment(&live, "model.k.weight"), 2.);
    assert_eq!(moment(&live, "model.q.weight"), 4.);
}

#[test]
fn groups_are_compared_by_names() {
    let weights = |name: &&String| name.ends_with("weight");
    let all = names("");
    let group = |decay: f64, numbers: [usize; 2], names: Vec<&String>| {
        let mut group = adamw_group(2);
        group["weight_decay"] = json!(decay);
        group["params"] = json!(numbers);
        group["param_names"] = json!(names);
        group
    };
    let two = json!([
        group(0.5, [0, 1], all.iter().filter(weights).collect()),
        group(0.0, [2, 3], all.iter().filter(|name| !weights(name)).collect()),
    ]);
    let order = [1, 3, 0, 2].map(|at| moments()[at].clone());
    let file = dict([
        ("model", state_dict(&saved(), "")),
        ("optimizer", adamw(two, &order, 5.)),
    ]);
    let (_directory, path) = write(&file);
    let grouped = |first: bool| {
        let model = swapped().model;
        let (weights, biases): (Vec<Var>, Vec<Var>) =
            variables(&model).into_iter().partition(|var| var.dims().len() == 2);
        let group = |vars: &[Var]| Group::new(vars.to_vec(), ParamsAdamW::default());
        let groups = if first {
            [group(&weights), group(&biases)]
        } else {
            [group(&biases), group(&weights)]
        };
        State {
            optimizer: AdamW::with_groups(groups).unwrap(),
            model,
        }
    };
    let mut live = grouped(true);
    Fabric::new().load(&path, &mut live).unwrap();
    assert_own(&live, "model.");
    let decays: Vec<f64> = live.optimizer.groups().iter().map(|group| group.weight_decay).collect();
    assert_eq!(decays, [0.5, 0.]);
    let error = Fabric::new().load(&path, &mut grouped(false)).unwrap_err().to_string();
    assert!(error.contains("give the groups in the same order"), "{error}");
}

/// `VarMap` hands its variables out in random order, so that the numbers of our own files mean no more than PyTorch's.
#[test]
fn an_optimizer_that_was_saved_without_names_says_that_the_order_was_assumed() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("optimizer.ckpt");
    let fabric = Fabric::new();
    let alone = |model: &Saved| AdamW::new_lr(variables(model), 0.5).unwrap();
    let mut trained = state(saved());
    let loss = trained.model.k.weight().sqr().unwrap().sum_all().unwrap();
    trained.optimizer.backward_step(&loss).unwrap();
    fabric.save(&path, &trained.optimizer).unwrap();
    let loaded = fabric.load_raw(&path, &mut alone(&saved())).unwrap();
    assert!(
        loaded.report.assumed[0].contains("in which this optimizer was given its parameters"),
        "{}",
        loaded.report
    );
    // Names need no assumption, and an optimizer that knows none is told how it would.
    fabric.save(&path, &trained).unwrap();
    let raw = fabric.open(&path).unwrap().subtree("optimizer");
    let text = raw.load_raw(&mut alone(&saved())).unwrap_err().to_string();
    assert!(
        text.contains("goes by the names of parameters, and this optimizer knows none"),
        "{text}"
    );
    let named = fabric_core::named_parameters(&saved());
    let mut live = AdamW::from_named(named, ParamsAdamW::default()).unwrap();
    let text = raw.load_raw(&mut live).unwrap_err().to_string();
    assert!(text.contains("LoadOptions::new().strip_prefix(\"model.\")"), "{text}");
    let options = LoadOptions::new().strip_prefix("model.");
    let loaded = raw.load_raw_with(&mut live, options).unwrap();
    assert!(
        loaded.report.assumed.is_empty() && loaded.report.is_complete(),
        "{}",
        loaded.report
    );
}
