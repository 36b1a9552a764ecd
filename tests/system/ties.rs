//! Tied tensors are stored once, and restored as one.

use candle_core::{Tensor, Var};
use candle_nn::{Embedding, Linear, Optimizer};
use fabric_core::optim::AdamW;
use fabric_core::testing::Memory;
use fabric_core::{Checkpoint, LoadOptions, MismatchKind, SaveOptions};

use crate::states::{PATH, bits, fabric, file, mismatched, on, refused, tensor, var};

/// A language model's embedding and head.
#[derive(Checkpoint)]
struct Model {
    embedding: Embedding,
    head: Linear,
}

fn tied(seed: u64) -> Model {
    let weight = tensor(seed, (64, 16));
    Model {
        embedding: Embedding::new(weight.clone(), 16),
        head: Linear::new(weight, None),
    }
}

fn untied(seed: u64) -> Model {
    Model {
        embedding: Embedding::new(tensor(seed, (64, 16)), 16),
        head: Linear::new(tensor(seed + 1, (64, 16)), None),
    }
}

#[test]
fn a_tied_tensor_is_stored_once_and_read_under_both_names() {
    let storage = Memory::new();
    let fabric = on(&storage);
    fabric.save("untied", &untied(1)).unwrap();
    let report = fabric.save("tied", &tied(1)).unwrap();
    assert_eq!(report.entries, 2);
    let saved = file(&storage, "untied").len() - file(&storage, "tied").len();
    assert!(saved >= 64 * 16 * 4 - 200, "only {saved} bytes were saved");
    let raw = fabric.open("tied").unwrap();
    assert_eq!(raw.names(), ["embedding.weight", "head.weight"]);
    let read = |name| bits(&raw.tensor(name, &crate::states::CPU).unwrap());
    assert_eq!(read("embedding.weight"), read("head.weight"));
    assert_eq!(read("head.weight"), bits(&tensor(1, (64, 16))));
}

#[test]
fn a_tie_is_still_one_memory_after_a_load() {
    let fabric = fabric();
    fabric.save(PATH, &tied(1)).unwrap();
    let mut live = tied(2);
    let loaded = fabric.load(PATH, &mut live).unwrap();
    assert_eq!(loaded.report.restored, ["embedding.weight", "head.weight"]);
    assert!(loaded.remainder.is_empty());
    assert_eq!(bits(live.head.weight()), bits(&tensor(1, (64, 16))));
    Var::from_tensor(live.head.weight())
        .unwrap()
        .set(&tensor(9, (64, 16)))
        .unwrap();
    assert_eq!(
        bits(live.embedding.embeddings()),
        bits(&tensor(9, (64, 16))),
        "the tie was cut"
    );
}

#[test]
fn a_file_with_a_tie_fills_a_model_without_one() {
    let fabric = fabric();
    fabric.save(PATH, &tied(1)).unwrap();
    let mut live = untied(2);
    fabric.load(PATH, &mut live).unwrap();
    assert_eq!(bits(live.embedding.embeddings()), bits(&tensor(1, (64, 16))));
    assert_eq!(bits(live.head.weight()), bits(&tensor(1, (64, 16))));
}

#[test]
fn a_file_with_one_of_the_names_restores_both() {
    #[derive(Checkpoint)]
    struct OnlyHead {
        head: Linear,
    }
    #[derive(Checkpoint)]
    struct OnlyEmbedding {
        embedding: Embedding,
    }
    let fabric = fabric();
    let expected = bits(&tensor(1, (64, 16)));
    fabric
        .save(
            PATH,
            &OnlyHead {
                head: Linear::new(tensor(1, (64, 16)), None),
            },
        )
        .unwrap();
    let mut live = tied(2);
    let loaded = fabric.load(PATH, &mut live).unwrap();
    assert_eq!(loaded.report.restored, ["embedding.weight", "head.weight"]);
    assert_eq!(bits(live.embedding.embeddings()), expected);
    fabric
        .save(
            PATH,
            &OnlyEmbedding {
                embedding: Embedding::new(tensor(1, (64, 16)), 16),
            },
        )
        .unwrap();
    let mut live = tied(2);
    fabric.load(PATH, &mut live).unwrap();
    assert_eq!(bits(live.head.weight()), expected);
    let report = refused(&fabric, &mut untied(2), LoadOptions::new());
    assert_eq!(report.missing, ["head.weight"], "without a tie it is missing");
}

#[test]
fn a_filter_that_leaves_out_one_of_the_names_keeps_the_tensor() {
    let fabric = fabric();
    let report = fabric
        .save_with(PATH, &tied(1), SaveOptions::new().exclude(Model::FIELDS.embedding))
        .unwrap();
    assert_eq!(report.filtered, ["embedding.weight"]);
    let mut live = tied(2);
    let loaded = fabric.load(PATH, &mut live).unwrap();
    assert_eq!(loaded.report.restored, ["embedding.weight", "head.weight"]);
    assert_eq!(bits(live.embedding.embeddings()), bits(&tensor(1, (64, 16))));
    assert_eq!(
        refused(&fabric, &mut untied(2), LoadOptions::new()).filtered_at_save,
        ["embedding.weight"]
    );
}

#[test]
fn one_name_alone_may_be_asked_for() {
    let fabric = fabric();
    fabric.save(PATH, &tied(1)).unwrap();
    let mut live = tied(2);
    let loaded = fabric
        .load_with(PATH, &mut live, LoadOptions::new().only(Model::FIELDS.head))
        .unwrap();
    assert_eq!(loaded.report.restored, ["head.weight"]);
    assert_eq!(loaded.remainder.names(), ["embedding.weight"]);
    assert_eq!(
        bits(live.embedding.embeddings()),
        bits(&tensor(1, (64, 16))),
        "it is the same memory"
    );
}

#[test]
fn a_file_that_broke_the_tie_is_refused() {
    let fabric = fabric();
    fabric.save(PATH, &untied(1)).unwrap();
    let mut live = tied(5);
    for options in [LoadOptions::new(), LoadOptions::new().strict(false)] {
        let report = refused(&fabric, &mut live, options);
        assert_eq!(mismatched(&report), [("head.weight", MismatchKind::Tied)]);
        assert!(
            report.to_string().contains("shares its memory with `embedding.weight`"),
            "{report}"
        );
    }
}

#[test]
fn equal_copies_in_the_file_are_as_good_as_a_tie() {
    let fabric = fabric();
    let copies = Model {
        embedding: Embedding::new(tensor(1, (64, 16)), 16),
        head: Linear::new(tensor(1, (64, 16)), None),
    };
    fabric.save(PATH, &copies).unwrap();
    let mut live = tied(2);
    let loaded = fabric.load(PATH, &mut live).unwrap();
    assert!(loaded.remainder.is_empty() && loaded.report.is_complete());
    assert_eq!(bits(live.head.weight()), bits(&tensor(1, (64, 16))));
}

#[test]
fn bare_weights_with_a_broken_tie_are_refused_although_they_have_no_checksums() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("weights.safetensors");
    let fabric = fabric_core::Fabric::new();
    let write = |embedding: u64, head: u64| {
        let tensors = [
            ("embedding.weight", tensor(embedding, (64, 16))),
            ("head.weight", tensor(head, (64, 16))),
        ];
        candle_core::safetensors::save(&tensors.into_iter().collect(), &path).unwrap();
    };
    write(1, 2);
    let mut live = tied(5);
    let error = fabric.load_raw(&path, &mut live).unwrap_err();
    assert_eq!(
        mismatched(error.report().unwrap()),
        [("head.weight", MismatchKind::Tied)]
    );
    assert_eq!(bits(live.head.weight()), bits(&tensor(5, (64, 16))));
    write(1, 1);
    fabric.load_raw(&path, &mut live).unwrap();
    assert_eq!(bits(live.head.weight()), bits(&tensor(1, (64, 16))));
}

#[test]
fn views_of_different_parts_of_one_memory_are_no_ties() {
    #[derive(Checkpoint)]
    struct Halves {
        upper: Tensor,
        lower: Tensor,
        transposed: Tensor,
    }
    let halves = |seed| {
        let whole = tensor(seed, (4, 4));
        let (upper, lower) = (whole.narrow(0, 0, 2).unwrap(), whole.narrow(0, 2, 2).unwrap());
        Halves {
            upper,
            lower,
            transposed: tensor(seed + 1, (3, 2)).t().unwrap(),
        }
    };
    let fabric = fabric();
    assert_eq!(fabric.save(PATH, &halves(1)).unwrap().entries, 3);
    let mut live = halves(7);
    fabric.load(PATH, &mut live).unwrap();
    let expected = halves(1);
    assert_eq!(bits(&live.upper), bits(&expected.upper));
    assert_eq!(bits(&live.lower), bits(&expected.lower));
    assert_eq!(bits(&live.transposed), bits(&expected.transposed));
}

#[test]
fn an_optimizer_knows_a_tied_parameter_under_either_name() {
    #[derive(Checkpoint)]
    struct State {
        first: Tensor,
        second: Tensor,
        optimizer: AdamW,
    }
    #[derive(Checkpoint)]
    struct Turned {
        second: Tensor,
        first: Tensor,
        optimizer: AdamW,
    }
    let weight = var(1, 4);
    let mut optimizer = AdamW::new_lr(vec![weight.clone()], 0.1).unwrap();
    optimizer
        .backward_step(&weight.sqr().unwrap().sum_all().unwrap())
        .unwrap();
    let fabric = fabric();
    fabric
        .save(
            PATH,
            &State {
                first: weight.as_tensor().clone(),
                second: weight.as_tensor().clone(),
                optimizer,
            },
        )
        .unwrap();
    let names = fabric.open(PATH).unwrap().subtree("optimizer.state").names().join(" ");
    assert_eq!(names, "first.exp_avg first.exp_avg_sq first.step");

    let other = var(2, 4);
    let optimizer = AdamW::new_lr(vec![other.clone()], 0.5).unwrap();
    let mut live = Turned {
        second: other.as_tensor().clone(),
        first: other.as_tensor().clone(),
        optimizer,
    };
    let loaded = fabric.load(PATH, &mut live).unwrap();
    assert!(loaded.remainder.is_empty(), "{:?}", loaded.remainder.names());
    assert_eq!(live.optimizer.learning_rate(), 0.1);
    assert_eq!(bits(&live.first), bits(&weight));
}

#[test]
fn an_optimizer_knows_a_tied_parameter_under_the_older_names_of_either() {
    mod before {
        #[derive(fabric_core::Checkpoint)]
        pub(super) struct Heads {
            pub(super) out: candle_core::Tensor,
        }
        #[derive(fabric_core::Checkpoint)]
        pub(super) struct State {
            pub(super) old_heads: Heads,
            pub(super) optimizer: fabric_core::optim::AdamW,
        }
    }
    #[derive(Checkpoint)]
    struct Heads {
        #[checkpoint(alias = "out")]
        head: Tensor,
    }
    #[derive(Checkpoint)]
    struct State {
        embedding: Tensor,
        #[checkpoint(alias = "old_heads")]
        heads: Heads,
        optimizer: AdamW,
    }
    let weight = var(1, 4);
    let mut optimizer = AdamW::new_lr(vec![weight.clone()], 0.1).unwrap();
    optimizer
        .backward_step(&weight.sqr().unwrap().sum_all().unwrap())
        .unwrap();
    let fabric = fabric();
    let saved = before::State {
        old_heads: before::Heads {
            out: weight.as_tensor().clone(),
        },
        optimizer,
    };
    fabric.save(PATH, &saved).unwrap();
    let other = var(2, 4);
    let mut live = State {
        embedding: other.as_tensor().clone(),
        heads: Heads {
            head: other.as_tensor().clone(),
        },
        optimizer: AdamW::new_lr(vec![other.clone()], 0.5).unwrap(),
    };
    let loaded = fabric.load(PATH, &mut live).unwrap();
    assert!(loaded.remainder.is_empty(), "{:?}", loaded.remainder.names());
    assert!(
        loaded
            .report
            .restored
            .contains(&"optimizer.state.embedding.exp_avg".to_owned()),
        "{:?}",
        loaded.report.restored
    );
    assert_eq!(bits(&live.embedding), bits(&weight));
}
