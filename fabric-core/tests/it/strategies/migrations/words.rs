//! The words that move elements and names. The optimizer's state follows.

use candle_core::Tensor;
use fabric_core::optim::{AdamW, Sgd};

use super::changes::{Change, joined, named, some, turned};

#[test]
fn renamed() {
    let change = Change::of(
        &[("layers.0.ln", &[5, 4]), ("layers.1.ln", &[6, 5]), ("head", &[7, 9])],
        |m| {
            m.rename("model.layers.*.ln", "model.blocks.*.norm.weight")
                .rename("model.head", "model.out");
        },
        |old| {
            named([
                ("blocks.0.norm.weight", old["layers.0.ln"].clone()),
                ("blocks.1.norm.weight", old["layers.1.ln"].clone()),
                ("out", old["head"].clone()),
            ])
        },
    );
    change.goes_on();
}

#[test]
fn concatenated_along_dimension_0() {
    let change = Change::of(
        &[("wq", &[9, 6]), ("wk", &[4, 6]), ("wv", &[5, 6])],
        |m| {
            m.concat(["model.wv", "model.wq", "model.wk"], "model.qkv", 0);
        },
        |old| named([("qkv", joined(old, &["wv", "wq", "wk"], 0))]),
    );
    change.goes_on();
}

#[test]
fn concatenated_along_dimension_1() {
    let change = Change::of(
        &[("gate", &[8, 6]), ("up", &[8, 5])],
        |m| {
            m.concat(["model.up", "model.gate"], "model.up", 1);
        },
        |old| named([("up", joined(old, &["up", "gate"], 1))]),
    );
    change.goes_on();
}

#[test]
fn split_along_dimension_0() {
    let change = Change::of(
        &[("qkv", &[13, 5])],
        |m| {
            m.split("model.qkv", [("model.q", 6), ("model.k", 3), ("model.v", 4)], 0);
        },
        |old| {
            named([
                ("q", some(old, "qkv", 0, 0, 6)),
                ("k", some(old, "qkv", 0, 6, 3)),
                ("v", some(old, "qkv", 0, 9, 4)),
            ])
        },
    );
    change.goes_on();
}

#[test]
fn split_along_dimension_1() {
    let change = Change::of(
        &[("qkv", &[5, 13])],
        |m| {
            m.split("model.qkv", [("model.q", 6), ("model.k", 3), ("model.v", 4)], 1);
        },
        |old| {
            named([
                ("q", some(old, "qkv", 1, 0, 6)),
                ("k", some(old, "qkv", 1, 6, 3)),
                ("v", some(old, "qkv", 1, 9, 4)),
            ])
        },
    );
    change.goes_on();
}

#[test]
fn stacked_by_a_pattern_in_the_order_of_numbers() {
    let change = Change::of(
        &[
            ("e.0.w", &[4, 5]),
            ("e.1.w", &[4, 5]),
            ("e.2.w", &[4, 5]),
            ("e.3.w", &[4, 5]),
            ("e.4.w", &[4, 5]),
            ("e.5.w", &[4, 5]),
            ("e.6.w", &[4, 5]),
            ("e.7.w", &[4, 5]),
            ("e.8.w", &[4, 5]),
            ("e.9.w", &[4, 5]),
            ("e.10.w", &[4, 5]),
        ],
        |m| {
            m.stack("model.e.*.w", "model.experts", 0);
        },
        |old| {
            let all: Vec<&Tensor> = (0..11).map(|n| &old[&format!("e.{n}.w")]).collect();
            named([("experts", Tensor::stack(&all, 0).expect("one shape"))])
        },
    );
    change.goes_on();
}

/// The new dimension has two indices: the last of three ranks holds none.
#[test]
fn stacked_by_names_along_dimension_1() {
    let change = Change::of(
        &[("a", &[6, 4]), ("b", &[6, 4])],
        |m| {
            m.stack(["model.b", "model.a"], "model.both", 1);
        },
        |old| {
            let both = Tensor::stack(&[&old["b"], &old["a"]], 1);
            named([("both", both.expect("one shape"))])
        },
    );
    change.goes_on();
}

/// The dimensions have five and three indices: along the second, the last of four ranks saves none.
#[test]
fn unstacked_along_both_dimensions() {
    let change = Change::of(
        &[("first", &[5, 6, 4]), ("second", &[6, 3, 4])],
        |m| {
            m.unstack("model.first", "model.a.*", 0)
                .unstack("model.second", "model.b.*.w", 1);
        },
        |old| {
            let index = |name: &str, dim: usize, n: usize| {
                let one = some(old, name, dim, n, 1);
                one.squeeze(dim).expect("one index")
            };
            let first = (0..5).map(|n| (format!("a.{n}"), index("first", 0, n)));
            let second = (0..3).map(|n| (format!("b.{n}.w"), index("second", 1, n)));
            first.chain(second).collect()
        },
    );
    change.goes_on();
}

#[test]
fn transposed() {
    let change = Change::of(
        &[("w", &[6, 5]), ("square", &[7, 7]), ("cube", &[4, 3, 5])],
        |m| {
            m.transpose("model.w", 0, 1)
                .transpose("model.square", 1, 0)
                .transpose("model.cube", 0, 2);
        },
        |old| {
            named([
                ("w", turned(old, "w", 0, 1)),
                ("square", turned(old, "square", 0, 1)),
                ("cube", turned(old, "cube", 0, 2)),
            ])
        },
    );
    change.goes_on();
}

#[test]
fn reshaped() {
    let change = Change::of(
        &[("w", &[8, 6]), ("row", &[12]), ("heads", &[6, 10])],
        |m| {
            m.reshape("model.w", (4, 12))
                .reshape("model.row", (3, 4))
                .reshape("model.heads", (6, 2, 5));
        },
        |old| {
            named([
                ("w", old["w"].reshape((4, 12)).expect("as many")),
                ("row", old["row"].reshape((3, 4)).expect("as many")),
                ("heads", old["heads"].reshape((6, 2, 5)).expect("as many")),
            ])
        },
    );
    change.goes_on();
}

#[test]
fn transposed_and_reshaped() {
    let change = Change::of(
        &[("out", &[7, 12]), ("cube", &[4, 3, 5])],
        |m| {
            m.transpose("model.out", 0, 1)
                .reshape("model.out", (4, 3, 7))
                .transpose("model.cube", 0, 2)
                .reshape("model.cube", [60]);
        },
        |old| {
            named([
                ("out", turned(old, "out", 0, 1).reshape((4, 3, 7)).expect("as many")),
                ("cube", turned(old, "cube", 0, 2).flatten_all().expect("as many")),
            ])
        },
    );
    change.goes_on();
}

#[test]
fn removed() {
    let change = Change::of(
        &[("w", &[6, 5]), ("gone.a", &[4, 4]), ("gone.b", &[9])],
        |m| {
            m.remove("model.gone");
        },
        |old| named([("w", old["w"].clone())]),
    );
    change.goes_on();
}

/// Words behind each other. The cut of the new tensors lies across that of the old ones.
fn several() -> Change {
    Change::of(
        &[
            ("wq", &[9, 6]),
            ("wk", &[4, 6]),
            ("wv", &[5, 6]),
            ("out", &[7, 12]),
            ("up", &[8, 5]),
            ("gate", &[8, 6]),
            ("gone", &[3, 5]),
        ],
        |m| {
            m.concat(["model.wq", "model.wk", "model.wv"], "model.qkv", 0)
                .transpose("model.out", 0, 1)
                .reshape("model.out", (4, 3, 7))
                .rename("model.out", "model.attention.out")
                .concat(["model.gate", "model.up"], "model.mlp", 1)
                .split("model.mlp", [("model.left", 7), ("model.right", 4)], 1)
                .remove("model.gone");
        },
        |old| {
            let mlp = named([("mlp", joined(old, &["gate", "up"], 1))]);
            let out = turned(old, "out", 0, 1).reshape((4, 3, 7));
            named([
                ("qkv", joined(old, &["wq", "wk", "wv"], 0)),
                ("attention.out", out.expect("as many")),
                ("left", some(&mlp, "mlp", 1, 0, 7)),
                ("right", some(&mlp, "mlp", 1, 7, 4)),
            ])
        },
    )
}

#[test]
fn several_words_follow_each_other() {
    several().goes_on();
}

#[test]
fn one_process_saves_and_four_ranks_load_through_a_recipe() {
    several().goes_on_from_one_process::<AdamW>();
    several().goes_on_from_one_process::<Sgd>();
}
