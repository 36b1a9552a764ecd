//! Options that give the entries of a file other names, and find nothing to give them to.

use candle_nn::Optimizer;
use fabric_core::optim::AdamW;
use fabric_core::{Checkpoint, Error, LoadOptions, SaveOptions};

use crate::states::{Mlp, PATH, Train, fabric, image, refused, variables, weights};

#[derive(Checkpoint)]
struct Network {
    network: Mlp,
    optimizer: AdamW,
}

fn network(seed: u64) -> Network {
    let network = Mlp::new(seed);
    Network {
        optimizer: AdamW::new_lr(variables(&network), 0.5).unwrap(),
        network,
    }
}

/// Loads with options that cannot be met, and gives back what the error says.
fn unmet<S: Checkpoint>(fabric: &fabric_core::Fabric, state: &mut S, options: LoadOptions) -> String {
    let before = image(state);
    let error = fabric.load_with(PATH, state, options).unwrap_err();
    assert!(image(state) == before, "a refused load changed the state: {error}");
    let is_typed = matches!(error, Error::NothingToRename { .. } | Error::Options(_));
    assert!(is_typed, "{error:?}");
    error.to_string()
}

#[test]
fn a_rename_of_nothing_is_refused_and_names_what_comes_near() {
    let fabric = fabric();
    fabric.save(PATH, &Train::new(1)).unwrap();
    for strict in [true, false] {
        let options = LoadOptions::new().rename("modle", "network").strict(strict);
        let text = unmet(&fabric, &mut network(2), options);
        assert!(text.contains("LoadOptions::rename(\"modle\", \"network\")"), "{text}");
        assert!(text.contains("did you mean `model`?"), "{text}");
    }
    let text = unmet(
        &fabric,
        &mut Train::new(2),
        LoadOptions::new().rename("model.fc1.wieght", "x"),
    );
    assert!(text.contains("did you mean `model.fc1.weight`?"), "{text}");
    let options = LoadOptions::new().rename("modle", "network");
    match fabric.load_with(PATH, &mut network(2), options).unwrap_err() {
        Error::NothingToRename { from, to, .. } => assert_eq!((&*from, &*to), ("modle", "network")),
        other => panic!("{other:?}"),
    }
    let text = unmet(&fabric, &mut Train::new(2), LoadOptions::new().rename("", "model"));
    assert!(text.contains("load_raw"), "{text}");
    let text = unmet(&fabric, &mut Train::new(2), LoadOptions::new().rename("zzz", "other"));
    assert!(text.contains("`hparams`, `iteration`, `model`, `optimizer`"), "{text}");
}

#[test]
fn a_rename_to_a_name_that_the_file_has_already_is_refused_and_names_the_alias() {
    let fabric = fabric();
    fabric.save(PATH, &network(1)).unwrap();
    let mut live = network(2);
    let text = unmet(&fabric, &mut live, LoadOptions::new().rename("model", "network"));
    assert!(
        text.contains("has `network` already") && text.contains("alias = \"model\""),
        "{text}"
    );
    fabric.load(PATH, &mut live).unwrap();
}

#[test]
fn each_rename_of_several_must_find_something() {
    let fabric = fabric();
    fabric.save(PATH, &Train::new(1)).unwrap();
    let mut live = network(2);
    let options = LoadOptions::new().rename("model", "net").rename("net", "network");
    fabric.load_with(PATH, &mut live, options).unwrap();
    assert_eq!(weights(&live.network), weights(&Train::new(1).model));
    let options = LoadOptions::new().rename("model", "network").rename("model.fc1", "a");
    let text = unmet(&fabric, &mut live, options);
    assert!(text.contains("LoadOptions::rename(\"model.fc1\", \"a\")"), "{text}");
    assert!(text.contains("have given that the name `network.fc1`"), "{text}");
}

#[test]
fn a_rename_may_find_nothing_but_parameters_of_an_optimizer() {
    let fabric = fabric();
    let saved = Train::new(1);
    fabric
        .save_with(PATH, &saved, SaveOptions::new().exclude(Train::FIELDS.model))
        .unwrap();
    let mut live = network(2);
    let options = LoadOptions::new()
        .rename("model", "network")
        .only(Network::FIELDS.optimizer);
    fabric.load_with(PATH, &mut live, options).unwrap();
    assert_eq!(live.optimizer.learning_rate(), saved.optimizer.learning_rate());
}

#[test]
fn a_prefix_that_no_name_has_is_named_only_if_the_load_is_refused() {
    let fabric = fabric();
    fabric.save(PATH, &Train::new(1)).unwrap();
    let options = || LoadOptions::new().strip_prefix("module.").strip_prefix("_orig_mod.");
    let loaded = fabric.load_with(PATH, &mut Train::new(2), options()).unwrap();
    assert!(!loaded.report.to_string().contains("strip_prefix"), "{}", loaded.report);
    let text = refused(&fabric, &mut network(2), options()).to_string();
    for prefix in ["module.", "_orig_mod."] {
        let sentence = format!("LoadOptions::strip_prefix({prefix:?}) removed nothing");
        assert!(text.contains(&sentence), "{text}");
    }
    let text = refused(&fabric, &mut network(2), LoadOptions::new().strip_prefix("model.")).to_string();
    assert!(!text.contains("removed nothing"), "{text}");
}
