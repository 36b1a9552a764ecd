//! The words that do more than move elements: an optimizer's state begins anew, stays as it is, or keeps its type.

use candle_core::{DType, Device, Tensor};
use fabric_core::optim::{AdamW, Sgd};
use fabric_core::{Checkpoint, Fabric, LoadOptions, Moments, Strategy};
use testkit::kinds::Kind;
use testkit::states;

use super::changes::{Change, PATH, joined, named, turned};
use super::training::{Columns, Contents, Rows, Tensors, held};
use crate::strategies::world::{alone, run};

#[test]
fn moments_begin_anew_where_a_word_says_so() {
    let moved = Change::of(
        &[
            ("w", &[6, 4]),
            ("v", &[5, 4]),
            ("a", &[4, 6]),
            ("b", &[4, 5]),
            ("c", &[7, 5]),
        ],
        |m| {
            m.transpose("model.w", 0, 1)
                .moments(Moments::Reset)
                .rename("model.v", "model.u")
                .moments(Moments::Reset)
                .concat(["model.a", "model.b"], "model.ab", 1)
                .moments(Moments::Reset)
                .transpose("model.c", 0, 1);
        },
        |old| {
            named([
                ("w", turned(old, "w", 0, 1)),
                ("u", old["v"].clone()),
                ("ab", joined(old, &["a", "b"], 1)),
                ("c", turned(old, "c", 0, 1)),
            ])
        },
    );
    let change = Change {
        anew: &["w", "u", "ab"],
        ..moved
    };
    change.goes_on();
}

#[test]
fn moments_of_a_tensor_that_the_program_makes_begin_anew() {
    let made = Change::of(
        &[("w", &[6, 4]), ("v", &[4, 5]), ("c", &[7, 5])],
        |m| {
            m.tensor("model.w", "model.w", |w| w * 2.)
                .tensor("model.v", "model.turned", |v| v.t()?.contiguous());
        },
        |old| {
            named([
                ("w", (&old["w"] * 2.).expect("floats")),
                ("turned", turned(old, "v", 0, 1)),
                ("c", old["c"].clone()),
            ])
        },
    );
    let change = Change {
        anew: &["w", "turned"],
        ..made
    };
    change.goes_on();
}

#[test]
fn zeros_that_older_files_lack_have_new_moments() {
    let inserted = Change::of(
        &[("w", &[6, 4])],
        |m| {
            m.insert_zeros("model.new").insert_zeros("model.below");
        },
        |old| named([("w", old["w"].clone())]),
    );
    let change = Change {
        new: &[("new", &[5, 6]), ("below.a", &[4, 3]), ("below.b", &[7])],
        zeros: &["new", "below.a", "below.b"],
        anew: &["new", "below.a", "below.b"],
        ..inserted
    };
    change.goes_on();
}

#[test]
fn kept_parameters_have_the_moments_of_the_state() {
    let kept = Change::of(
        &[("w", &[6, 4])],
        |m| {
            m.keep("model.new").keep("model.below");
        },
        |old| named([("w", old["w"].clone())]),
    );
    let change = Change {
        new: &[("new", &[5, 6]), ("below.a", &[4, 3]), ("below.b", &[7])],
        ..kept
    };
    change.goes_on();
}

#[test]
fn kept_parameters_have_new_moments_where_the_word_says_so() {
    let kept = Change::of(
        &[("w", &[6, 4])],
        |m| {
            m.keep("model.new").moments(Moments::Reset).keep("model.own");
        },
        |old| named([("w", old["w"].clone())]),
    );
    let change = Change {
        new: &[("new", &[5, 6]), ("own", &[4, 5])],
        anew: &["new"],
        ..kept
    };
    change.goes_on();
}

#[derive(Checkpoint)]
struct HalfRows {
    #[checkpoint(shard(dim = 0))]
    model: Tensors,
}

#[derive(Checkpoint)]
struct HalfColumns {
    #[checkpoint(shard(dim = 1))]
    model: Tensors,
}

/// Loads the model alone, in which `w` has half the bits.
fn check_half<H: Checkpoint>(fabric: &Fabric, of: fn(Tensors) -> H, dim: usize, expected: &Contents) {
    let zeros = |whole: &Tensor| held(fabric, whole, dim).zeros_like().expect("zeros");
    let whole = expected.model.iter();
    let model: Tensors = whole.map(|(name, whole)| (name.clone(), zeros(whole))).collect();
    let mut state = of(model.clone());
    let options = LoadOptions::new().migrations(|m| {
        m.cast("model.w", DType::BF16);
    });
    let loaded = fabric.load_with(PATH, &mut state, options).expect("loaded");
    assert!(loaded.report.is_complete(), "{}", loaded.report);
    for (name, whole) in &expected.model {
        let bits = states::bits(&held(fabric, whole, dim));
        assert_eq!(states::bits(&model[name]), bits, "{name} along {dim}");
    }
    for (key, moments) in &expected.moments {
        for (name, whole) in moments {
            let name = format!("optimizer.state.model.{name}.{key}");
            let moment = loaded.remainder.tensor(&name, &Device::Cpu).expect("a moment");
            assert_eq!(moment.dtype(), DType::F32, "{name}");
            assert_eq!(states::bits(&moment), states::bits(whole), "{name}");
        }
    }
}

fn check_halves(fabric: &Fabric, expected: &Contents) {
    check_half(fabric, |model| HalfRows { model }, 0, expected);
    check_half(fabric, |model| HalfColumns { model }, 1, expected);
}

fn is_cast<O: Kind>() {
    // The word is one of the load, and moves nothing.
    let change = Change::of(&[("w", &[6, 5]), ("v", &[4, 7])], |_| {}, Tensors::clone);
    let mut expected = change.trained::<Rows<O>>(&Fabric::new()).contents();
    let half = expected.model["w"].to_dtype(DType::BF16).expect("floats");
    expected.model.insert("w".to_owned(), half);
    let fsdp = Strategy::fsdp();
    let rows = change.saved::<Rows<O>>(&fsdp, 4);
    for storage in [rows, change.saved::<Columns<O>>(&fsdp, 4)] {
        for ranks in [2, 3] {
            run(&fsdp, ranks, &storage, |fabric| check_halves(fabric, &expected));
        }
        check_halves(&alone(&storage), &expected);
    }
}

#[test]
fn a_cast_leaves_moments_as_they_are() {
    is_cast::<AdamW>();
    is_cast::<Sgd>();
}

/// A function that gives each rank another tensor would tear the parameter.
#[test]
fn a_function_that_differs_between_ranks_is_refused() {
    let storage = fabric_core::testing::Memory::new();
    let tensor = |name: &str| Tensors::from([(name.to_owned(), states::tensor(1, (4, 2)))]);
    alone(&storage).save(PATH, &tensor("w")).expect("saved");
    run(&Strategy::ddp(), 2, &storage, |fabric: &Fabric| {
        let rank = f64::from(u32::try_from(fabric.rank()).expect("few ranks"));
        let options = LoadOptions::new().migrations(|m| {
            m.tensor("w", "w", move |w| w + rank);
        });
        let mut state = tensor("w");
        let before = states::bits(&state["w"]);
        let error = fabric.load_with(PATH, &mut state, options).expect_err("two tensors");
        let text = error.to_string();
        assert!(
            text.contains("functions must give every rank the same tensors"),
            "{text}"
        );
        assert_eq!(states::bits(&state["w"]), before);
    });
}
