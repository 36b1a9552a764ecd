//! The training of the GPT: killed at any step it ends as one that nobody stopped, and no part of its state is idle.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use fabric_core::run;
use fabric_core::{DiffOptions, Fabric, LoadOptions, RawCheckpoint};
use fabric_examples::digest;
use fabric_examples::gpt::{STEPS, Training};
use serde::Deserialize;

/// Trains in a process of its own, which is killed after the step `until`, and returns the losses that it printed.
fn train(directory: &Path, until: Option<u64>) -> BTreeMap<u64, String> {
    let mut process = Command::new(env!("CARGO_BIN_EXE_gpt"))
        .arg(directory)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut losses = BTreeMap::new();
    for line in BufReader::new(process.stdout.take().unwrap()).lines() {
        let line = line.unwrap();
        let Some((step, loss)) = line.strip_prefix("step ").and_then(|rest| rest.split_once(" loss ")) else {
            continue;
        };
        let step = step.parse().unwrap();
        losses.insert(step, loss.to_owned());
        if until.is_some_and(|until| step >= until) {
            process.kill().unwrap();
        }
    }
    let status = process.wait().unwrap();
    assert!(status.success() || until.is_some(), "{status}");
    losses
}

fn newest(directory: &Path) -> RawCheckpoint {
    let listing = run::list(&Fabric::new(), directory).unwrap();
    let latest = listing.latest().unwrap();
    assert_eq!(latest.step, STEPS);
    Fabric::new().open(&latest.path).unwrap()
}

#[test]
fn a_training_that_is_killed_at_any_step_ends_as_one_that_nobody_stopped() {
    let directory = tempfile::tempdir().unwrap();
    let straight = directory.path().join("straight");
    let expected = train(&straight, None);
    assert_eq!(expected.len(), usize::try_from(STEPS).unwrap());
    // Before the first checkpoint, at a checkpoint, right after one, and late.
    for (run, kills) in [&[1, 11][..], &[5, 6, 24], &[38]].into_iter().enumerate() {
        let stopped = directory.path().join(run.to_string());
        for until in kills.iter().copied().map(Some).chain([None]) {
            for (step, loss) in train(&stopped, until) {
                assert_eq!(loss, expected[&step], "step {step} of the training killed at {kills:?}");
            }
        }
        let diff = newest(&stopped).diff(&newest(&straight), DiffOptions::new()).unwrap();
        assert!(diff.is_empty(), "{diff:?}");
    }
}

#[derive(Debug, Deserialize)]
struct Group {
    params: Vec<String>,
    weight_decay: f64,
}

#[test]
fn the_embedding_is_stored_once_and_every_parameter_is_in_one_group() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("start.ckpt");
    Fabric::new().save(&file, &Training::new(1).unwrap()).unwrap();
    let raw = Fabric::new().open(&file).unwrap();
    for module in ["model", "average"] {
        let names = [format!("{module}.tokens.weight"), format!("{module}.head.weight")];
        let tied = raw
            .ties()
            .iter()
            .any(|tie| names.iter().all(|name| tie.contains(&name.as_str())));
        assert!(tied, "{:?}", raw.ties());
    }
    assert!(!raw.contains("optimizer.state.model.head.weight.exp_avg"));
    let groups: Vec<Group> = raw.value("optimizer.param_groups").unwrap();
    let [decayed, plain] = groups.as_slice() else {
        panic!("{groups:?}")
    };
    assert!(decayed.weight_decay > 0. && plain.weight_decay == 0.);
    let is_matrix = |name: &String| name.ends_with(".weight") && !name.contains("norm");
    assert!(decayed.params.iter().all(is_matrix), "{decayed:?}");
    assert!(!plain.params.iter().any(is_matrix), "{plain:?}");
    let parameters = fabric_core::named_parameters(&Training::new(1).unwrap().model);
    assert_eq!(decayed.params.len() + plain.params.len(), parameters.len());
}

/// The bits of the weights and of their average after five further steps from a checkpoint.
fn five_steps_from(file: &Path, options: LoadOptions) -> [u64; 2] {
    let mut training = Training::new(1).unwrap();
    Fabric::new().load_with(file, &mut training, options).unwrap();
    for _ in 0..5 {
        training.advance().unwrap();
    }
    [&training.model, &training.average].map(|model| digest(model).unwrap())
}

#[test]
fn a_training_without_any_part_of_its_state_goes_another_way() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("last.ckpt");
    let mut training = Training::new(1).unwrap();
    for _ in 0..8 {
        training.advance().unwrap();
    }
    Fabric::new().save(&file, &training).unwrap();
    let all = LoadOptions::new;
    let whole = five_steps_from(&file, all());
    assert_eq!(whole, five_steps_from(&file, all()));
    let without = [
        ("optimizer", all().exclude(Training::FIELDS.optimizer)),
        ("reader", all().exclude(Training::FIELDS.reader)),
        ("random", all().exclude(Training::FIELDS.random)),
        ("step", all().exclude(Training::FIELDS.step)),
    ];
    for (field, options) in without {
        let [model, _] = five_steps_from(&file, options);
        assert_ne!(model, whole[0], "{field}");
    }
    let [model, average] = five_steps_from(&file, all().exclude(Training::FIELDS.average));
    assert_eq!(model, whole[0]);
    assert_ne!(average, whole[1]);
}
