//! Structs that move, that get a level around them, and that every container holds: their steps are followed once, in their place.

use std::collections::BTreeMap;

use candle_core::{Tensor, Var};
use fabric_core::optim::AdamW;
use fabric_core::{Checkpoint, Error, LoadOptions, Migrations, Moments, SaveOptions};

use crate::states::{PATH, bits, fabric, tensor};

mod first {
    use super::*;

    #[derive(Checkpoint)]
    pub(super) struct Part {
        pub(super) w: Tensor,
    }

    #[derive(Checkpoint)]
    pub(super) struct Generic<T> {
        pub(super) inner: T,
    }

    #[derive(Checkpoint)]
    pub(super) struct Wrapped(pub(super) Part);

    #[derive(Checkpoint)]
    #[allow(dead_code, reason = "one variant is enough")]
    pub(super) enum Either {
        Left { part: Part },
        Right,
    }

    #[derive(Checkpoint)]
    pub(super) struct State {
        pub(super) boxed: Box<Part>,
        pub(super) optional: Option<Part>,
        pub(super) list: Vec<Part>,
        pub(super) map: BTreeMap<String, Part>,
        pub(super) pair: (Part, Part),
        pub(super) either: Either,
        pub(super) newtype: Wrapped,
        pub(super) generic: Generic<Part>,
        #[checkpoint(flatten)]
        pub(super) flat: Part,
    }

    pub(super) fn part(seed: u64) -> Part {
        Part {
            w: tensor(seed, (2, 3)),
        }
    }

    pub(super) fn state() -> State {
        State {
            boxed: Box::new(part(1)),
            optional: Some(part(2)),
            list: vec![part(3), part(4)],
            map: BTreeMap::from([("a".to_owned(), part(5))]),
            pair: (part(6), part(7)),
            either: Either::Left { part: part(8) },
            newtype: Wrapped(part(9)),
            generic: Generic { inner: part(10) },
            flat: part(11),
        }
    }
}

#[derive(Checkpoint)]
#[checkpoint(version = 2, migrate = Part::migrations)]
struct Part {
    weight: Tensor,
}

impl Part {
    fn migrations(m: &mut Migrations) {
        m.from(1, "turned").rename("w", "weight").transpose("weight", 0, 1);
    }
}

#[derive(Checkpoint)]
struct Generic<T> {
    inner: T,
}

#[derive(Checkpoint)]
struct Wrapped(Part);

#[derive(Checkpoint)]
#[allow(dead_code, reason = "one variant is enough")]
enum Either {
    Left { part: Part },
    Right,
}

#[derive(Checkpoint)]
struct State {
    boxed: Box<Part>,
    optional: Option<Part>,
    list: Vec<Part>,
    map: BTreeMap<String, Part>,
    pair: (Part, Part),
    either: Either,
    newtype: Wrapped,
    generic: Generic<Part>,
    #[checkpoint(flatten)]
    flat: Part,
}

fn part() -> Part {
    Part {
        weight: tensor(0, (3, 2)),
    }
}

fn state() -> State {
    State {
        boxed: Box::new(part()),
        optional: Some(part()),
        list: vec![part(), part()],
        map: BTreeMap::from([("a".to_owned(), part())]),
        pair: (part(), part()),
        either: Either::Left { part: part() },
        newtype: Wrapped(part()),
        generic: Generic { inner: part() },
        flat: part(),
    }
}

fn turned(seed: u64) -> Vec<u8> {
    bits(&tensor(seed, (2, 3)).t().unwrap().contiguous().unwrap())
}

#[test]
fn a_struct_is_brought_up_wherever_it_is() {
    let fabric = fabric();
    fabric.save(PATH, &first::state()).unwrap();
    fabric.migrate::<State>(PATH, "by-call").unwrap();
    for path in [PATH, "by-call"] {
        let mut new = state();
        let loaded = fabric.load(path, &mut new).unwrap();
        assert!(
            loaded.report.is_complete() && loaded.remainder.is_empty(),
            "{}",
            loaded.report
        );
        let Either::Left { part: of_variant } = &new.either else {
            unreachable!("the state has this variant")
        };
        let parts = [
            &new.boxed,
            new.optional.as_ref().unwrap(),
            &new.list[0],
            &new.list[1],
            &new.map["a"],
            &new.pair.0,
            &new.pair.1,
            of_variant,
            &new.newtype.0,
            &new.generic.inner,
            &new.flat,
        ];
        for (seed, part) in (1..).zip(parts) {
            assert_eq!(bits(&part.weight), turned(seed), "{path}: {seed}");
        }
    }
    // The file of the call has the present versions, so that no step is followed again.
    let versions = fabric.open("by-call").unwrap().versions();
    assert!(
        versions
            .iter()
            .filter(|own| own.name == "Part")
            .all(|own| own.version == 2),
        "{versions:?}"
    );
}

#[derive(Checkpoint)]
struct Frozen(Part);

#[derive(Checkpoint)]
struct Holder<P> {
    part: P,
}

#[test]
fn a_newtype_around_a_struct_of_a_file_has_no_version_there() {
    let fabric = fabric();
    let before = Holder { part: part() };
    fabric.save(PATH, &before).unwrap();
    let mut new = Holder { part: Frozen(part()) };
    fabric.load(PATH, &mut new).unwrap();
    fabric.save(PATH, &Holder { part: first::part(5) }).unwrap();
    let loaded = fabric.load(PATH, &mut new).unwrap();
    assert!(loaded.report.is_complete());
    assert_eq!(bits(&new.part.0.weight), turned(5));
}

#[derive(Checkpoint)]
#[checkpoint(version = 2, migrate = Other::migrations)]
struct Other {
    weight: Tensor,
}

impl Other {
    fn migrations(m: &mut Migrations) {
        m.from(1, "another recipe").rename("absent", "weight");
    }
}

#[test]
fn a_struct_with_a_new_name_keeps_its_history() {
    #[derive(Checkpoint)]
    #[checkpoint(version = 2, migrate = Part::migrations)]
    struct Renamed {
        weight: Tensor,
    }
    let fabric = fabric();
    fabric.save(PATH, &first::part(3)).unwrap();
    let mut new = Renamed {
        weight: tensor(0, (3, 2)),
    };
    let loaded = fabric.load(PATH, &mut new).unwrap();
    assert!(loaded.report.is_complete());
    assert_eq!(bits(&new.weight), turned(3));
}

#[derive(Checkpoint)]
#[checkpoint(version = 3)]
struct Newer {
    weight: Tensor,
}

/// The file would match without the recipe, whose error is the answer then.
#[test]
fn an_error_of_the_outermost_recipe_is_not_lost_where_the_names_differ() {
    #[derive(Checkpoint)]
    struct Before {
        weight: Tensor,
    }
    let fabric = fabric();
    let old = Before {
        weight: tensor(1, (2, 2)),
    };
    fabric.save(PATH, &old).unwrap();
    let mut new = Other {
        weight: tensor(2, (2, 2)),
    };
    let error = fabric.load(PATH, &mut new).unwrap_err();
    assert!(matches!(error, Error::Migration(_)), "{error}");
    assert!(error.to_string().contains("no `absent`"), "{error}");
    assert_eq!(bits(&new.weight), bits(&tensor(2, (2, 2))));
    // A part of the saved state belongs to another struct.
    fabric
        .load_with(PATH, &mut new, LoadOptions::new().strict(false))
        .unwrap();
    assert_eq!(bits(&new.weight), bits(&old.weight));
    // A newer file is refused under another name too.
    fabric
        .save(
            PATH,
            &Newer {
                weight: tensor(1, (2, 2)),
            },
        )
        .unwrap();
    let error = fabric.load(PATH, &mut new).unwrap_err().to_string();
    assert!(
        error.contains("has version 3 in the file and 2 in the program"),
        "{error}"
    );
}

mod moved {
    use super::*;

    #[derive(Checkpoint)]
    pub(super) struct Before {
        pub(super) wq: Tensor,
        pub(super) wo: Tensor,
    }

    /// The struct of a later version has turned one of its tensors.
    #[derive(Checkpoint)]
    #[checkpoint(version = 4, migrate = Attention::migrations)]
    pub(super) struct Attention {
        pub(super) wq: Tensor,
        pub(super) wo: Tensor,
    }

    impl Attention {
        fn migrations(m: &mut Migrations) {
            for (version, what) in [(1, "nothing"), (2, "nothing")] {
                m.from(version, what);
            }
            m.from(3, "turned").transpose("wo", 0, 1);
        }
    }

    pub(super) fn attention() -> Attention {
        Attention {
            wq: tensor(0, (2, 2)),
            wo: tensor(0, (2, 2)),
        }
    }

    #[derive(Checkpoint)]
    #[checkpoint(version = 2, migrate = Model::migrations)]
    pub(super) struct Model {
        pub(super) attn: Attention,
    }

    impl Model {
        fn migrations(m: &mut Migrations) {
            m.from(1, "attention is a struct")
                .rename("wq", "attn.wq")
                .rename("wo", "attn.wo")
                .version("attn", 3);
        }
    }

    #[derive(Checkpoint)]
    #[checkpoint(version = 2, migrate = Unsaid::migrations)]
    pub(super) struct Unsaid {
        pub(super) attn: Attention,
    }

    impl Unsaid {
        fn migrations(m: &mut Migrations) {
            m.from(1, "attention is a struct").rename("w*", "attn.w*");
        }
    }
}

#[test]
fn a_struct_that_a_step_makes_follows_its_steps_from_the_version_that_the_step_says() {
    let fabric = fabric();
    let old = moved::Before {
        wq: tensor(1, (2, 2)),
        wo: tensor(2, (2, 2)),
    };
    fabric.save(PATH, &old).unwrap();
    let mut new = moved::Model {
        attn: moved::attention(),
    };
    fabric.load(PATH, &mut new).unwrap();
    assert_eq!(bits(&new.attn.wq), bits(&old.wq));
    assert_eq!(bits(&new.attn.wo), bits(&old.wo.t().unwrap().contiguous().unwrap()));
    fabric.migrate::<moved::Model>(PATH, "new").unwrap();
    let raw = fabric.open("new").unwrap();
    let versions: Vec<_> = raw.versions().into_iter().map(|own| (own.name, own.version)).collect();
    assert_eq!(versions, [("Model".to_owned(), 2), ("Attention".to_owned(), 4)]);
    // Without the word, the report says what was assumed.
    let mut unsaid = moved::Unsaid {
        attn: moved::attention(),
    };
    let report = fabric.load(PATH, &mut unsaid).unwrap().report;
    assert_eq!(bits(&unsaid.attn.wo), bits(&old.wo));
    let said = report.assumed.join("\n");
    assert!(
        said.contains("`Attention` at `attn`") && said.contains("version 4"),
        "{said}"
    );
}

/// A struct that the file does not record is named also where nothing else differs.
#[test]
fn entries_of_a_struct_that_the_file_does_not_record_are_taken_as_they_are_and_named() {
    #[derive(Checkpoint)]
    struct Plain {
        b: Part,
    }
    let fabric = fabric();
    let weights = BTreeMap::from([("weight".to_owned(), tensor(5, (3, 2)))]);
    fabric.save(PATH, &Holder { part: weights }).unwrap();
    let mut plain = Plain { b: part() };
    let loaded = fabric
        .load_with(PATH, &mut plain, LoadOptions::new().rename("part", "b"))
        .unwrap();
    assert_eq!(bits(&plain.b.weight), bits(&tensor(5, (3, 2))));
    let said = loaded.report.assumed.join("\n");
    assert!(said.contains("no version of `Part` at `b`"), "{said}");
    let mut flat = Flat { inner: part() };
    let weights = BTreeMap::from([("weight".to_owned(), tensor(5, (3, 2)))]);
    fabric.save(PATH, &Recorded { weights }).unwrap();
    let options = LoadOptions::new().rename("weights.weight", "weight");
    let said = fabric
        .load_with(PATH, &mut flat, options)
        .unwrap()
        .report
        .assumed
        .join("\n");
    assert!(said.contains("no version of `Part` at the first level"), "{said}");
}

#[derive(Checkpoint)]
struct Flat {
    #[checkpoint(flatten)]
    inner: Part,
}

#[derive(Checkpoint)]
struct Recorded {
    weights: BTreeMap<String, Tensor>,
}

#[test]
fn a_call_that_moves_the_whole_file_moves_its_outermost_struct() {
    let fabric = fabric();
    fabric.save(PATH, &first::part(7)).unwrap();
    let mut new = Holder { part: part() };
    let options = LoadOptions::new().migrations(|m| {
        m.rename("*", "part.*");
    });
    let loaded = fabric.load_with(PATH, &mut new, options).unwrap();
    assert!(loaded.report.is_complete());
    assert_eq!(bits(&new.part.weight), turned(7));
}

#[derive(Checkpoint)]
#[checkpoint(version = 2, migrate = Grown::migrations)]
struct Grown {
    w: Tensor,
    zero: Tensor,
    kept: Tensor,
}

impl Grown {
    fn migrations(m: &mut Migrations) {
        m.from(1, "two more").insert_zeros("zero").keep("kept");
    }
}

fn grown() -> Grown {
    Grown {
        w: tensor(0, (2, 3)),
        zero: tensor(20, 2),
        kept: tensor(30, 2),
    }
}

#[test]
fn zeros_and_kept_entries_are_found_under_an_alias_too() {
    #[derive(Checkpoint)]
    struct Aliased {
        #[checkpoint(alias = "part")]
        net: Grown,
    }
    let fabric = fabric();
    fabric.save(PATH, &Holder { part: first::part(3) }).unwrap();
    let mut new = Aliased { net: grown() };
    let report = fabric.load(PATH, &mut new).unwrap().report;
    assert_eq!(report.zeroed, ["net.zero"]);
    assert_eq!(report.kept, ["net.kept"]);
    assert_eq!(new.net.zero.to_vec1::<f32>().unwrap(), [0., 0.]);
    assert_eq!(bits(&new.net.kept), bits(&tensor(30, 2)));
}

#[derive(Checkpoint)]
#[checkpoint(version = 3)]
struct Third {
    w: Tensor,
    nothing: Tensor,
    kept: Tensor,
}

/// A later step renames what an earlier one declared.
#[test]
fn later_steps_rename_and_remove_what_earlier_ones_declared() {
    #[derive(Checkpoint)]
    #[checkpoint(version = 4, migrate = Later::migrations)]
    struct Later {
        w: Tensor,
        nothing: Tensor,
    }
    impl Later {
        fn migrations(m: &mut Migrations) {
            m.from(1, "two more").insert_zeros("zero").keep("kept");
            m.from(2, "a name").rename("zero", "nothing");
            m.from(3, "one less").remove("kept");
        }
    }
    let fabric = fabric();
    fabric.save(PATH, &first::part(3)).unwrap();
    let mut new = Later {
        w: tensor(0, (2, 3)),
        nothing: tensor(20, 2),
    };
    let report = fabric.load(PATH, &mut new).unwrap().report;
    assert_eq!(report.zeroed, ["nothing"]);
    // A file of the version that had them.
    let third = Third {
        w: tensor(1, (2, 3)),
        nothing: tensor(2, 2),
        kept: tensor(3, 2),
    };
    fabric.save(PATH, &third).unwrap();
    let loaded = fabric.load(PATH, &mut new).unwrap();
    assert!(
        loaded.report.is_complete() && loaded.remainder.is_empty(),
        "{}",
        loaded.report
    );
    assert_eq!(bits(&new.nothing), bits(&third.nothing));
}

#[derive(Checkpoint)]
struct Counted {
    w: Tensor,
    count: u64,
}

#[test]
fn names_that_the_state_lacks_are_mistakes() {
    let fabric = fabric();
    fabric.save(PATH, &first::part(3)).unwrap();
    let refused = |recipe: fn(&mut Migrations)| {
        let mut same = first::part(4);
        let options = LoadOptions::new().migrations(recipe);
        fabric
            .load_with(PATH, &mut same, options)
            .map(drop)
            .map_err(|error| error.to_string())
    };
    for recipe in [
        (|m| {
            m.keep("typo");
        }) as fn(&mut Migrations),
        |m| {
            m.insert_zeros("typo");
        },
    ] {
        let error = refused(recipe).unwrap_err();
        assert!(
            error.contains("the state has no `typo`") && error.contains(".if_present()"),
            "{error}"
        );
    }
    refused(|m| {
        m.keep("typo").if_present();
    })
    .unwrap();
    let mut counted = Counted {
        w: tensor(0, (2, 3)),
        count: 7,
    };
    let options = LoadOptions::new().migrations(|m| {
        m.insert_zeros("count");
    });
    let error = fabric.load_with(PATH, &mut counted, options).unwrap_err().to_string();
    assert!(
        error.contains("`count` is a value") && error.contains(".insert(\"count\", value)"),
        "{error}"
    );
    assert_eq!(counted.count, 7);
}

/// The words reach entries that a filter left out when the file was saved.
#[test]
fn entries_that_a_filter_left_out_are_no_mistake() {
    let fabric = fabric();
    let old = Holder {
        part: vec![first::part(1), first::part(2), first::part(3)],
    };
    let options = SaveOptions::new().filter("part", |name, _| name.starts_with('2'));
    fabric.save_with(PATH, &old, options).unwrap();
    let recipe = |recipe: fn(&mut Migrations)| fabric.open(PATH).unwrap().migrated(recipe);
    let renamed = recipe(|m| {
        m.rename("part", "items");
    })
    .unwrap();
    assert_eq!(renamed.filtered(), ["items.0.w", "items.1.w"]);
    let joined = recipe(|m| {
        m.concat(["part.0.w", "part.1.w"], "part.both", 0);
    })
    .unwrap();
    assert_eq!(joined.filtered(), ["part.both"]);
    let words: [fn(&mut Migrations); 2] = [
        |m| {
            m.concat(["part.0.w", "part.2.w"], "both", 0);
        },
        |m| {
            m.unstack("part.0.w", "rows.*", 0);
        },
    ];
    for word in words {
        let error = recipe(word).unwrap_err().to_string();
        assert!(error.contains("a filter left `part.0.w` out"), "{error}");
    }
    let removed = recipe(|m| {
        m.remove("part");
    })
    .unwrap();
    assert!(removed.filtered().is_empty());
}

#[test]
fn a_second_recipe_of_a_call_does_not_belong_to_the_step_of_the_first() {
    let fabric = fabric();
    fabric.save(PATH, &part()).unwrap();
    let mut new = BTreeMap::from([("v".to_owned(), tensor(0, (3, 2)))]);
    let options = LoadOptions::new()
        .migrations(|m| {
            m.from(1, "not due for a file of version 2").rename("absent", "x");
        })
        .migrations(|m| {
            m.rename("weight", "v");
        });
    assert!(fabric.load_with(PATH, &mut new, options).unwrap().report.is_complete());
    assert_eq!(bits(&new["v"]), bits(&part().weight));
}

#[test]
fn a_file_cannot_say_that_state_begins_anew() {
    use candle_nn::Optimizer as _;

    #[derive(Checkpoint)]
    struct Train {
        model: BTreeMap<String, Tensor>,
        optimizer: AdamW,
    }
    let fabric = fabric();
    let var = crate::states::var(3, (2, 3));
    let mut train = Train {
        model: BTreeMap::from([("w".to_owned(), var.as_tensor().clone())]),
        optimizer: AdamW::from_named([("w".to_owned(), var.clone())], candle_nn::ParamsAdamW::default()).unwrap(),
    };
    let loss = var.sqr().unwrap().sum_all().unwrap();
    train.optimizer.backward_step(&loss).unwrap();
    fabric.save(PATH, &train).unwrap();
    let recipes = fabric_core::Recipes::new().whole(|m| {
        m.transpose("model.w", 0, 1).moments(Moments::Reset);
    });
    let error = fabric
        .migrate_with(PATH, "new", &recipes, fabric_core::ReshardOptions::new())
        .unwrap_err()
        .to_string();
    assert!(error.contains("`optimizer.state.model.w` begins anew"), "{error}");
    assert!(error.contains("load the file into a state, and save that"), "{error}");
    assert!(!error.contains("the state is unchanged"), "{error}");
    assert!(fabric.open("new").is_err());
}

#[derive(Checkpoint)]
struct Tuned<P> {
    body: Var,
    head: P,
    optimizer: AdamW,
}

fn tuned<P>(head: P) -> Tuned<P> {
    let body = crate::states::var(3, 4);
    Tuned {
        optimizer: AdamW::new_lr(vec![body.clone()], 0.5).unwrap(),
        body,
        head,
    }
}

/// A part that the call leaves out may be of any version: newer, or with a recipe that does not fit.
#[test]
fn a_part_that_is_left_out_refuses_nothing() {
    #[derive(Checkpoint)]
    #[checkpoint(version = 7)]
    struct Newer {
        weight: Tensor,
    }
    let fabric = fabric();
    let weight = tensor(1, (2, 2));
    let options = || LoadOptions::new().exclude("head");
    let other = || Other {
        weight: tensor(2, (2, 2)),
    };
    fabric.save(PATH, &tuned(Newer { weight })).unwrap();
    let mut new = tuned(other());
    fabric.load(PATH, &mut new).unwrap_err();
    fabric.load_with(PATH, &mut new, options()).unwrap();
    fabric.save(PATH, &tuned(first::part(1))).unwrap();
    fabric.load(PATH, &mut new).unwrap_err();
    fabric.load_with(PATH, &mut new, options()).unwrap();
    assert_eq!(bits(&new.head.weight), bits(&other().weight));
}
