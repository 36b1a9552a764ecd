//! The parts of a state that options name: handles through containers, and names as texts.

use std::collections::{BTreeMap, HashMap, VecDeque};

use candle_nn::Linear;
use fabric_core::testing::Memory;
use fabric_core::{Checkpoint, Fabric, Field, LoadOptions, SaveOptions};

use crate::states::linear;

#[derive(Checkpoint)]
struct Block {
    attention: Linear,
    scales: Vec<u64>,
}

type Pair = (Linear, Block);

#[derive(Checkpoint)]
struct State {
    blocks: Vec<Block>,
    queue: VecDeque<Block>,
    two: [Block; 2],
    head: Option<Linear>,
    none: Option<Box<Block>>,
    boxed: Box<Block>,
    tasks: BTreeMap<String, Option<Linear>>,
    others: HashMap<String, Block>,
    pair: Pair,
    step: u64,
}

fn block(seed: u64) -> Block {
    Block {
        attention: linear(seed, 2, 2),
        scales: vec![seed],
    }
}

fn state(seed: u64) -> State {
    State {
        blocks: (0..4).map(|n| block(seed + n)).collect(),
        queue: [block(seed + 4)].into(),
        two: [block(seed + 5), block(seed + 6)],
        head: Some(linear(seed + 7, 2, 2)),
        none: None,
        boxed: Box::new(block(seed + 8)),
        tasks: BTreeMap::from([("sst2".to_owned(), Some(linear(seed + 9, 2, 2)))]),
        others: HashMap::from([("a".to_owned(), block(seed + 10))]),
        pair: (linear(seed + 11, 2, 2), block(seed + 12)),
        step: seed,
    }
}

const PATH: &str = "last.ckpt";

fn saved() -> Fabric {
    let fabric = Fabric::builder().storage(Memory::new()).build().expect("one device");
    fabric.save(PATH, &state(100)).expect("memory");
    fabric
}

/// The names that a load with these options restores.
#[track_caller]
fn restored(options: LoadOptions) -> Vec<String> {
    let loaded = saved().load_with(PATH, &mut state(1), options);
    loaded.unwrap_or_else(|error| panic!("{error}")).report.restored
}

/// The message of a load that refuses this part.
#[track_caller]
fn message(part: &str) -> String {
    let refused = saved().load_with(PATH, &mut state(1), LoadOptions::new().only(part));
    refused.expect_err("no such part").to_string()
}

#[test]
fn a_handle_reaches_through_containers_of_any_depth() {
    const THIRD: Field<State, Linear> = State::FIELDS.blocks.at(3).then(Block::FIELDS.attention);
    const TASK: Field<State, Linear> = State::FIELDS.tasks.key("sst2").some();
    const ELEMENT: Field<State, Block> = State::FIELDS.pair.element::<1>();
    let weights = |name: &str| [format!("{name}.bias"), format!("{name}.weight")].to_vec();
    let of = |field: Field<State, Linear>| restored(LoadOptions::new().only(field));
    assert_eq!(of(THIRD), weights("blocks.3.attention"));
    assert_eq!(of(TASK), weights("tasks.sst2"));
    assert_eq!(of(ELEMENT.then(Block::FIELDS.attention)), weights("pair.1.attention"));
    assert_eq!(of(State::FIELDS.pair.element::<0>()), weights("pair.0"));
    assert_eq!(of(State::FIELDS.head.some()), weights("head"));
    let inside = Block::FIELDS.attention;
    assert_eq!(of(State::FIELDS.queue.at(0).then(inside)), weights("queue.0.attention"));
    assert_eq!(of(State::FIELDS.two.at(1).then(inside)), weights("two.1.attention"));
    assert_eq!(of(State::FIELDS.boxed.boxed().then(inside)), weights("boxed.attention"));
    assert_eq!(
        of(State::FIELDS.others.key("a").then(inside)),
        weights("others.a.attention")
    );
}

#[test]
fn a_handle_reaches_through_a_borrow() {
    #[derive(Checkpoint)]
    struct Lent<'a> {
        block: &'a mut Block,
        step: u64,
    }
    let mut block = block(1);
    let mut lent = Lent {
        block: &mut block,
        step: 1,
    };
    let fabric = saved();
    fabric.save(PATH, &lent).expect("memory");
    let attention = Lent::FIELDS.block.borrowed().then(Block::FIELDS.attention);
    let loaded = fabric.load_with(PATH, &mut lent, LoadOptions::new().only(attention));
    let loaded = loaded.expect("the state itself");
    assert_eq!(
        loaded.report.restored,
        ["block.attention.bias", "block.attention.weight"]
    );
}

#[derive(Checkpoint)]
struct Chain {
    link: Option<Box<Chain>>,
    end: u64,
}

#[test]
fn a_handle_has_sixteen_levels() {
    const LINK: Field<Chain, Chain> = Chain::FIELDS.link.some().boxed();
    const FOUR: Field<Chain, Chain> = LINK.then(LINK).then(LINK).then(LINK);
    const DEEPEST: Field<Chain, u64> = FOUR
        .then(FOUR)
        .then(FOUR)
        .then(LINK.then(LINK).then(LINK))
        .then(Chain::FIELDS.end);
    assert_eq!(DEEPEST.name(), format!("{}end", "link.".repeat(15)));
    let panic = std::panic::catch_unwind(|| FOUR.then(FOUR).then(FOUR).then(FOUR).then(LINK)).unwrap_err();
    let said = panic.downcast_ref::<&str>().copied().unwrap_or_default();
    assert!(
        said.contains("at most 16 levels") && said.contains("as a text"),
        "{said}"
    );
}

#[test]
fn a_handle_past_the_end_of_a_list_is_refused_with_the_items_there_are() {
    let past = LoadOptions::new().only(State::FIELDS.blocks.at(4));
    let refused = saved().load_with(PATH, &mut state(1), past).expect_err("four items");
    let expected = "the state has no component `blocks.4`; `blocks` has 0, 1, 2, 3";
    assert!(refused.to_string().starts_with(expected), "{refused}");
}

#[test]
fn a_name_as_a_text_selects_what_its_handle_selects() {
    let by_handle = restored(
        LoadOptions::new()
            .only(State::FIELDS.blocks)
            .exclude(State::FIELDS.blocks.at(2)),
    );
    let by_text = restored(LoadOptions::new().only("blocks").exclude(String::from("blocks.2")));
    assert_eq!(by_text, by_handle);
    assert_eq!(by_text.len(), 9);
    assert_eq!(
        restored(LoadOptions::new().only("two.1.attention.bias")),
        ["two.1.attention.bias"]
    );
}

#[test]
fn a_save_takes_a_name_as_a_text() {
    let fabric = saved();
    let options = SaveOptions::new()
        .exclude("boxed")
        .filter("blocks.0", |name, _| name.ends_with("bias"));
    let report = fabric.save_with(PATH, &state(1), options).expect("memory");
    let filtered = [
        "blocks.0.attention.weight",
        "boxed.attention.bias",
        "boxed.attention.weight",
        "boxed.scales",
    ];
    assert_eq!(report.filtered, filtered);
    for options in [
        SaveOptions::new().exclude("bolcks"),
        SaveOptions::new().filter("bolcks", |_, _| true),
    ] {
        let refused = fabric.save_with(PATH, &state(1), options).expect_err("no such part");
        assert!(refused.to_string().contains("did you mean `blocks`?"), "{refused}");
    }
}

#[test]
fn an_unknown_name_is_refused_with_the_names_there_are_and_the_nearest() {
    assert_eq!(
        message("bloks"),
        "the state has no component `bloks`; it has blocks, queue, two, head, none, boxed, tasks, others, pair, step; did you \
         mean `blocks`?"
    );
    assert_eq!(
        message("blocks.2.atention"),
        "the state has no component `blocks.2.atention`; `blocks.2` has attention, scales; did you mean `blocks.2.attention`?"
    );
    assert_eq!(
        message("step.first"),
        "the state has no component `step.first`; `step` is one entry"
    );
    assert!(
        message("sst2").ends_with("did you mean `tasks.sst2`?"),
        "{}",
        message("sst2")
    );
    assert!(!message("nothing like it").contains("did you mean"));
    assert!(message("a\nb").starts_with("the state has no component `a\\nb`; it has blocks"));
    assert!(message("").starts_with("the state has no component ``; it has blocks"));
}

#[test]
fn a_part_that_is_none_has_a_name_at_any_level() {
    #[derive(Checkpoint)]
    struct Outer {
        inner: State,
    }
    let fabric = saved();
    let mut outer = Outer { inner: state(1) };
    fabric.save(PATH, &outer).expect("memory");
    let without = LoadOptions::new().exclude(Outer::FIELDS.inner.then(State::FIELDS.none));
    fabric.load_with(PATH, &mut outer, without).expect("the state itself");
    fabric
        .load_with(PATH, &mut outer, LoadOptions::new().exclude("inner.none"))
        .expect("the state itself");
}

#[test]
fn a_state_without_a_derived_struct_has_parts_too() {
    let fabric = saved();
    let mut map = BTreeMap::from([("a".to_owned(), linear(1, 2, 2)), ("b".to_owned(), linear(2, 2, 2))]);
    fabric.save(PATH, &map).expect("memory");
    let loaded = fabric
        .load_with(PATH, &mut map, LoadOptions::new().only("b"))
        .expect("two layers");
    assert_eq!(loaded.report.restored, ["b.bias", "b.weight"]);
}

#[derive(Checkpoint)]
struct Wrapped(Block);

#[derive(Checkpoint)]
enum Model {
    Dense { inner: Linear, scale: f64 },
}

#[test]
fn the_handle_of_the_field_of_a_newtype_is_refused_with_the_names_that_there_are() {
    let mut state = Wrapped(block(1));
    let fabric = Fabric::builder().storage(Memory::new()).build().expect("one device");
    fabric.save(PATH, &state).expect("memory");
    let options = LoadOptions::new().only(Wrapped::FIELDS.0);
    let error = fabric.load_with(PATH, &mut state, options).unwrap_err().to_string();
    assert!(
        error.contains("the field of a newtype, has no name of its own"),
        "{error}"
    );
    assert!(error.contains("attention, scales"), "{error}");
    let attention = Wrapped::FIELDS.0.then(Block::FIELDS.attention);
    fabric
        .load_with(PATH, &mut state, LoadOptions::new().only(attention))
        .expect("its name is `attention`");
}

#[test]
fn advice_about_an_enum_names_texts_since_it_has_no_handles() {
    #[derive(Checkpoint)]
    struct Before {
        inner: Linear,
        scale: String,
    }
    let mut model = Model::Dense {
        inner: linear(1, 2, 2),
        scale: 0.5,
    };
    let fabric = Fabric::builder().storage(Memory::new()).build().expect("one device");
    fabric.save(PATH, &model).expect("memory");
    let options = LoadOptions::new().only(State::FIELDS.head);
    let error = fabric.load_with(PATH, &mut model, options).unwrap_err().to_string();
    assert!(
        error.contains("the fields of an enum have no handles") && error.contains("\"scale\""),
        "{error}"
    );
    assert!(!error.contains("Model::FIELDS"), "{error}");
    let before = Before {
        inner: linear(2, 2, 2),
        scale: "half".to_owned(),
    };
    fabric.save(PATH, &before).expect("memory");
    let error = fabric.load(PATH, &mut model).unwrap_err().to_string();
    assert!(error.contains("LoadOptions::new().exclude(\"scale\")"), "{error}");
    fabric
        .load_with(PATH, &mut model, LoadOptions::new().exclude("scale"))
        .expect("without it");
}
