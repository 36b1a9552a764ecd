//! Containers of components are addressed by index or key and must match; boxes and borrows add no name.

use std::collections::{BTreeMap, HashMap, VecDeque};

use candle_core::{Tensor, Var};
use candle_nn::Linear;
use fabric_core::{Checkpoint, LoadOptions, MismatchKind};

use crate::states::{Mlp, PATH, bits, fabric, image, linear, mismatched, refused, tensor, var, weights};

#[derive(Checkpoint)]
struct Everything {
    vec: Vec<Linear>,
    deque: VecDeque<Tensor>,
    array: [Tensor; 2],
    pair: (Linear, Var),
    map: BTreeMap<String, Tensor>,
    hashed: HashMap<String, Linear>,
    boxed: Box<Mlp>,
    nested: Vec<BTreeMap<String, (Tensor, Option<Tensor>)>>,
    some: Option<Tensor>,
    none: Option<Tensor>,
    mixed: (u64, Tensor),
}

fn everything(seed: u64) -> Everything {
    let named = |name: &str, seed| (name.to_owned(), tensor(seed, 2));
    Everything {
        vec: vec![linear(seed, 2, 2), linear(seed + 1, 2, 3)],
        deque: [tensor(seed + 2, 2), tensor(seed + 3, 3)].into(),
        array: [tensor(seed + 4, 2), tensor(seed + 5, 3)],
        pair: (linear(seed + 6, 1, 2), var(seed + 7, 4)),
        map: [named("left", seed + 8), named("right", seed + 9)].into(),
        hashed: ["a", "b", "c", "d"]
            .map(|key| (key.to_owned(), linear(seed + 10, 1, 1)))
            .into(),
        boxed: Box::new(Mlp::new(seed + 11)),
        nested: vec![[("x".to_owned(), (tensor(seed + 12, 1), Some(tensor(seed + 13, 1))))].into()],
        some: Some(tensor(seed + 14, 2)),
        none: None,
        mixed: (seed, tensor(seed + 15, 2)),
    }
}

#[test]
fn parts_are_named_by_field_index_and_key_joined_by_dots() {
    let fabric = fabric();
    fabric.save(PATH, &everything(1)).unwrap();
    let names = [
        "array.0",
        "array.1",
        "boxed.fc1.bias",
        "boxed.fc1.weight",
        "boxed.fc2.bias",
        "boxed.fc2.weight",
        "deque.0",
        "deque.1",
        "hashed.a.bias",
        "hashed.a.weight",
        "hashed.b.bias",
        "hashed.b.weight",
        "hashed.c.bias",
        "hashed.c.weight",
        "hashed.d.bias",
        "hashed.d.weight",
        "map.left",
        "map.right",
        "mixed.0",
        "mixed.1",
        "nested.0.x.0",
        "nested.0.x.1",
        "pair.0.bias",
        "pair.0.weight",
        "pair.1",
        "some",
        "vec.0.bias",
        "vec.0.weight",
        "vec.1.bias",
        "vec.1.weight",
    ];
    assert_eq!(fabric.open(PATH).unwrap().names(), names);
}

#[test]
fn all_of_them_come_back_bit_for_bit() {
    let fabric = fabric();
    let saved = everything(1);
    fabric.save(PATH, &saved).unwrap();
    let mut live = everything(50);
    let loaded = fabric.load(PATH, &mut live).unwrap();
    assert!(loaded.remainder.is_empty() && loaded.report.is_complete());
    assert!(image(&live) == image(&saved));
    assert_eq!(live.mixed.0, 1);
    assert_eq!(bits(&live.nested[0]["x"].1.clone().unwrap()), bits(&tensor(14, 1)));
}

#[test]
fn a_vec_of_components_of_another_length_does_not_match() {
    #[derive(Checkpoint)]
    struct Blocks {
        blocks: Vec<Linear>,
    }
    let blocks = |count: u64| Blocks {
        blocks: (0..count).map(|seed| linear(seed, 2, 2)).collect(),
    };
    let fabric = fabric();
    fabric.save(PATH, &blocks(11)).unwrap();
    let mut shorter = blocks(10);
    assert_eq!(
        refused(&fabric, &mut shorter, LoadOptions::new()).unexpected,
        ["blocks.10.bias", "blocks.10.weight"]
    );
    let mut longer = blocks(12);
    assert_eq!(
        refused(&fabric, &mut longer, LoadOptions::new()).missing,
        ["blocks.11.bias", "blocks.11.weight"]
    );
    let loaded = fabric
        .load_with(PATH, &mut shorter, LoadOptions::new().strict(false))
        .unwrap();
    assert_eq!((shorter.blocks.len(), loaded.remainder.len()), (10, 2));
}

#[test]
fn a_map_of_components_with_other_keys_does_not_match() {
    #[derive(Checkpoint)]
    struct Heads {
        heads: HashMap<String, Tensor>,
    }
    let heads = |keys: &[&str]| Heads {
        heads: keys.iter().map(|&key| (key.to_owned(), tensor(1, 2))).collect(),
    };
    let fabric = fabric();
    fabric.save(PATH, &heads(&["a", "b"])).unwrap();
    let report = refused(&fabric, &mut heads(&["b", "c"]), LoadOptions::new());
    assert_eq!(
        (&report.missing[..], &report.unexpected[..]),
        (&["heads.c".to_owned()][..], &["heads.a".to_owned()][..])
    );
}

#[test]
fn a_key_with_a_dot_that_makes_one_name_of_two_entries_is_refused() {
    #[derive(Checkpoint)]
    struct Clash {
        map: BTreeMap<String, BTreeMap<String, Tensor>>,
    }
    let inner = |key: &str| BTreeMap::from([(key.to_owned(), tensor(1, 1))]);
    let state = Clash {
        map: [("a".to_owned(), inner("b.c")), ("a.b".to_owned(), inner("c"))].into(),
    };
    let error = fabric().save(PATH, &state).unwrap_err().to_string();
    assert!(error.contains("`map.a.b.c` is there twice"), "{error}");
}

#[test]
fn keys_that_are_no_names_are_refused() {
    #[derive(Checkpoint)]
    struct Keyed {
        map: BTreeMap<String, Tensor>,
    }
    for key in ["", ".", "a..b", "a.", "line\nbreak"] {
        let state = Keyed {
            map: [(key.to_owned(), tensor(1, 1))].into(),
        };
        let error = fabric().save(PATH, &state).unwrap_err();
        assert!(matches!(error, fabric_core::Error::State(_)), "{key:?}: {error}");
    }
}

#[test]
fn a_component_in_an_option_is_there_on_both_sides_or_on_none() {
    #[derive(Checkpoint)]
    struct Maybe {
        base: Tensor,
        adapter: Option<Linear>,
    }
    let maybe = |seed, adapter: bool| Maybe {
        base: tensor(seed, 2),
        adapter: adapter.then(|| linear(seed, 2, 2)),
    };
    let fabric = fabric();
    fabric.save(PATH, &maybe(1, true)).unwrap();
    let mut without = maybe(2, false);
    let report = refused(&fabric, &mut without, LoadOptions::new());
    assert_eq!(report.unexpected, ["adapter.bias", "adapter.weight"]);
    let loaded = fabric
        .load_with(PATH, &mut without, LoadOptions::new().strict(false))
        .unwrap();
    assert!(without.adapter.is_none());
    assert_eq!(loaded.remainder.names(), ["adapter.bias", "adapter.weight"]);

    fabric.save(PATH, &maybe(1, false)).unwrap();
    assert_eq!(
        refused(&fabric, &mut maybe(2, true), LoadOptions::new()).missing,
        ["adapter.bias", "adapter.weight"]
    );
    fabric.load(PATH, &mut maybe(2, false)).unwrap();
}

#[test]
fn a_borrowed_part_is_restored_where_it_lives() {
    #[derive(Checkpoint)]
    struct Borrowed<'s> {
        model: &'s mut Mlp,
        step: &'s mut u64,
    }
    let fabric = fabric();
    let (mut model, mut step) = (Mlp::new(1), 7);
    fabric
        .save(
            PATH,
            &Borrowed {
                model: &mut model,
                step: &mut step,
            },
        )
        .unwrap();
    assert!(fabric.open(PATH).unwrap().contains("model.fc1.weight"));
    let (mut other, mut other_step) = (Mlp::new(2), 0);
    fabric
        .load(
            PATH,
            &mut Borrowed {
                model: &mut other,
                step: &mut other_step,
            },
        )
        .unwrap();
    assert_eq!((weights(&other), other_step), (weights(&model), 7));
}

#[test]
fn lists_and_tuples_of_the_same_parts_are_the_same_file() {
    #[derive(Checkpoint)]
    struct Parts<P> {
        parts: P,
    }
    let fabric = fabric();
    fabric
        .save(
            PATH,
            &Parts {
                parts: vec![tensor(1, 2), tensor(2, 3)],
            },
        )
        .unwrap();
    let mut pair = Parts {
        parts: (tensor(3, 2), Box::new(tensor(4, 3))),
    };
    fabric.load(PATH, &mut pair).unwrap();
    assert_eq!(bits(&pair.parts.1), bits(&tensor(2, 3)));
    let mut wrong = Parts {
        parts: [tensor(3, 2), tensor(4, 2)],
    };
    let report = refused(&fabric, &mut wrong, LoadOptions::new());
    assert_eq!(mismatched(&report), [("parts.1", MismatchKind::Shape)]);
}

#[test]
fn a_container_may_be_the_whole_state() {
    let fabric = fabric();
    let layers = |seed| vec![linear(seed, 2, 2), linear(seed + 1, 2, 2)];
    fabric.save(PATH, &layers(1)).unwrap();
    assert_eq!(
        fabric.open(PATH).unwrap().names(),
        ["0.bias", "0.weight", "1.bias", "1.weight"]
    );
    let mut live = layers(5);
    fabric.load(PATH, &mut live).unwrap();
    assert_eq!(weights(&live), weights(&layers(1)));
    let mut pair = (linear(7, 2, 2), Some(linear(8, 2, 2)));
    fabric.load(PATH, &mut pair).unwrap();
    assert_eq!(weights(&pair), weights(&layers(1)));
    fabric
        .save(PATH, &HashMap::from([("a".to_owned(), tensor(1, 2))]))
        .unwrap();
    assert_eq!(fabric.open(PATH).unwrap().names(), ["a"]);
}

#[test]
fn keys_of_any_characters_come_back() {
    let keys = [
        "quote\"",
        "back\\slash",
        "größe",
        "🦀",
        "a/b",
        " ",
        "{}",
        "__metadata",
        "\u{2028}",
    ];
    let state = |seed: u64| -> BTreeMap<String, Tensor> {
        keys.iter()
            .zip(seed..)
            .map(|(&key, seed)| (key.to_owned(), tensor(seed, 2)))
            .collect()
    };
    let fabric = fabric();
    fabric.save(PATH, &state(1)).unwrap();
    let mut live = state(50);
    fabric.load(PATH, &mut live).unwrap();
    for (key, tensor) in &live {
        assert_eq!(bits(tensor), bits(&state(1)[key]), "{key:?}");
    }
    for reserved in ["__metadata__", "__fabric__"] {
        let state = BTreeMap::from([(reserved.to_owned(), tensor(1, 1))]);
        let error = fabric.save(PATH, &state).unwrap_err().to_string();
        assert!(error.contains("is reserved by the file format"), "{error}");
    }
}
