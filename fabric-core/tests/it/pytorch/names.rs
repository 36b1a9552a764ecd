//! Roots, prefixes and renames.

use fabric_core::{Error, Fabric, LoadOptions};

use super::{Mlp, assert_weights, fixture};

#[test]
fn a_wrapped_state_dict_loads_from_its_root_and_leaves_the_rest() {
    let (mut mlp, _) = Mlp::new();
    let loaded = Fabric::new()
        .load_raw_with(fixture("wrapped.pt"), &mut mlp, LoadOptions::new().root("state_dict"))
        .unwrap();
    assert_weights(&mlp, "wrapped.pt", "state_dict.");
    assert!(loaded.report.is_complete());
    assert_eq!(loaded.remainder.names(), ["best", "epoch", "flags", "name"]);
    assert_eq!(loaded.remainder.value::<u32>("epoch").unwrap(), 3);
}

#[test]
fn prefixes_of_wrappers_are_stripped() {
    for (file, prefix) in [("prefix_ddp.pt", "module."), ("prefix_compiled.pt", "_orig_mod.")] {
        let (mut mlp, _) = Mlp::new();
        let options = LoadOptions::new().strip_prefix(prefix);
        let loaded = Fabric::new().load_raw_with(fixture(file), &mut mlp, options).unwrap();
        assert!(loaded.remainder.is_empty());
        assert_weights(&mlp, file, prefix);
    }
}

#[test]
fn a_refused_load_says_which_root_or_prefix_would_match() {
    for (file, hint) in [
        (
            "prefix_ddp.pt",
            "LoadOptions::new().strip_prefix(\"module.\") would match 6 entries",
        ),
        (
            "prefix_compiled.pt",
            "LoadOptions::new().strip_prefix(\"_orig_mod.\") would match 6 entries",
        ),
        (
            "wrapped.pt",
            "LoadOptions::new().root(\"state_dict\") would match 6 entries",
        ),
        (
            "trainer.ckpt",
            "LoadOptions::new().root(\"state_dict.net\") would match 6 entries",
        ),
    ] {
        let (mut mlp, _) = Mlp::new();
        for strict in [true, false] {
            let options = LoadOptions::new().strict(strict);
            let error = Fabric::new()
                .load_raw_with(fixture(file), &mut mlp, options)
                .unwrap_err();
            assert!(error.to_string().contains(hint), "{file}: {error}");
        }
    }
}

/// FSDP wraps modules inside of modules, and a file of its state has the wrapper in the middle of names.
#[test]
fn wrappers_inside_of_names_are_found_and_stripped() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("wrapped.safetensors");
    for (wrapper, before) in [
        ("_fsdp_wrapped_module.", "_fsdp_wrapped_module."),
        ("_fsdp_wrapped_module.", ""),
        ("_orig_mod.", ""),
        ("_checkpoint_wrapped_module.", ""),
    ] {
        let wrapped = |name: String| match name.split_once('.') {
            Some((module, tensor)) => format!("{before}{module}.{wrapper}{tensor}"),
            None => name,
        };
        let weights = super::expected("mlp.pt").into_iter();
        let weights: std::collections::HashMap<_, _> = weights.map(|(name, t)| (wrapped(name), t)).collect();
        candle_core::safetensors::save(&weights, &path).unwrap();
        let (mut mlp, _) = Mlp::new();
        let error = Fabric::new().load_raw(&path, &mut mlp).unwrap_err().to_string();
        let hint = format!("LoadOptions::new().strip_prefix({wrapper:?}) would match 6 entries");
        assert!(error.contains(&hint), "{error}");
        let options = LoadOptions::new().strip_prefix(wrapper);
        Fabric::new().load_raw_with(&path, &mut mlp, options).unwrap();
        assert_weights(&mlp, "mlp.pt", "");
    }
}

#[test]
fn renames_that_collide_and_roots_that_are_not_there_are_errors() {
    let (mut mlp, _) = Mlp::new();
    let mut refused = |options| match Fabric::new().load_raw_with(fixture("mlp.pt"), &mut mlp, options) {
        Err(Error::Options(what)) => what,
        other => panic!("{other:?}"),
    };
    let what = refused(LoadOptions::new().rename("fc1.bias", "fc2.bias"));
    assert!(
        what.contains("`fc1.bias` and `fc2.bias`") && what.contains("`fc2.bias`"),
        "{what}"
    );
    let what = refused(LoadOptions::new().root("model"));
    assert!(
        what.contains("nothing below `model`") && what.contains("`fc1`"),
        "{what}"
    );
    let what = refused(LoadOptions::new().strip_prefix("fc1.").strip_prefix("fc2."));
    assert!(what.contains("would both have the name"), "{what}");
}

#[test]
fn renames_follow_each_other() {
    let (mut mlp, _) = Mlp::new();
    let options = LoadOptions::new().rename("fc1", "old").rename("old", "fc1");
    Fabric::new()
        .load_raw_with(fixture("mlp.pt"), &mut mlp, options)
        .unwrap();
    assert_weights(&mlp, "mlp.pt", "");
}
