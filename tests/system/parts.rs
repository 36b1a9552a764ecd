//! Restoring a part: smaller structs, typed handles, and the remainder that is read later.

use candle_core::{DType, Tensor};
use candle_nn::{Linear, Module, VarBuilder};
use fabric_core::testing::{Counting, Memory};
use fabric_core::{Checkpoint, Error, Fabric, LoadOptions};

use crate::states::{CPU, HParams, Mlp, PATH, Train, bits, descend, image, linear, on, saved, variables, weights};

#[test]
fn a_smaller_struct_takes_its_part_and_gets_the_rest_back() {
    #[derive(Checkpoint)]
    struct Inference {
        model: Mlp,
    }
    let (fabric, saved) = saved();
    let mut live = Inference { model: Mlp::new(2) };
    let loaded = fabric.load(PATH, &mut live).unwrap();
    assert_eq!(weights(&live.model), weights(&saved.model));
    let rest = loaded.remainder;
    assert_eq!(rest.len(), 2 + 2 + 4 * 3);
    assert_eq!(rest.value::<u64>("iteration").unwrap(), 103);
    assert_eq!(rest.value::<HParams>("hparams").unwrap(), saved.hparams);
    assert_eq!(
        rest.info("optimizer.state.model.fc1.bias.exp_avg").unwrap().shape(),
        [8]
    );
    assert!(!rest.contains("model.fc1.weight"));
    assert!(matches!(
        rest.tensor("model.fc1.weight", &CPU),
        Err(Error::NoSuchEntry { .. })
    ));
}

#[test]
fn other_components_are_loaded_later_from_the_remainder() {
    #[derive(Checkpoint)]
    struct First {
        model: Mlp,
    }
    #[derive(Checkpoint)]
    struct Second {
        iteration: u64,
        #[checkpoint(metadata)]
        hparams: HParams,
    }
    let (fabric, saved) = saved();
    let mut model = First { model: Mlp::new(2) };
    let rest = fabric.load(PATH, &mut model).unwrap().remainder;
    let mut second = Second {
        iteration: 0,
        hparams: HParams { lr: 0., layers: vec![] },
    };
    let rest = rest.load(&mut second).unwrap().remainder;
    assert_eq!((second.iteration, &second.hparams), (103, &saved.hparams));
    // The optimizer needs its model beside it, whose entries have been used by now.
    let mut whole = Train {
        model: model.model,
        optimizer: Train::new(3).optimizer,
        iteration: 0,
        hparams: second.hparams,
    };
    whole.optimizer = fabric_core::optim::AdamW::new_lr(variables(&whole.model), 0.9).unwrap();
    let only = LoadOptions::new().only(Train::FIELDS.optimizer);
    let rest = rest.load_with(&mut whole, only).unwrap().remainder;
    assert!(rest.is_empty(), "{:?}", rest.names());
    whole.iteration = 103;
    assert!(image(&whole) == image(&saved));
}

#[test]
fn a_subtree_is_a_checkpoint_of_its_own() {
    let (fabric, saved) = saved();
    let raw = fabric.open(PATH).unwrap();
    let mut model = Mlp::new(2);
    let loaded = raw.subtree("model").load_raw(&mut model).unwrap();
    assert!(loaded.remainder.is_empty());
    assert_eq!(weights(&model), weights(&saved.model));
    let mut layer = linear(5, 8, 2);
    raw.subtree("model").subtree("fc2").load(&mut layer).unwrap();
    assert_eq!(weights(&layer), weights(&saved.model.fc2));
    assert_eq!(raw.subtree("model.fc2").names(), ["bias", "weight"]);
    assert!(raw.subtree("mod").is_empty() && raw.subtree("model.fc2.weight").is_empty());
    assert_eq!(raw.subtree("").names(), raw.names());
}

#[test]
fn a_model_is_built_from_a_checkpoint_without_initialising_it() {
    let (fabric, saved) = saved();
    let raw = fabric.open(PATH).unwrap();
    let builder = raw.subtree("model").var_builder(DType::F32, &CPU);
    let build = |builder: &VarBuilder<'_>| -> candle_core::Result<Mlp> {
        let (fc1, fc2) = (
            candle_nn::linear(4, 8, builder.pp("fc1"))?,
            candle_nn::linear(8, 2, builder.pp("fc2"))?,
        );
        Ok(Mlp { fc1, fc2 })
    };
    let model = build(&builder).unwrap();
    let x = Tensor::ones((1, 4), DType::F32, &CPU).unwrap();
    assert_eq!(bits(&model.forward(&x)), bits(&saved.model.forward(&x)));
    assert!(builder.contains_tensor("fc1.weight") && !builder.contains_tensor("fc3.weight"));

    let half = build(&raw.subtree("model").var_builder(DType::F16, &CPU)).unwrap();
    assert_eq!(
        bits(half.fc1.weight()),
        bits(&saved.model.fc1.weight().to_dtype(DType::F16).unwrap())
    );
    let error = candle_nn::linear(5, 8, builder.pp("fc1")).unwrap_err().to_string();
    assert!(error.contains("fc1.weight"), "{error}");
    let error = candle_nn::linear(4, 8, builder.pp("fc9")).unwrap_err().to_string();
    assert!(error.contains("no entry `fc9.weight`"), "{error}");
}

#[test]
fn opening_and_loading_a_part_reads_no_more_than_that_part() {
    #[derive(Checkpoint)]
    struct Big {
        large: Tensor,
        small: Linear,
    }

    let memory = Memory::new();
    let counting = Counting::new(memory.clone());
    let fabric = Fabric::builder().storage(counting.clone()).build().unwrap();
    let large = Tensor::zeros(1 << 20, DType::F32, &CPU).unwrap();
    on(&memory)
        .save(
            PATH,
            &Big {
                large: large.clone(),
                small: linear(1, 2, 2),
            },
        )
        .unwrap();
    counting.reset();
    let raw = fabric.open(PATH).unwrap();
    let _ = (raw.names(), raw.info("large"));
    assert!(
        counting.bytes_read(PATH) < 1 << 16,
        "{} bytes to open",
        counting.bytes_read(PATH)
    );
    let mut live = Big {
        large,
        small: linear(2, 2, 2),
    };
    fabric
        .load_with(PATH, &mut live, LoadOptions::new().only(Big::FIELDS.small))
        .unwrap();
    assert!(
        counting.bytes_read(PATH) < 1 << 16,
        "{} bytes for a small part",
        counting.bytes_read(PATH)
    );
}

#[test]
fn what_was_opened_stays_readable_after_the_file_was_replaced() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("last.ckpt");
    let fabric = Fabric::new();
    let (first, second) = (Train::new(1), Train::new(2));
    fabric.save(&path, &first).unwrap();
    let raw = fabric.open(&path).unwrap();
    fabric.save(&path, &second).unwrap();
    std::fs::remove_file(&path).unwrap();
    assert_eq!(
        bits(&raw.tensor("model.fc1.weight", &CPU).unwrap()),
        bits(first.model.fc1.weight())
    );
    let mut live = Train::new(3);
    raw.load(&mut live).unwrap();
    assert!(image(&live) == image(&first));
    descend(&live.model, &mut live.optimizer);
}

#[test]
fn a_raw_checkpoint_crosses_threads() {
    let (fabric, saved) = saved();
    let raw = fabric.open(PATH).unwrap();
    let read = std::thread::spawn(move || raw.tensor("model.fc2.weight", &CPU).unwrap())
        .join()
        .unwrap();
    assert_eq!(bits(&read), bits(saved.model.fc2.weight()));
    assert_eq!(
        saved
            .model
            .fc2
            .forward(&Tensor::ones((1, 8), DType::F32, &CPU).unwrap())
            .unwrap()
            .dims(),
        [1, 2]
    );
}
