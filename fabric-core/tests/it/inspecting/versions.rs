//! The structs of a state in its file, each with its path, its name and its version.

use std::collections::BTreeMap;

use candle_core::Tensor;
use candle_nn::Linear;
use fabric_core::optim::AdamW;
use fabric_core::testing::{Memory, assert_symmetric};
use fabric_core::{Checkpoint, Fabric, Migrations, RawCheckpoint, SaveOptions, Strategy, Visitor, VisitorMut};
use testkit::files::on;
use testkit::states::{linear, tensor};
use testkit::world;

#[derive(Checkpoint)]
#[checkpoint(version = 3, migrate = Self::migrations)]
struct Attention {
    qkv: Tensor,
}

impl Attention {
    fn new(seed: u64) -> Self {
        Self { qkv: tensor(seed, 4) }
    }

    fn migrations(m: &mut Migrations) {
        m.from(1, "one matrix").concat(["q", "k", "v"], "qkv", 0);
        m.from(2, "nothing moved");
    }
}

#[derive(Checkpoint)]
#[checkpoint(version = 2)]
struct Block<A> {
    attention: Box<A>,
    norm: Linear,
}

#[derive(Checkpoint)]
struct Wrapped(Attention);

#[derive(Checkpoint)]
#[checkpoint(version = 4)]
struct Counters {
    step: u64,
}

#[derive(Checkpoint)]
#[checkpoint(version = 5)]
enum Head {
    Plain(Attention),
    None,
}

#[derive(Checkpoint)]
#[checkpoint(version = 6)]
struct Epoch(u64);

#[derive(Checkpoint)]
#[checkpoint(version = 7)]
enum Mode {
    Warm,
    Cold(f64),
}

/// A hand-written implementation, which shows a derived part with `component`, one by a call of `visit`, and a hand-written one.
struct ByHand {
    part: Attention,
    direct: Attention,
    inner: Inner,
}

struct Inner(Tensor);

impl Checkpoint for ByHand {
    const VERSION: u32 = 8;

    fn visit<'a>(&'a self, entries: &mut Visitor<'a>) {
        entries.component("part", &self.part);
        entries.nested("direct", |entries| self.direct.visit(entries));
        entries.field("inner").alias("old").component(&self.inner);
    }
    fn visit_mut<'a>(&'a mut self, entries: &mut VisitorMut<'a>) {
        entries.component("part", &mut self.part);
        entries.nested("direct", |entries| self.direct.visit_mut(entries));
        entries.field("inner").alias("old").component(&mut self.inner);
    }
}

impl Checkpoint for Inner {
    const VERSION: u32 = 9;

    fn recipe(m: &mut Migrations) {
        m.from(8, "nothing moved");
    }
    fn visit<'a>(&'a self, entries: &mut Visitor<'a>) {
        entries.tensor("w", &self.0);
    }
    fn visit_mut<'a>(&'a mut self, entries: &mut VisitorMut<'a>) {
        entries.tensor("w", &self.0);
    }
}

#[derive(Checkpoint)]
struct Model<'a> {
    blocks: Vec<Block<Attention>>,
    heads: BTreeMap<String, Head>,
    view: &'a mut Attention,
    some: Option<Attention>,
    none: Option<Attention>,
    wrapped: Wrapped,
    #[checkpoint(flatten)]
    counters: Counters,
    pair: (Attention, [Linear; 1]),
    by_hand: ByHand,
    many_by_hand: Vec<Inner>,
    #[checkpoint(rename = "values")]
    epoch: Epoch,
    modes: Vec<Mode>,
    map: BTreeMap<String, Tensor>,
    optimizer: AdamW,
}

impl<'a> Model<'a> {
    fn new(view: &'a mut Attention) -> Self {
        let block = |seed| Block {
            attention: Box::new(Attention::new(seed)),
            norm: linear(seed, 2, 2),
        };
        let norm = linear(9, 2, 2);
        Self {
            blocks: vec![block(1), block(2)],
            heads: BTreeMap::from([
                ("left".to_owned(), Head::Plain(Attention::new(3))),
                ("right".to_owned(), Head::None),
            ]),
            view,
            some: Some(Attention::new(4)),
            none: None,
            wrapped: Wrapped(Attention::new(5)),
            counters: Counters { step: 6 },
            optimizer: AdamW::new_lr(testkit::states::variables(&norm), 0.1).unwrap(),
            pair: (Attention::new(6), [norm]),
            by_hand: ByHand {
                part: Attention::new(7),
                direct: Attention::new(8),
                inner: Inner(tensor(9, 2)),
            },
            many_by_hand: vec![Inner(tensor(10, 2))],
            epoch: Epoch(1),
            modes: vec![Mode::Warm, Mode::Cold(0.5)],
            map: BTreeMap::from([("w".to_owned(), tensor(11, 2))]),
        }
    }
}

const EXPECTED: [(&str, &str, u32); 19] = [
    ("", "Model", 1),
    ("", "Counters", 4),
    ("blocks.0", "Block", 2),
    ("blocks.0.attention", "Attention", 3),
    ("blocks.1", "Block", 2),
    ("blocks.1.attention", "Attention", 3),
    ("by_hand", "ByHand", 8),
    ("by_hand.direct", "Attention", 3),
    ("by_hand.inner", "Inner", 9),
    ("by_hand.part", "Attention", 3),
    ("heads.left", "Head", 5),
    ("heads.left", "Attention", 3),
    ("heads.right", "Head", 5),
    ("many_by_hand.0", "Inner", 9),
    ("pair.0", "Attention", 3),
    ("some", "Attention", 3),
    ("view", "Attention", 3),
    ("wrapped", "Wrapped", 1),
    ("wrapped", "Attention", 3),
];

/// Path, name and version of each struct.
fn versions(raw: &RawCheckpoint) -> Vec<(String, String, u32)> {
    let versions = raw.versions().into_iter();
    versions.map(|found| (found.path, found.name, found.version)).collect()
}

fn owned(expected: &[(&str, &str, u32)]) -> Vec<(String, String, u32)> {
    let own = |(path, name, version): &(&str, &str, u32)| ((*path).to_owned(), (*name).to_owned(), *version);
    expected.iter().map(own).collect()
}

#[test]
fn every_struct_is_in_the_file_by_its_path() {
    let mut view = Attention::new(0);
    let mut model = Model::new(&mut view);
    let fabric = on(Memory::new());
    fabric.save("one", &model).unwrap();
    let raw = fabric.open("one").unwrap();
    assert_eq!(versions(&raw), owned(&EXPECTED));
    assert_eq!(raw.description().unwrap().structs, raw.versions());
    fabric.load("one", &mut model).unwrap();
    // The walk of a load shows the same structs as that of a save.
    assert_symmetric(&mut model);
    fabric.save("view", &&mut model).unwrap();
    assert_eq!(versions(&fabric.open("view").unwrap()), owned(&EXPECTED));
}

#[test]
fn a_subtree_has_the_structs_below_it_by_relative_paths() {
    let mut view = Attention::new(0);
    let fabric = on(Memory::new());
    fabric.save("one", &Model::new(&mut view)).unwrap();
    let raw = fabric.open("one").unwrap();
    let below = |name: &str| versions(&raw.subtree(name));
    let blocks = [("0", "Block", 2), ("0.attention", "Attention", 3), ("1", "Block", 2)];
    assert_eq!(below("blocks")[..3], owned(&blocks));
    assert_eq!(below("wrapped"), owned(&[("", "Wrapped", 1), ("", "Attention", 3)]));
    assert_eq!(below("block"), []);
    assert_eq!(raw.subtree("blocks").description().unwrap().structs, raw.versions());
}

#[test]
fn a_directory_has_the_structs_of_its_state() {
    #[derive(Checkpoint)]
    #[checkpoint(version = 2)]
    struct State {
        #[checkpoint(shard(dim = 0))]
        layers: Vec<Attention>,
        by_hand: Option<Inner>,
    }
    let state = || State {
        layers: vec![Attention::new(1), Attention::new(2)],
        by_hand: Some(Inner(tensor(3, 2))),
    };
    let expected = owned(&[
        ("", "State", 2),
        ("by_hand", "Inner", 9),
        ("layers.0", "Attention", 3),
        ("layers.1", "Attention", 3),
    ]);
    for ranks in [1, 2, 4] {
        let storage = Memory::new();
        world::run(&Strategy::fsdp(), ranks, &storage, |fabric| {
            fabric.save("directory", &state()).unwrap();
            let handle = fabric.save_async("background", &state()).unwrap();
            handle.wait().unwrap();
        });
        world::run(&Strategy::ddp(), ranks, &storage, |fabric| {
            let mut whole = state();
            whole.layers.clear();
            fabric.save("file", &whole).unwrap();
        });
        let fabric = on(storage);
        fabric.reshard("directory", "other", Strategy::fsdp().ranks(3)).unwrap();
        fabric.consolidate("directory", "one").unwrap();
        for path in ["directory", "background", "other", "one"] {
            assert_eq!(versions(&fabric.open(path).unwrap()), expected, "{path} of {ranks}");
        }
        assert_eq!(versions(&fabric.open("file").unwrap()), expected[..2], "{ranks}");
    }
}

#[test]
fn ranks_compare_the_versions_of_structs() {
    // The version of a type is a constant, so two types stand for two builds of a program.
    #[derive(Checkpoint)]
    #[checkpoint(version = 3)]
    struct Third {
        w: Tensor,
    }
    #[derive(Checkpoint)]
    #[checkpoint(version = 2)]
    struct Second {
        w: Tensor,
    }
    let errors = world::run(&Strategy::fsdp(), 2, &Memory::new(), |fabric| {
        let w = tensor(1, 2);
        let saved = if fabric.rank() == 0 {
            fabric.save("x", &BTreeMap::from([("a".to_owned(), Third { w })]))
        } else {
            fabric.save("x", &BTreeMap::from([("a".to_owned(), Second { w })]))
        };
        saved.unwrap_err().to_string()
    });
    let says = "the version of the struct at `a` is 2, and 3 on rank 0";
    assert!(errors.iter().any(|error| error.contains(says)), "{errors:?}");
}

#[test]
fn a_filtered_struct_keeps_its_version() {
    let mut view = Attention::new(0);
    let fabric = on(Memory::new());
    let options = SaveOptions::new().exclude(Model::FIELDS.blocks);
    fabric.save_with("one", &Model::new(&mut view), options).unwrap();
    assert_eq!(versions(&fabric.open("one").unwrap()), owned(&EXPECTED));
}

#[test]
fn a_container_as_the_state_is_no_struct() {
    let fabric = Fabric::builder().storage(Memory::new()).build().unwrap();
    let state = BTreeMap::from([("a".to_owned(), Attention::new(1))]);
    fabric.save("one", &state).unwrap();
    let raw = fabric.open("one").unwrap();
    assert_eq!(versions(&raw), owned(&[("a", "Attention", 3)]));
}

#[test]
fn walks_that_show_other_structs_are_refused() {
    struct Odd(Inner);

    impl Checkpoint for Odd {
        fn visit<'a>(&'a self, entries: &mut Visitor<'a>) {
            entries.component("inner", &self.0);
        }
        fn visit_mut<'a>(&'a mut self, entries: &mut VisitorMut<'a>) {
            entries.nested("inner", |entries| self.0.visit_mut(entries));
        }
    }
    let fabric = on(Memory::new());
    let mut state = Odd(Inner(tensor(1, 2)));
    fabric.save("one", &state).unwrap();
    let error = fabric.load("one", &mut state).unwrap_err().to_string();
    assert!(error.contains("struct `Inner` version 9 at `inner`"), "{error}");
    assert!(error.contains("no further struct"), "{error}");
}
