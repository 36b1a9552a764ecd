//! Enums: of plain values, which are one value, and of components, whose variant is recorded.
#![allow(clippy::float_cmp, reason = "these numbers are exact")]
#![expect(
    clippy::items_after_statements,
    reason = "a test declares its schema where it is used"
)]

use std::collections::{BTreeMap, HashMap};

use candle_core::Tensor;
use candle_nn::Linear;
use fabric_core::optim::{AdamW, ParamsSgd, Sgd};
use fabric_core::{Checkpoint, LoadOptions};
use serde_json::{Value, json};

use crate::states::{PATH, bits, fabric, linear, refused, tensor, var, weights};

#[derive(Checkpoint, Clone, Copy, PartialEq, Debug)]
enum Phase {
    Warmup,
    #[checkpoint(rename = "main", alias = "Training")]
    Main,
}

#[derive(Checkpoint, Clone, PartialEq, Debug)]
enum Decay {
    Off,
    Fixed(f64),
    Range(f64, Option<f64>),
    Cosine {
        warmup: u64,
        #[checkpoint(alias = "total")]
        steps: u64,
        floor: Option<f64>,
        phase: Phase,
    },
}

#[derive(Checkpoint)]
struct Values {
    phase: Phase,
    decay: Decay,
    history: Vec<Decay>,
    maybe: Option<Phase>,
    named: BTreeMap<String, Phase>,
}

fn cosine(floor: Option<f64>) -> Decay {
    Decay::Cosine {
        warmup: 10,
        steps: 100,
        floor,
        phase: Phase::Main,
    }
}

#[test]
fn an_enum_of_plain_values_is_one_value_that_a_load_replaces_whatever_the_variant() {
    let fabric = fabric();
    let saved = Values {
        phase: Phase::Main,
        decay: cosine(Some(0.1)),
        history: vec![Decay::Off, Decay::Fixed(0.5), Decay::Range(1.0, None), cosine(None)],
        maybe: Some(Phase::Warmup),
        named: [("a".to_owned(), Phase::Main)].into(),
    };
    fabric.save(PATH, &saved).unwrap();
    let raw = fabric.open(PATH).unwrap();
    assert_eq!(raw.names(), ["decay", "history", "maybe", "named", "phase"]);
    assert_eq!(raw.value::<Value>("phase").unwrap(), json!("main"));
    let mut state = Values {
        phase: Phase::Warmup,
        decay: Decay::Off,
        history: Vec::new(),
        maybe: None,
        named: BTreeMap::new(),
    };
    fabric.load(PATH, &mut state).unwrap();
    assert_eq!((state.phase, state.maybe), (saved.phase, saved.maybe));
    assert_eq!((state.decay, state.history), (saved.decay, saved.history));
    assert_eq!(state.named, saved.named);
}

#[test]
fn the_stored_form_is_that_of_serde_so_metadata_and_a_plain_field_read_each_other() {
    #[derive(serde::Serialize, serde::Deserialize, Checkpoint, Clone, PartialEq, Debug)]
    enum Both {
        Unit,
        One(u64),
        Two(u64, String),
        Named { a: u64, b: Option<u64> },
    }
    #[derive(Checkpoint)]
    struct Plain {
        v: Vec<Both>,
    }
    #[derive(Checkpoint)]
    struct Serde {
        #[checkpoint(metadata)]
        v: Vec<Both>,
    }
    let all = || {
        vec![
            Both::Unit,
            Both::One(1),
            Both::Two(2, "x".to_owned()),
            Both::Named { a: 3, b: None },
            Both::Named { a: 4, b: Some(5) },
        ]
    };
    let fabric = fabric();
    fabric.save(PATH, &Plain { v: all() }).unwrap();
    let plain = fabric.open(PATH).unwrap().value::<Value>("v").unwrap();
    let mut serde = Serde { v: Vec::new() };
    fabric.load(PATH, &mut serde).unwrap();
    assert_eq!(serde.v, all());
    fabric.save(PATH, &serde).unwrap();
    assert_eq!(fabric.open(PATH).unwrap().value::<Value>("v").unwrap(), plain);
    let mut state = Plain { v: Vec::new() };
    fabric.load(PATH, &mut state).unwrap();
    assert_eq!(state.v, all());
}

#[test]
fn an_enum_without_contents_names_the_parts_of_a_map() {
    #[derive(Checkpoint, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
    #[checkpoint(rename_all = "snake_case")]
    enum Branch {
        LeftEye,
        #[checkpoint(alias = "right")]
        RightEye,
    }
    #[derive(Checkpoint)]
    struct State {
        branches: BTreeMap<Branch, Linear>,
        scores: HashMap<Branch, f64>,
    }
    #[derive(Checkpoint)]
    struct Old {
        branches: BTreeMap<String, Linear>,
        scores: HashMap<String, f64>,
    }
    let fabric = fabric();
    let state = |seed, scores: &[(Branch, f64)]| State {
        branches: [
            (Branch::LeftEye, linear(seed, 1, 1)),
            (Branch::RightEye, linear(seed + 1, 1, 1)),
        ]
        .into(),
        scores: scores.iter().copied().collect(),
    };
    let saved = state(1, &[(Branch::RightEye, 0.5)]);
    fabric.save(PATH, &saved).unwrap();
    let raw = fabric.open(PATH).unwrap();
    assert!(raw.names().contains(&"branches.left_eye.weight"), "{:?}", raw.names());
    let mut loaded = state(5, &[]);
    fabric.load(PATH, &mut loaded).unwrap();
    assert_eq!(loaded.scores, saved.scores);
    assert_eq!(
        weights(&loaded.branches[&Branch::LeftEye]),
        weights(&saved.branches[&Branch::LeftEye])
    );
    // The values of a map are replaced as a whole, with older names of the keys; a name that is none is an error.
    let mut old = Old {
        branches: [
            ("left_eye".to_owned(), linear(1, 1, 1)),
            ("right_eye".to_owned(), linear(1, 1, 1)),
        ]
        .into(),
        scores: [("right".to_owned(), 0.25)].into(),
    };
    fabric.save(PATH, &old).unwrap();
    fabric.load(PATH, &mut loaded).unwrap();
    assert_eq!(loaded.scores[&Branch::RightEye], 0.25);
    old.scores = [("middle".to_owned(), 0.25)].into();
    fabric.save(PATH, &old).unwrap();
    let error = fabric.load(PATH, &mut loaded).unwrap_err().to_string();
    assert!(error.contains("middle") && error.contains("Branch"), "{error}");
}

#[test]
fn older_names_of_variants_and_of_their_fields_are_read() {
    let fabric = fabric();
    #[derive(Checkpoint)]
    struct Stored {
        #[checkpoint(metadata)]
        phase: Value,
        #[checkpoint(metadata)]
        decay: Value,
    }
    #[derive(Checkpoint)]
    struct State {
        phase: Phase,
        decay: Decay,
    }
    let cosine = |total: &str| json!({"Cosine": {"warmup": 1, total: 2, "phase": "Training"}});
    let load = |phase: Value, decay: Value| {
        fabric.save(PATH, &Stored { phase, decay }).unwrap();
        let mut state = State {
            phase: Phase::Warmup,
            decay: Decay::Off,
        };
        let loaded = fabric.load(PATH, &mut state);
        loaded
            .map(|_| (state.phase, state.decay))
            .map_err(|error| error.to_string())
    };
    let read = Decay::Cosine {
        warmup: 1,
        steps: 2,
        floor: None,
        phase: Phase::Main,
    };
    assert_eq!(load(json!("Training"), cosine("total")).unwrap(), (Phase::Main, read));
    for (phase, decay, said) in [
        (
            json!("Rest"),
            json!("Off"),
            "found text \"Rest\", expected one of the variants `Warmup`, `main`",
        ),
        (json!(3), json!("Off"), "found integer 3, expected a variant"),
        (
            json!({"main": 1}),
            json!("Off"),
            "expected no contents in the variant `main`",
        ),
        (
            json!("main"),
            json!("Fixed"),
            "expected contents of the variant `Fixed`",
        ),
        (json!("main"), json!({"Fixed": "x"}), "Fixed: "),
        (
            json!("main"),
            json!({"Range": []}),
            "expected a list of 2 in the variant `Range`",
        ),
        (
            json!("main"),
            cosine("length"),
            "the variant `Cosine` in the file has the field `length`",
        ),
        (
            json!("main"),
            json!({"Cosine": {"warmup": 1}}),
            "the variant `Cosine` in the file lacks the field `steps`",
        ),
    ] {
        let error = load(phase, decay).unwrap_err();
        assert!(error.contains(said), "{said:?} is not in:\n{error}");
    }
}

#[derive(Checkpoint)]
enum Optimizer {
    AdamW(AdamW),
    Sgd(Sgd),
}

#[derive(Checkpoint)]
struct Training {
    model: Linear,
    optimizer: Optimizer,
}

fn training(adam: bool) -> Training {
    let (weight, bias) = (var(1, 4), var(2, 4));
    let vars = vec![weight.clone(), bias.clone()];
    Training {
        model: Linear::new(weight.as_tensor().clone(), Some(bias.as_tensor().clone())),
        optimizer: if adam {
            Optimizer::AdamW(AdamW::new_lr(vars, 0.1).unwrap())
        } else {
            Optimizer::Sgd(Sgd::new(vars, ParamsSgd::default()).unwrap())
        },
    }
}

#[test]
fn an_enum_of_components_has_its_entries_below_the_field_and_its_variant_recorded() {
    let fabric = fabric();
    let mut state = training(true);
    fabric.save(PATH, &state).unwrap();
    let raw = fabric.open(PATH).unwrap();
    assert_eq!(raw.value::<String>("optimizer.variant").unwrap(), "AdamW");
    assert!(
        raw.names().contains(&"optimizer.state.model.weight.exp_avg"),
        "{:?}",
        raw.names()
    );
    let report = fabric.load(PATH, &mut state).unwrap().report;
    assert!(report.restored.contains(&"optimizer.variant".to_owned()), "{report}");
    assert!(report.is_complete(), "{report}");
}

#[test]
fn a_switched_variant_is_refused_in_one_sentence_and_nothing_changes() {
    let fabric = fabric();
    fabric.save(PATH, &training(true)).unwrap();
    let mut state = training(false);
    let error = fabric.load(PATH, &mut state).unwrap_err().to_string();
    let sentence = "optimizer.variant: found text \"AdamW\", expected the variant `Sgd`, which the state holds";
    assert!(error.contains(sentence), "{error}");
    assert!(matches!(state.optimizer, Optimizer::Sgd(_)));
}

#[test]
fn a_file_from_before_the_enum_is_read_into_the_variant_that_it_fits() {
    #[derive(Checkpoint)]
    struct Before {
        model: Linear,
        optimizer: AdamW,
    }
    let Training { model, optimizer } = training(true);
    let Optimizer::AdamW(optimizer) = optimizer else {
        panic!("training(true) trains with AdamW")
    };
    let fabric = fabric();
    fabric.save(PATH, &Before { model, optimizer }).unwrap();
    assert!(fabric.load(PATH, &mut training(true)).unwrap().report.is_complete());
    refused(&fabric, &mut training(false), LoadOptions::new());
}

#[derive(Checkpoint)]
#[checkpoint(rename_all = "snake_case")]
enum Layer {
    Dense(Linear),
    #[checkpoint(alias = "conv")]
    Scaled {
        #[checkpoint(alias = "w")]
        weight: Tensor,
        #[checkpoint(flatten)]
        inner: Inner,
        factor: f64,
        #[checkpoint(skip)]
        #[expect(dead_code, reason = "it is skipped")]
        cache: Option<std::cell::Cell<u8>>,
    },
    Pair(Tensor, #[checkpoint(optional)] Tensor),
    Residual(Box<Layer>),
    Identity,
}

#[derive(Checkpoint)]
struct Inner {
    shift: f64,
}

#[test]
fn variants_of_every_form_show_their_fields_and_lists_of_them_load_in_place() {
    #[derive(Checkpoint)]
    struct Model {
        layers: Vec<Layer>,
    }
    let model = |seed: u64| Model {
        layers: vec![
            Layer::Dense(linear(seed, 2, 2)),
            Layer::Scaled {
                weight: tensor(seed + 1, 3),
                inner: Inner { shift: 0.5 },
                factor: 2.0,
                cache: None,
            },
            Layer::Pair(tensor(seed + 2, 2), tensor(seed + 3, 2)),
            Layer::Identity,
        ],
    };
    let fabric = fabric();
    let saved = model(1);
    fabric.save(PATH, &saved).unwrap();
    let expected = [
        "layers.0.bias",
        "layers.0.variant",
        "layers.0.weight",
        "layers.1.factor",
        "layers.1.shift",
        "layers.1.variant",
        "layers.1.weight",
        "layers.2.0",
        "layers.2.1",
        "layers.2.variant",
        "layers.3.variant",
    ];
    assert_eq!(fabric.open(PATH).unwrap().names(), expected);
    let mut state = model(11);
    fabric.load(PATH, &mut state).unwrap();
    let (Layer::Dense(a), Layer::Dense(b)) = (&saved.layers[0], &state.layers[0]) else {
        panic!("the first layer is dense")
    };
    assert_eq!(weights(a), weights(b));
    let (Layer::Pair(a, _), Layer::Pair(b, _)) = (&saved.layers[2], &state.layers[2]) else {
        panic!("the third layer is a pair")
    };
    assert_eq!(bits(a), bits(b));
}

#[test]
fn the_contents_of_a_generic_enum_decide_whether_it_is_a_value() {
    #[derive(Checkpoint, PartialEq, Debug)]
    enum Either<A, B, const N: usize> {
        Left(A),
        Right { items: [B; N] },
        r#None,
    }
    #[derive(Checkpoint)]
    enum View<'a, M> {
        Whole(&'a mut M),
        Nothing,
    }
    #[derive(Checkpoint)]
    struct State<'a> {
        value: Either<u64, f64, 2>,
        tensors: Either<Tensor, Linear, 1>,
        view: View<'a, Linear>,
        rest: View<'a, Linear>,
    }
    fn state(layer: &mut Linear, seed: u64, value: Either<u64, f64, 2>) -> State<'_> {
        State {
            value,
            tensors: Either::Right {
                items: [linear(seed, 2, 2)],
            },
            view: View::Whole(layer),
            rest: View::Nothing,
        }
    }
    let fabric = fabric();
    let (mut saved, mut loaded) = (linear(3, 2, 2), linear(4, 2, 2));
    let value = || Either::Right { items: [0.5, 1.5] };
    fabric.save(PATH, &state(&mut saved, 5, value())).unwrap();
    let names = fabric.open(PATH).unwrap().names().join(" ");
    assert_eq!(
        names,
        "rest.variant tensors.items.0.bias tensors.items.0.weight tensors.variant value view.bias view.variant view.weight"
    );
    let mut state = state(&mut loaded, 6, Either::None);
    fabric.load(PATH, &mut state).unwrap();
    assert_eq!(state.value, value());
    drop(state);
    assert_eq!(weights(&loaded), weights(&saved));
}

#[test]
fn an_enum_that_contains_itself_records_each_level_only_through_a_named_field() {
    #[derive(Checkpoint)]
    enum Tree {
        Leaf(Tensor),
        Node { left: Box<Tree>, right: Box<Tree> },
    }
    let leaf = |seed| Box::new(Tree::Leaf(tensor(seed, 2)));
    let fabric = fabric();
    let mut tree = Tree::Node {
        left: leaf(1),
        right: leaf(2),
    };
    fabric.save(PATH, &tree).unwrap();
    let raw = fabric.open(PATH).unwrap();
    assert_eq!(
        raw.names(),
        ["left", "left.variant", "right", "right.variant", "variant"]
    );
    assert!(fabric.load(PATH, &mut tree).unwrap().report.is_complete());
    // Both levels of a newtype variant around itself would have one name.
    let nested = Layer::Residual(Box::new(Layer::Identity));
    let error = fabric.save(PATH, &nested).unwrap_err().to_string();
    assert!(error.contains("`variant`"), "{error}");
}

#[test]
fn a_variant_without_entries_needs_its_record_and_bare_weights_have_none() {
    #[derive(Checkpoint)]
    struct Old {
        step: u64,
    }
    #[derive(Checkpoint)]
    struct State {
        step: u64,
        layer: Layer,
    }
    let fabric = fabric();
    fabric.save(PATH, &Old { step: 1 }).unwrap();
    let mut state = State {
        step: 0,
        layer: Layer::Identity,
    };
    let report = refused(&fabric, &mut state, LoadOptions::new());
    assert_eq!(report.missing, ["layer.variant"]);
    let mut layers = vec![Layer::Identity, Layer::Dense(linear(1, 2, 2))];
    let bare: BTreeMap<String, Tensor> = [
        ("1.weight".to_owned(), tensor(2, (2, 2))),
        ("1.bias".to_owned(), tensor(3, 2)),
    ]
    .into();
    fabric.save("bare.safetensors", &bare).unwrap();
    fabric
        .export(
            "bare.safetensors",
            "weights.safetensors",
            fabric_core::ExportOptions::new(),
        )
        .unwrap();
    let report = fabric.load_raw("weights.safetensors", &mut layers).unwrap().report;
    assert_eq!(report.restored, ["1.bias", "1.weight"]);
}

#[test]
fn a_load_into_an_enum_with_a_shared_borrow_is_refused() {
    #[derive(Checkpoint)]
    enum View<'a> {
        At(&'a u64),
        Nothing,
    }
    #[derive(Checkpoint)]
    struct State<'a> {
        view: View<'a>,
    }
    let fabric = fabric();
    fabric.save(PATH, &State { view: View::Nothing }).unwrap();
    let step = 7;
    let mut state = State { view: View::At(&step) };
    let error = fabric.load(PATH, &mut state).map(|_| ()).unwrap_err();
    assert!(error.to_string().contains("shared borrow"), "{error}");
    assert!(matches!(state.view, View::At(7)));
}

#[test]
fn names_of_unnamed_fields_are_kept_and_make_entries() {
    #[derive(Checkpoint)]
    enum Range {
        Between(#[checkpoint(rename = "low")] f64, #[checkpoint(rename = "high")] f64),
    }
    let fabric = fabric();
    fabric.save(PATH, &Range::Between(1.0, 2.0)).unwrap();
    assert_eq!(fabric.open(PATH).unwrap().names(), ["high", "low", "variant"]);
}

#[test]
fn handles_select_an_enum_as_a_whole() {
    let fabric = fabric();
    let state = training(true);
    fabric.save(PATH, &state).unwrap();
    let mut other = training(false);
    let only = LoadOptions::new().exclude(Training::FIELDS.optimizer);
    assert!(fabric.load_with(PATH, &mut other, only).unwrap().report.is_complete());
}
