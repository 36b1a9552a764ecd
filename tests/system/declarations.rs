//! Types that share a name are not the same type: neither for the filters of a schema, nor for the handles of a call.
#![expect(
    clippy::items_after_statements,
    reason = "a test declares its schema where it is used"
)]

use std::marker::PhantomData;

use candle_core::Tensor;
use candle_nn::Linear;
use fabric_core::{Checkpoint, Error, LoadOptions, SaveOptions, StateError, TensorInfo};

use crate::states::{PATH, bits, fabric, linear, tensor};

mod encoder {
    #[derive(fabric_core::Checkpoint)]
    pub(super) struct Block {
        #[checkpoint(filter = "weight")]
        pub(super) proj: candle_nn::Linear,
    }
}

mod decoder {
    #[derive(fabric_core::Checkpoint)]
    pub(super) struct Block {
        #[checkpoint(filter = "bias")]
        pub(super) proj: candle_nn::Linear,
    }
}

fn saved(state: &impl Checkpoint) -> Vec<String> {
    let fabric = fabric();
    fabric.save(PATH, state).unwrap();
    let raw = fabric.open(PATH).unwrap();
    raw.names().into_iter().map(str::to_owned).collect()
}

#[test]
fn structs_of_one_name_in_two_modules_have_filters_of_their_own() {
    #[derive(Checkpoint)]
    struct State {
        encoder: encoder::Block,
        decoder: decoder::Block,
    }
    let state = State {
        encoder: encoder::Block { proj: linear(1, 2, 3) },
        decoder: decoder::Block { proj: linear(2, 2, 3) },
    };
    assert_eq!(saved(&state), ["decoder.proj.bias", "encoder.proj.weight"]);
    let fabric = fabric();
    fabric.save(PATH, &state).unwrap();
    let mut state = state;
    let report = fabric.load(PATH, &mut state).unwrap().report;
    assert_eq!(report.restored, ["decoder.proj.bias", "encoder.proj.weight"]);
    assert_eq!(report.filtered, ["decoder.proj.weight", "encoder.proj.bias"]);
}

trait Keep {
    fn keep(name: &str, tensor: &TensorInfo) -> bool;
}

struct Weights;
struct Biases;

impl Keep for Weights {
    fn keep(name: &str, _: &TensorInfo) -> bool {
        name == "weight"
    }
}

impl Keep for Biases {
    fn keep(name: &str, _: &TensorInfo) -> bool {
        name == "bias"
    }
}

#[derive(Checkpoint)]
struct Part<K: Keep> {
    #[checkpoint(filter = K::keep)]
    layer: Linear,
    #[checkpoint(skip)]
    _keep: PhantomData<K>,
}

impl<K: Keep> Part<K> {
    fn new(seed: u64) -> Self {
        Self {
            layer: linear(seed, 2, 3),
            _keep: PhantomData,
        }
    }
}

#[test]
fn a_filter_that_follows_from_a_type_parameter_differs_with_it() {
    #[derive(Checkpoint)]
    struct Both {
        a: Part<Weights>,
        b: Part<Biases>,
    }
    let both = Both {
        a: Part::new(1),
        b: Part::new(2),
    };
    assert_eq!(saved(&both), ["a.layer.weight", "b.layer.bias"]);
}

fn weights_only() -> impl Checkpoint {
    #[derive(Checkpoint)]
    struct Local {
        #[checkpoint(filter = glob("w*"))]
        layer: Linear,
    }
    Local { layer: linear(1, 2, 3) }
}

#[test]
fn local_structs_of_one_name_have_filters_of_their_own() {
    #[derive(Checkpoint)]
    struct Three<A, B, C> {
        a: A,
        b: B,
        c: C,
    }
    let second = {
        #[derive(Checkpoint)]
        struct Local {
            #[checkpoint(filter = glob("b*"))]
            layer: Linear,
        }
        Local { layer: linear(2, 2, 3) }
    };
    let third = {
        #[derive(Checkpoint)]
        struct Local {
            #[checkpoint(filter("weight", "bias"))]
            layer: Linear,
        }
        Local { layer: linear(3, 2, 3) }
    };
    let state = Three {
        a: weights_only(),
        b: second,
        c: third,
    };
    assert_eq!(
        saved(&state),
        ["a.layer.weight", "b.layer.bias", "c.layer.bias", "c.layer.weight"]
    );
}

#[test]
fn one_declaration_is_judged_by_all_its_places_together_and_each_declaration_by_itself() {
    #[derive(Checkpoint)]
    struct Layer<T> {
        #[checkpoint(filter = "bias")]
        part: T,
    }
    #[derive(Checkpoint)]
    struct Stack {
        table: Layer<candle_nn::Embedding>,
        head: Layer<Linear>,
    }
    let table = || Layer {
        part: candle_nn::Embedding::new(tensor(1, (2, 3)), 3),
    };
    let stack = Stack {
        table: table(),
        head: Layer { part: linear(1, 2, 3) },
    };
    assert_eq!(
        saved(&stack),
        ["head.part.bias"],
        "of the table nothing is kept, of the head something is"
    );

    #[derive(Checkpoint)]
    struct Mistaken {
        block: encoder::Block,
        table: Layer<candle_nn::Embedding>,
    }
    let mistaken = Mistaken {
        block: encoder::Block { proj: linear(1, 2, 3) },
        table: table(),
    };
    let error = fabric().save(PATH, &mistaken).unwrap_err();
    assert!(
        matches!(&error, Error::State(StateError::EmptyFilter { declared, .. }) if declared == "Layer.part"),
        "{error}"
    );
}

#[derive(Checkpoint)]
struct Ours {
    m: Tensor,
    n: Tensor,
}

fn ours(seed: u64) -> Ours {
    Ours {
        m: tensor(seed, 3),
        n: tensor(seed + 1, 3),
    }
}

#[derive(Checkpoint)]
struct Theirs {
    m: Tensor,
    n: Tensor,
}

#[track_caller]
fn assert_foreign(error: &Error, handle: &str, of: &str) {
    let Error::State(StateError::Handle {
        handle: found,
        of: owner,
        what,
    }) = error
    else {
        panic!("{error}");
    };
    assert_eq!(found, handle);
    assert!(owner.ends_with(of), "{owner}");
    assert!(what.contains("FIELDS"), "{what}");
}

#[test]
fn a_handle_of_another_type_is_refused_by_every_call_whatever_it_is_called() {
    let fabric = fabric();
    fabric.save(PATH, &ours(1)).unwrap();
    let mut live = ours(5);
    for options in [
        LoadOptions::new().only(Theirs::FIELDS.m),
        LoadOptions::new().exclude(Theirs::FIELDS.m),
        LoadOptions::new().only(Ours::FIELDS.m).only(Theirs::FIELDS.n),
    ] {
        let error = fabric.load_with(PATH, &mut live, options.clone()).unwrap_err();
        assert!(
            error.to_string().contains("Theirs") && error.to_string().contains("Ours"),
            "{error}"
        );
        let error = fabric.load_raw_with(PATH, &mut live, options.clone()).unwrap_err();
        assert!(matches!(error, Error::State(StateError::Handle { .. })), "{error}");
        let error = fabric.open(PATH).unwrap().load_with(&mut live, options).unwrap_err();
        assert!(matches!(error, Error::State(StateError::Handle { .. })), "{error}");
    }
    for options in [
        SaveOptions::new().exclude(Theirs::FIELDS.m),
        SaveOptions::new().filter(Theirs::FIELDS.m, |_, _| true),
    ] {
        let error = fabric.save_with(PATH, &live, options).unwrap_err();
        assert_foreign(&error, "m", "Theirs");
    }
    assert_eq!(bits(&live.m), bits(&tensor(5, 3)), "nothing was touched");
}

#[test]
fn a_handle_of_a_struct_inside_of_the_state_is_no_handle_of_the_state() {
    #[derive(Checkpoint)]
    struct Outer {
        #[checkpoint(flatten)]
        inner: Ours,
        z: u64,
    }
    let fabric = fabric();
    let mut outer = Outer { inner: ours(1), z: 3 };
    fabric.save(PATH, &outer).unwrap();
    let error = fabric.load_with(PATH, &mut outer, LoadOptions::new().only(Ours::FIELDS.m));
    assert_foreign(&error.unwrap_err(), "m", "Ours");
    let through = Outer::FIELDS.inner.then(Ours::FIELDS.m);
    let loaded = fabric
        .load_with(PATH, &mut outer, LoadOptions::new().only(through))
        .unwrap();
    assert_eq!(loaded.report.restored, ["m"]);
    let error = fabric.load_with(PATH, &mut outer, LoadOptions::new().only(Outer::FIELDS.inner));
    assert_foreign(&error.unwrap_err(), "", "Outer");
}

#[test]
fn handles_of_local_structs_of_one_name_are_told_apart() {
    let handle = {
        #[derive(Checkpoint)]
        struct Local {
            m: u64,
            n: u64,
        }
        let _ = Local { m: 0, n: 0 };
        Local::FIELDS.m
    };
    #[derive(Checkpoint)]
    struct Local {
        m: u64,
        n: u64,
    }
    let fabric = fabric();
    let mut live = Local { m: 1, n: 2 };
    fabric.save(PATH, &live).unwrap();
    let error = fabric.load_with(PATH, &mut live, LoadOptions::new().only(handle));
    assert_foreign(&error.unwrap_err(), "m", "Local");
}

#[test]
fn a_handle_of_one_instance_of_a_generic_struct_is_none_of_another() {
    #[derive(Checkpoint)]
    struct Holder<T> {
        value: T,
        step: u64,
    }
    let fabric = fabric();
    let mut live = Holder { value: 1u32, step: 2 };
    fabric.save(PATH, &live).unwrap();
    let error = fabric.load_with(PATH, &mut live, LoadOptions::new().only(Holder::<u8>::FIELDS.step));
    assert_foreign(&error.unwrap_err(), "step", "Holder<u8>");
    fabric
        .load_with(PATH, &mut live, LoadOptions::new().only(Holder::<u32>::FIELDS.step))
        .unwrap();
}

/// A hand-written implementation that shows what it holds.
struct Wrapper(Ours);

impl Checkpoint for Wrapper {
    fn visit<'a>(&'a self, entries: &mut fabric_core::Visitor<'a>) {
        self.0.visit(entries);
    }
    fn visit_mut<'a>(&'a mut self, entries: &mut fabric_core::VisitorMut<'a>) {
        self.0.visit_mut(entries);
    }
}

#[test]
fn a_borrowed_boxed_or_wrapped_state_takes_the_handles_of_what_it_holds() {
    #[derive(Checkpoint)]
    struct Borrowing<'a> {
        inner: &'a mut Ours,
        step: u64,
    }
    let fabric = fabric();
    let mut state = ours(1);
    fabric.save(PATH, &state).unwrap();
    let only = || LoadOptions::new().only(Ours::FIELDS.m);
    let exclude = || SaveOptions::new().exclude(Ours::FIELDS.n);
    fabric.load_with(PATH, &mut &mut state, only()).unwrap();
    let mut boxed = Box::new(ours(2));
    fabric.load_with(PATH, &mut boxed, only()).unwrap();
    assert_eq!(bits(&boxed.m), bits(&tensor(1, 3)));
    assert_eq!(bits(&boxed.n), bits(&tensor(3, 3)));
    fabric.load_with(PATH, &mut Some(ours(2)), only()).unwrap();
    let mut wrapped = Wrapper(ours(2));
    fabric.load_with(PATH, &mut wrapped, only()).unwrap();
    fabric.save_with(PATH, &wrapped, exclude()).unwrap();
    fabric.save_with(PATH, &boxed, exclude()).unwrap();
    let mut borrowing = Borrowing {
        inner: &mut state,
        step: 1,
    };
    fabric.save(PATH, &borrowing).unwrap();
    fabric
        .load_with(PATH, &mut borrowing, LoadOptions::new().only(Borrowing::FIELDS.step))
        .unwrap();
    assert_eq!(borrowing.step, 1);
    assert_eq!(bits(&borrowing.inner.m), bits(&tensor(1, 3)));
}
