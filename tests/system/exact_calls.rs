//! A refused load names a call with the names of this state and this file in it, and the call does as the message says.

use candle_nn::Linear;
use fabric_core::optim::{AdamW, Sgd};
use fabric_core::{Checkpoint, LoadOptions, SaveOptions};

use crate::states::{CPU, Mlp, PATH, Train, bits, descend, fabric, image, linear, refused, tensor, variables, weights};

#[track_caller]
fn says(text: &str, sentence: &str) {
    assert!(text.contains(sentence), "{sentence:?} is not in:\n{text}");
}

#[derive(Checkpoint)]
struct Gan {
    generator: Mlp,
    discriminator: Mlp,
    first: AdamW,
    second: AdamW,
}

impl Gan {
    /// `swapped` gives the generator the second optimizer.
    fn new(seed: u64, swapped: bool) -> Self {
        let (generator, discriminator) = (Mlp::new(seed), Mlp::new(seed + 10));
        let mut of_generator = AdamW::new_lr(variables(&generator), 0.25).unwrap();
        let mut of_discriminator = AdamW::new_lr(variables(&discriminator), 0.125).unwrap();
        descend(&generator, &mut of_generator);
        descend(&discriminator, &mut of_discriminator);
        let (first, second) = if swapped {
            (of_discriminator, of_generator)
        } else {
            (of_generator, of_discriminator)
        };
        Self {
            generator,
            discriminator,
            first,
            second,
        }
    }

    /// The first moment of the generator's first weight, from the optimizer of this name.
    fn moment(&self, optimizer: &str) -> Vec<u8> {
        let fabric = fabric();
        fabric.save("probe", self).unwrap();
        let name = format!("{optimizer}.state.generator.fc1.weight.exp_avg");
        bits(&fabric.open("probe").unwrap().tensor(&name, &CPU).unwrap())
    }
}

#[test]
fn two_optimizers_that_changed_places_are_renamed_by_one_call_through_a_free_name() {
    let fabric = fabric();
    let saved = Gan::new(1, false);
    fabric.save(PATH, &saved).unwrap();
    let mut live = Gan::new(5, true);
    let text = refused(&fabric, &mut live, LoadOptions::new()).to_string();
    says(
        &text,
        "all together: LoadOptions::new().rename(\"second\", \"second-moved\").rename(\"first\", \"second\")\
         .rename(\"second-moved\", \"first\")",
    );
    // Neither rename would do alone.
    assert!(!text.contains("LoadOptions::rename("), "{text}");
    let options = LoadOptions::new()
        .rename("second", "second-moved")
        .rename("first", "second")
        .rename("second-moved", "first");
    let loaded = fabric.load_with(PATH, &mut live, options).unwrap();
    assert!(loaded.report.is_complete(), "{}", loaded.report);
    assert_eq!(live.moment("second"), saved.moment("first"));
    assert_eq!(weights(&live.generator), weights(&saved.generator));
}

#[test]
fn names_that_moved_along_are_renamed_from_the_last_one_on() {
    #[derive(Checkpoint)]
    struct Later {
        generator: Mlp,
        discriminator: Mlp,
        second: AdamW,
        third: AdamW,
    }
    let fabric = fabric();
    let saved = Gan::new(1, false);
    fabric.save(PATH, &saved).unwrap();
    let Gan {
        generator,
        discriminator,
        first,
        second,
    } = Gan::new(5, false);
    let mut live = Later {
        generator,
        discriminator,
        second: first,
        third: second,
    };
    let text = refused(&fabric, &mut live, LoadOptions::new()).to_string();
    says(
        &text,
        "all together: LoadOptions::new().rename(\"second\", \"third\").rename(\"first\", \"second\")",
    );
    let options = LoadOptions::new().rename("second", "third").rename("first", "second");
    let loaded = fabric.load_with(PATH, &mut live, options).unwrap();
    assert!(loaded.report.is_complete(), "{}", loaded.report);
}

#[test]
fn a_field_that_a_filter_left_out_of_the_file_is_left_out_of_the_load() {
    let fabric = fabric();
    let mut saved = Train::new(1);
    saved.step();
    let options = SaveOptions::new().exclude(Train::FIELDS.optimizer);
    fabric.save_with(PATH, &saved, options).unwrap();
    let mut live = Train::new(5);
    let text = refused(&fabric, &mut live, LoadOptions::new()).to_string();
    says(
        &text,
        "LoadOptions::new().exclude(Train::FIELDS.optimizer) leaves `optimizer` as it is and restores everything else",
    );
    assert!(!text.contains("strict(false)"), "{text}");
    let options = LoadOptions::new().exclude(Train::FIELDS.optimizer);
    fabric.load_with(PATH, &mut live, options).unwrap();
    assert_eq!(weights(&live.model), weights(&saved.model));
    assert_eq!(live.iteration, saved.iteration);
}

#[test]
fn an_optimizer_of_another_kind_is_left_out_by_its_handle() {
    #[derive(Checkpoint)]
    struct Now {
        model: Mlp,
        optimizer: Sgd,
        iteration: u64,
        #[checkpoint(metadata)]
        hparams: crate::states::HParams,
    }
    let fabric = fabric();
    let saved = Train::new(1);
    fabric.save(PATH, &saved).unwrap();
    let model = Mlp::new(5);
    let mut live = Now {
        optimizer: Sgd::new(variables(&model), 0.1).unwrap(),
        model,
        iteration: 0,
        hparams: saved.hparams.clone(),
    };
    let text = refused(&fabric, &mut live, LoadOptions::new()).to_string();
    says(
        &text,
        "LoadOptions::new().exclude(Now::FIELDS.optimizer) leaves `optimizer` as it is and restores everything else",
    );
    let options = LoadOptions::new().exclude(Now::FIELDS.optimizer);
    fabric.load_with(PATH, &mut live, options).unwrap();
    assert_eq!(weights(&live.model), weights(&saved.model));
}

#[test]
fn a_tie_that_the_file_contradicts_is_left_out_by_the_handle_of_its_second_name() {
    #[derive(Checkpoint)]
    struct Untied {
        embedding: Linear,
        head: Linear,
        step: u64,
    }
    #[derive(Checkpoint)]
    struct Tied {
        embedding: Linear,
        head: Linear,
        step: u64,
    }
    let fabric = fabric();
    let saved = Untied {
        embedding: Linear::new(tensor(1, (3, 3)), None),
        head: Linear::new(tensor(2, (3, 3)), None),
        step: 7,
    };
    fabric.save(PATH, &saved).unwrap();
    let shared = tensor(3, (3, 3));
    let mut live = Tied {
        embedding: Linear::new(shared.clone(), None),
        head: Linear::new(shared, None),
        step: 0,
    };
    let text = refused(&fabric, &mut live, LoadOptions::new()).to_string();
    says(
        &text,
        "LoadOptions::new().exclude(Tied::FIELDS.head) keeps the file's `embedding.weight` for both",
    );
    let options = LoadOptions::new().exclude(Tied::FIELDS.head);
    fabric.load_with(PATH, &mut live, options).unwrap();
    assert_eq!(image(&live.head), image(&saved.embedding));
    assert_eq!(live.step, 7);
}

#[test]
fn of_two_names_for_one_entry_the_call_puts_one_aside() {
    #[derive(Checkpoint)]
    struct Both {
        model: Linear,
        net: Linear,
    }
    #[derive(Checkpoint)]
    struct Now {
        #[checkpoint(alias = "net")]
        model: Linear,
    }
    let fabric = fabric();
    let saved = Both {
        model: linear(1, 2, 2),
        net: linear(2, 2, 2),
    };
    fabric.save(PATH, &saved).unwrap();
    let mut live = Now { model: linear(3, 2, 2) };
    let text = refused(&fabric, &mut live, LoadOptions::new()).to_string();
    says(
        &text,
        "LoadOptions::new().rename(\"net\", \"unused.net\") takes `model` and leaves `net` in the remainder",
    );
    let options = LoadOptions::new().rename("net", "unused.net");
    let loaded = fabric.load_with(PATH, &mut live, options).unwrap();
    assert_eq!(image(&live.model), image(&saved.model));
    assert_eq!(loaded.remainder.names(), ["net.bias", "net.weight"]);
}
