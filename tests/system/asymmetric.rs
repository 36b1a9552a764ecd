//! A `visit_mut` that shows other entries than `visit`: a load says so before it changes anything.

use std::collections::{BTreeMap, VecDeque};

use candle_core::Tensor;
use candle_nn::{Linear, VarMap};
use fabric_core::__private1::Types;
use fabric_core::optim::Sgd;
use fabric_core::testing::assert_symmetric;
use fabric_core::{Checkpoint, Error, LoadOptions, StateError, Visitor, VisitorMut};

use crate::states::{PATH, bits, fabric, tensor};

/// Shows two tensors and a number to a save, and to a load what `slip` says.
struct Slips {
    a: Tensor,
    b: Tensor,
    step: u64,
    sgd: Sgd,
    slip: &'static str,
}

impl Slips {
    fn new(seed: u64, slip: &'static str) -> Self {
        Self {
            a: tensor(seed, 2),
            b: tensor(seed + 1, 2),
            step: seed,
            sgd: Sgd::empty(0.1).unwrap(),
            slip,
        }
    }
}

impl Checkpoint for Slips {
    fn visit<'a>(&'a self, entries: &mut Visitor<'a>) {
        entries.field("a").alias("old").tensor(&self.a);
        entries.tensor("b", &self.b);
        entries.value("step", &self.step);
        entries.optimizer("sgd", &self.sgd);
    }

    fn visit_mut<'a>(&'a mut self, entries: &mut VisitorMut<'a>) {
        let Self { a, b, step, sgd, slip } = self;
        match *slip {
            "order" => entries.tensor("b", b),
            "alias" => entries.tensor("a", a),
            "shard" => entries.field("a").alias("old").shard(0).tensor(a),
            "optional" => entries.field("a").alias("old").optional().tensor(a),
            "filter" => entries.field("a").alias("old").filter_text(&["a"]).tensor(a),
            "buffer" => entries.field("a").alias("old").buffer().tensor(a),
            _ => entries.field("a").alias("old").tensor(a),
        }
        match *slip {
            "order" => entries.field("a").alias("old").tensor(a),
            "memory" => entries.tensor("b", a),
            "name" => entries.tensor("bb", b),
            _ => entries.tensor("b", b),
        }
        match *slip {
            "missing" => {}
            "kind" => entries.tensor("step", a),
            "per_rank" => entries.field("step").per_rank().value(step),
            "default" => entries.field("step").value_or(step, u64::default),
            "metadata default" => entries.field("step").metadata_or(step, u64::default),
            _ => entries.value("step", step),
        }
        if *slip == "more" {
            entries.tensor("c", b);
        }
        entries.optimizer(if *slip == "optimizer" { "adam" } else { "sgd" }, sgd);
    }
}

fn difference(slip: &'static str) -> (String, String) {
    let fabric = fabric();
    fabric.save(PATH, &Slips::new(1, slip)).unwrap();
    let mut state = Slips::new(10, slip);
    let options = [LoadOptions::new(), LoadOptions::new().strict(false)];
    let errors = options.map(|options| fabric.load_with(PATH, &mut state, options).unwrap_err());
    assert_eq!(
        (state.step, bits(&state.a), bits(&state.b)),
        (10, bits(&tensor(10, 2)), bits(&tensor(11, 2)))
    );
    let [Error::State(StateError::Asymmetric { visit, visit_mut }), again] = &errors else {
        panic!("{slip}: {}", errors[0]);
    };
    assert_eq!(errors[0].to_string(), again.to_string());
    (visit.clone(), visit_mut.clone())
}

#[test]
fn a_load_names_the_first_entry_that_differs() {
    let a = "tensor `a`, alias `old`";
    for (slip, visit, visit_mut) in [
        ("order", a, "tensor `b`"),
        ("alias", a, "tensor `a`"),
        ("shard", a, "tensor `a`, alias `old`, shard 0"),
        ("optional", a, "tensor `a`, alias `old`, optional"),
        ("filter", a, "tensor `a`, alias `old`, filter text [\"a\"]"),
        ("buffer", a, "buffer `a`, alias `old`"),
        ("memory", "tensor `b`", "tensor `b` of other memory"),
        ("name", "tensor `b`", "tensor `bb`"),
        ("missing", "value `step`", "no further entry"),
        ("kind", "value `step`", "tensor `step`"),
        ("per_rank", "value `step`", "value `step`, per_rank"),
        ("default", "value `step`", "value `step`, default"),
        ("metadata default", "value `step`", "value `step`, default"),
        ("more", "no further entry", "tensor `c`"),
        ("optimizer", "optimizer `sgd`", "optimizer `adam`"),
    ] {
        assert_eq!(difference(slip), (visit.to_owned(), visit_mut.to_owned()), "{slip}");
    }
}

#[test]
fn a_checkpoint_that_was_saved_before_the_correction_loads_after_it() {
    let fabric = fabric();
    fabric.save(PATH, &Slips::new(1, "missing")).unwrap();
    let mut state = Slips::new(10, "");
    fabric.load(PATH, &mut state).unwrap();
    assert_eq!((state.step, bits(&state.b)), (1, bits(&tensor(2, 2))));
}

#[test]
fn the_message_says_what_to_do() {
    let error = fabric_with_slip("name");
    assert_eq!(
        error,
        "`visit` and `visit_mut` of the state differ: `visit` shows tensor `b`, `visit_mut` shows tensor `bb`; a file holds the \
         entries of `visit`, so correct the hand-written `visit_mut` and load the file again"
    );
}

fn fabric_with_slip(slip: &'static str) -> String {
    let fabric = fabric();
    fabric.save(PATH, &Slips::new(1, slip)).unwrap();
    let raw = fabric.open(PATH).unwrap();
    let error = raw.load(&mut Slips::new(2, slip)).unwrap_err();
    error.to_string()
}

#[test]
#[should_panic(expected = "`visit` shows value `step`, `visit_mut` shows tensor `step`")]
fn a_unit_test_sees_it_without_a_file() {
    assert_symmetric(&mut Slips::new(1, "kind"));
}

/// A derived list, which contains itself.
#[derive(Checkpoint)]
struct Chain<T> {
    part: T,
    next: Vec<Chain<T>>,
}

#[derive(Checkpoint)]
struct Holds<A> {
    weight: Tensor,
    chain: Option<Box<Chain<A>>>,
    step: u64,
}

#[derive(Checkpoint)]
struct Derived {
    chain: Chain<(Linear, VarMap)>,
    named: BTreeMap<String, [Tensor; 2]>,
    sgd: Sgd,
    #[checkpoint(metadata)]
    notes: Vec<String>,
    #[checkpoint(skip)]
    _slips: Option<Slips>,
}

fn is_compared<S: Checkpoint>() -> bool {
    S::may_differ(&mut Types::default())
}

#[test]
fn a_load_compares_states_with_a_hand_written_part() {
    assert!(is_compared::<Slips>());
    assert!(is_compared::<Chain<Slips>>());
    assert!(is_compared::<Holds<Slips>>());
    assert!(is_compared::<Holds<(Tensor, Slips)>>());
    assert!(is_compared::<&mut Holds<[Slips; 1]>>());
    assert!(is_compared::<Holds<VecDeque<BTreeMap<String, Slips>>>>());
}

#[test]
fn a_load_walks_a_derived_state_once() {
    assert!(!is_compared::<Derived>());
    assert!(!is_compared::<Holds<Derived>>());
    assert!(!is_compared::<Holds<Chain<Vec<Linear>>>>());
}

#[test]
fn a_load_refuses_a_hand_written_part_of_a_derived_state() {
    let holds = |seed| Holds {
        weight: tensor(seed, 2),
        chain: Some(Box::new(Chain {
            part: tensor(seed, 2),
            next: vec![],
        })),
        step: seed,
    };
    let wrong = |seed| {
        let Holds { weight, step, .. } = holds(seed);
        let part = vec![Slips::new(seed, "name")];
        let next = vec![];
        Holds {
            weight,
            chain: Some(Box::new(Chain { part, next })),
            step,
        }
    };
    let fabric = fabric();
    fabric.save(PATH, &holds(1)).unwrap();
    let mut state = holds(5);
    fabric.load(PATH, &mut state).unwrap();
    assert_eq!(state.step, 1);
    fabric.save(PATH, &wrong(1)).unwrap();
    let mut state = wrong(5);
    let error = fabric.load(PATH, &mut state).unwrap_err().to_string();
    assert!(
        error.contains("`visit` shows tensor `chain.part.0.b`, `visit_mut` shows tensor `chain.part.0.bb`"),
        "{error}"
    );
    assert_eq!((state.step, bits(&state.weight)), (5, bits(&tensor(5, 2))));
}
