//! Newtypes, tuple structs and unit structs.
#![allow(clippy::float_cmp, reason = "these numbers are exact")]

use std::collections::BTreeMap;
use std::marker::PhantomData;

use candle_core::{Device, Tensor};
use candle_nn::Linear;
use fabric_core::optim::AdamW;
use fabric_core::{Checkpoint, LoadOptions};

use crate::states::{Mlp, PATH, bits, fabric, linear, tensor, var, weights};

#[derive(Checkpoint, Clone, Copy, PartialEq, Debug)]
struct Step(u64);

#[derive(Checkpoint, PartialEq, Debug)]
struct Loss(Option<f64>);

#[derive(Checkpoint)]
struct Encoder(Linear);

#[derive(Checkpoint)]
struct Wrapped<T>(T);

#[test]
fn a_newtype_is_transparent() {
    #[derive(Checkpoint)]
    struct Plain {
        encoder: Linear,
        table: Tensor,
        step: u64,
        optimizer: AdamW,
    }
    #[derive(Checkpoint)]
    struct State {
        encoder: Encoder,
        table: Wrapped<Wrapped<Tensor>>,
        step: Step,
        optimizer: Wrapped<AdamW>,
    }
    let fabric = fabric();
    let parameter = var(3, 2);
    let optimizer = || AdamW::new_lr(vec![parameter.clone()], 0.1).unwrap();
    let plain = Plain {
        encoder: linear(1, 2, 2),
        table: parameter.as_tensor().clone(),
        step: 7,
        optimizer: optimizer(),
    };
    fabric.save(PATH, &plain).unwrap();
    let names: Vec<String> = fabric
        .open(PATH)
        .unwrap()
        .names()
        .into_iter()
        .map(str::to_owned)
        .collect();
    let mut state = State {
        encoder: Encoder(linear(5, 2, 2)),
        table: Wrapped(Wrapped(parameter.as_tensor().clone())),
        step: Step(0),
        optimizer: Wrapped(optimizer()),
    };
    assert!(fabric.load(PATH, &mut state).unwrap().report.is_complete());
    assert_eq!(weights(&state.encoder.0), weights(&plain.encoder));
    assert_eq!(state.step, Step(7));
    fabric.save(PATH, &state).unwrap();
    assert_eq!(fabric.open(PATH).unwrap().names(), names);
}

#[test]
fn a_newtype_of_a_value_is_a_value_inside_containers() {
    #[derive(Checkpoint)]
    struct State {
        steps: Vec<Step>,
        last: Option<Step>,
        best: Loss,
        losses: BTreeMap<String, Loss>,
        pair: (Step, Loss),
    }
    let fabric = fabric();
    let saved = State {
        steps: vec![Step(1), Step(2)],
        last: Some(Step(3)),
        best: Loss(None),
        losses: [("a".to_owned(), Loss(Some(0.5)))].into(),
        pair: (Step(4), Loss(None)),
    };
    fabric.save(PATH, &saved).unwrap();
    assert_eq!(fabric.open(PATH).unwrap().names(), ["last", "losses", "pair", "steps"]);
    let mut state = State {
        steps: Vec::new(),
        last: None,
        best: Loss(Some(1.0)),
        losses: BTreeMap::new(),
        pair: (Step(0), Loss(Some(2.0))),
    };
    fabric.load(PATH, &mut state).unwrap();
    assert_eq!((state.steps, state.last), (saved.steps, saved.last));
    assert_eq!(
        (state.best, state.losses, state.pair),
        (saved.best, saved.losses, saved.pair)
    );
}

#[test]
fn the_attributes_of_a_newtypes_field_apply() {
    #[derive(Checkpoint)]
    struct Weights(#[checkpoint(filter = "weight")] Mlp);
    #[derive(serde::Serialize, serde::Deserialize, PartialEq, Debug, Clone)]
    struct Config {
        width: u64,
    }
    #[derive(Checkpoint)]
    struct Stored(#[checkpoint(metadata)] Config);
    #[derive(Checkpoint)]
    struct State {
        model: Weights,
        config: Stored,
        configs: Vec<Stored>,
    }
    let fabric = fabric();
    let config = |width| Stored(Config { width });
    let state = |seed, width| State {
        model: Weights(Mlp::new(seed)),
        config: config(width),
        configs: vec![config(width + 1)],
    };
    fabric.save(PATH, &state(1, 3)).unwrap();
    let raw = fabric.open(PATH).unwrap();
    assert!(
        raw.names().iter().all(|name| !name.contains("bias")),
        "{:?}",
        raw.names()
    );
    assert!(raw.names().contains(&"configs.0"));
    let mut loaded = state(2, 0);
    fabric.load(PATH, &mut loaded).unwrap();
    assert_eq!((loaded.config.0.width, loaded.configs[0].0.width), (3, 4));
}

#[test]
fn a_tuple_struct_names_its_fields_by_number_and_a_skipped_one_keeps_its_number() {
    #[derive(Checkpoint)]
    struct Pair(
        Linear,
        #[checkpoint(skip)] Device,
        #[checkpoint(rename = "scale", alias = "1")] f64,
        u64,
    );
    let fabric = fabric();
    let saved = Pair(linear(1, 2, 2), Device::Cpu, 0.5, 9);
    fabric.save(PATH, &saved).unwrap();
    assert_eq!(fabric.open(PATH).unwrap().names(), ["0.bias", "0.weight", "3", "scale"]);
    let mut state = Pair(linear(2, 2, 2), saved.1.clone(), 0.0, 0);
    fabric.load(PATH, &mut state).unwrap();
    assert_eq!((state.2, state.3), (0.5, 9));
    assert_eq!(weights(&state.0), weights(&saved.0));
    let mut state = Pair(linear(2, 2, 2), Device::Cpu, 0.0, 0);
    let only = LoadOptions::new().only(Pair::FIELDS.3);
    assert_eq!(fabric.load_with(PATH, &mut state, only).unwrap().report.restored, ["3"]);
}

#[test]
fn handles_go_through_a_newtype() {
    #[derive(Checkpoint)]
    struct Net(Mlp);
    #[derive(Checkpoint)]
    struct State {
        net: Net,
        step: u64,
    }
    let handle = State::FIELDS.net.then(Net::FIELDS.0).then(Mlp::FIELDS.fc1);
    assert_eq!(handle.name(), "net.fc1");
    let fabric = fabric();
    let saved = State {
        net: Net(Mlp::new(1)),
        step: 1,
    };
    fabric.save(PATH, &saved).unwrap();
    let mut state = State {
        net: Net(Mlp::new(2)),
        step: 0,
    };
    let report = fabric
        .load_with(PATH, &mut state, LoadOptions::new().only(handle))
        .unwrap()
        .report;
    assert_eq!(report.restored, ["net.fc1.bias", "net.fc1.weight"]);
    assert_eq!(state.step, 0);
}

#[test]
fn a_newtype_has_a_version_of_its_own_beside_that_of_its_field() {
    #[derive(Checkpoint)]
    #[checkpoint(version = 3)]
    struct Inner {
        step: u64,
    }
    #[derive(Checkpoint)]
    struct Outer(Inner);
    #[derive(Checkpoint)]
    #[checkpoint(version = 2)]
    struct Own(Inner);
    assert_eq!((Outer::VERSION, Own::VERSION), (1, 2));
    let fabric = fabric();
    fabric.save("outer", &Outer(Inner { step: 1 })).unwrap();
    fabric.save("own", &Own(Inner { step: 1 })).unwrap();
    for (path, first) in [("outer", ("Outer", 1)), ("own", ("Own", 2))] {
        let versions = fabric.open(path).unwrap().versions();
        let found: Vec<_> = versions
            .iter()
            .map(|found| (found.name.as_str(), found.version))
            .collect();
        assert_eq!(found, [first, ("Inner", 3)]);
    }
}

#[test]
fn a_default_of_a_type_parameter_needs_no_bound_by_hand() {
    #[derive(Checkpoint)]
    struct State<T> {
        step: u64,
        #[checkpoint(default)]
        scale: T,
    }
    #[derive(Checkpoint)]
    struct Old {
        step: u64,
    }
    let fabric = fabric();
    fabric.save(PATH, &Old { step: 4 }).unwrap();
    let mut state = State { step: 0, scale: 9u64 };
    fabric.load(PATH, &mut state).unwrap();
    assert_eq!((state.step, state.scale), (4, 0));
}

#[test]
#[expect(clippy::zero_sized_map_values, reason = "a load must keep the keys of such a map")]
fn unit_structs_inside_of_containers_are_kept() {
    #[derive(Checkpoint, PartialEq, Debug)]
    struct Marker;
    #[derive(Checkpoint, PartialEq, Debug)]
    enum Mode {
        On(Marker),
        Off,
    }
    #[derive(Checkpoint, PartialEq, Debug)]
    struct State {
        flag: Option<Marker>,
        list: Vec<Marker>,
        named: BTreeMap<String, Marker>,
        mode: Mode,
    }
    let fabric = fabric();
    let saved = State {
        flag: Some(Marker),
        list: vec![Marker, Marker],
        named: [("a".to_owned(), Marker)].into(),
        mode: Mode::On(Marker),
    };
    fabric.save(PATH, &saved).unwrap();
    let mut state = State {
        flag: None,
        list: Vec::new(),
        named: BTreeMap::new(),
        mode: Mode::Off,
    };
    fabric.load(PATH, &mut state).unwrap();
    assert_eq!(state, saved);
}

#[test]
fn unit_structs_and_empty_ones_have_no_entries() {
    #[derive(Checkpoint)]
    struct Marker;
    #[derive(Checkpoint)]
    struct Empty {}
    #[derive(Checkpoint)]
    struct State<T> {
        marker: Marker,
        empty: Empty,
        #[checkpoint(skip)]
        of: PhantomData<T>,
        table: Tensor,
    }
    let state = |seed| State::<u8> {
        marker: Marker,
        empty: Empty {},
        of: PhantomData,
        table: tensor(seed, 2),
    };
    let fabric = fabric();
    fabric.save(PATH, &state(1)).unwrap();
    assert_eq!(fabric.open(PATH).unwrap().names(), ["table"]);
    let mut loaded = state(2);
    assert!(fabric.load(PATH, &mut loaded).unwrap().report.is_complete());
    assert_eq!(bits(&loaded.table), bits(&state(1).table));
    let State {
        marker: Marker,
        empty: Empty {},
        ..
    } = loaded;
}

mod names {
    pub(super) const MODEL: &str = "net";
    pub(super) const OLD: &str = "network";
    pub(super) const NESTED: &str = "old.model";
}

#[test]
fn a_constant_is_a_name() {
    #[derive(Checkpoint)]
    struct State {
        #[checkpoint(rename = names::MODEL, alias = names::OLD, alias = names::NESTED)]
        model: Tensor,
    }
    #[derive(Checkpoint)]
    struct Inner {
        model: Tensor,
    }
    #[derive(Checkpoint)]
    struct Older {
        old: Inner,
    }
    #[derive(Checkpoint)]
    struct Old {
        network: Tensor,
    }
    assert_eq!(State::FIELDS.model.name(), "net");
    let fabric = fabric();
    fabric.save(PATH, &State { model: tensor(1, 2) }).unwrap();
    assert_eq!(fabric.open(PATH).unwrap().names(), ["net"]);
    let restored = || {
        let mut state = State { model: tensor(1, 2) };
        fabric.load(PATH, &mut state).unwrap();
        bits(&state.model)
    };
    fabric.save(PATH, &Old { network: tensor(3, 2) }).unwrap();
    assert_eq!(restored(), bits(&tensor(3, 2)));
    let old = Inner { model: tensor(4, 2) };
    fabric.save(PATH, &Older { old }).unwrap();
    assert_eq!(restored(), bits(&tensor(4, 2)));
}

#[test]
fn a_value_that_an_older_file_lacks_takes_its_default() {
    #[derive(Checkpoint)]
    struct Old {
        step: u64,
    }
    fn scale() -> f64 {
        0.5
    }
    #[expect(clippy::unnecessary_wraps, reason = "the default of a field that is an `Option`")]
    fn three() -> Option<u64> {
        Some(3)
    }
    #[derive(serde::Serialize, serde::Deserialize, Default, PartialEq, Debug)]
    struct Config {
        width: u64,
    }
    #[derive(Checkpoint)]
    struct State {
        step: u64,
        #[checkpoint(default = scale)]
        scale: f64,
        #[checkpoint(default)]
        losses: Vec<f64>,
        #[checkpoint(default = three)]
        seen: Option<u64>,
        #[checkpoint(metadata, default)]
        config: Config,
    }
    let fabric = fabric();
    fabric.save(PATH, &Old { step: 4 }).unwrap();
    let filled = || State {
        step: 0,
        scale: 9.0,
        losses: vec![9.0],
        seen: Some(9),
        config: Config { width: 9 },
    };
    let mut state = filled();
    let report = fabric.load(PATH, &mut state).unwrap().report;
    assert!(report.is_complete(), "{report}");
    assert_eq!((state.step, state.scale, state.seen), (4, 0.5, Some(3)));
    assert_eq!((state.losses.len(), &state.config), (0, &Config { width: 0 }));
    // A file that has the values gives them back, also `None`.
    let saved = State { seen: None, ..filled() };
    fabric.save(PATH, &saved).unwrap();
    fabric.load(PATH, &mut state).unwrap();
    assert_eq!((state.scale, state.config.width, state.seen), (9.0, 9, None));
}
