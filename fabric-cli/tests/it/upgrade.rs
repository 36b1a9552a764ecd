//! `ckpt upgrade`: recipes from the source of a program.

mod before;
mod program;

use std::fs;
use std::path::Path;

use candle_core::{DType, Device, Tensor};
use fabric_core::Fabric;

use crate::support::{Said, run};

const PROGRAM: &str = include_str!("upgrade/program.rs");

/// A directory with a checkpoint `old` of the first version, and the source of the present program.
fn directory() -> tempfile::TempDir {
    let directory = tempfile::tempdir().expect("a directory");
    Fabric::new()
        .save(directory.path().join("old"), &before::trained())
        .expect("saved");
    fs::write(directory.path().join("program.rs"), PROGRAM).expect("written");
    directory
}

fn upgrade(here: &Path, recipe: &str) -> Said {
    fs::write(here.join("recipe.rs"), recipe).expect("written");
    run(here, &["upgrade", "old", "new", "--recipe", "recipe.rs"])
}

#[test]
fn the_source_of_a_program_is_its_recipe() {
    let directory = directory();
    let here = directory.path();
    let said = run(here, &["upgrade", "old", "new", "--recipe", "program.rs"]);
    assert_eq!((said.status, &said.error[..]), (0, ""));
    assert!(said.out.starts_with("wrote new: fabric, "), "{}", said.out);

    // The call of the library writes the same contents.
    let fabric = Fabric::new();
    fabric
        .migrate::<program::State>(here.join("old"), here.join("by-call"))
        .expect("migrated");
    assert_eq!(run(here, &["diff", "new", "by-call"]).status, 0);
    let versions = |name: &str| fabric.open(here.join(name)).expect("whole").versions();
    assert_eq!(versions("new"), versions("by-call"));

    let mut state = program::State::new();
    let loaded = fabric.load(here.join("new"), &mut state).expect("it matches");
    assert!(loaded.report.is_complete() && loaded.remainder.is_empty());
    let mut of_old = program::State::new();
    fabric
        .load(here.join("old"), &mut of_old)
        .expect("its recipe brings it here");
    let bits = |tensor: &Tensor| {
        tensor
            .flatten_all()
            .and_then(|flat| flat.to_vec1::<f32>())
            .expect("floats")
    };
    assert_eq!(bits(&state.model.layers[1].out), bits(&of_old.model.layers[1].out));
    assert_eq!((state.step, state.model.layers[0].dropout), (2, 0.125));
}

#[test]
fn words_alone_bring_the_file_of_another_program() {
    let directory = tempfile::tempdir().expect("a directory");
    let here = directory.path();
    let tensor = Tensor::arange(0f32, 6., &Device::Cpu)
        .and_then(|all| all.reshape((2, 3)))
        .expect("six floats");
    let all = [("h.0.w", tensor.clone()), ("h.1.w", tensor.clone()), ("bias", tensor)];
    candle_core::safetensors::save(&all.into_iter().collect(), here.join("old")).expect("written");
    let words = r#"
        // The layers as one tensor, in half the bytes.
        m.transpose("h.*.w", 1, 0)
            .stack(["h.0.w", "h.1.w"], "layers", 0)
            .cast("layers", candle_core::DType::BF16);
        m.split("bias", [("b.up", 1), ("b.down", 1)], 0).reshape("b.up", (3, 1));
        m.insert("lr", -1.5).insert("names", ["a", "b"]).insert("steps", 7u64).insert("none", None);
        m.unstack("b.down", "c.*", 1).rename("c.2", "last").remove("c");
    "#;
    let said = upgrade(here, words);
    assert_eq!((said.status, &said.error[..]), (0, ""));
    let new = Fabric::new().open(here.join("new")).expect("whole");
    assert_eq!(new.names(), ["b.up", "last", "layers", "lr", "names", "none", "steps"]);
    let info = new.info("layers").expect("a tensor");
    assert_eq!((info.dtype(), info.shape()), (DType::BF16.into(), &[2, 3, 2][..]));
    assert_eq!(new.value::<f64>("lr").expect("a number").to_bits(), (-1.5f64).to_bits());
    assert_eq!(new.value::<Vec<String>>("names").expect("texts"), ["a", "b"]);
    assert_eq!(new.value::<u64>("steps").expect("a number"), 7);
    assert_eq!(new.value::<Option<u8>>("none").expect("none"), None);
    assert_eq!(
        new.tensor("last", &Device::Cpu)
            .map(|own| own.to_vec1::<f32>())
            .expect("whole")
            .expect("floats"),
        [5.]
    );
}

/// The source of a struct whose recipe has this body in line 5.
fn struct_with(body: &str) -> String {
    format!(
        "#[derive(Checkpoint)]\n#[checkpoint(version = 2, migrate = Attention::migrations)]\nstruct Attention {{ out: Var }}\n\
         impl Attention {{ fn migrations(m: &mut Migrations) {{\n{body}\n}} }}"
    )
}

#[test]
fn a_recipe_is_that_of_the_struct_and_of_every_build() {
    let directory = directory();
    let here = directory.path();
    let elsewhere = "mod other { fn migrations(m: &mut Migrations) { m.from(1, \"\"); } }";
    let free = struct_with("").replace("Attention::migrations", "migrations");
    for (recipe, expected) in [
        (
            struct_with("#[cfg(any())] m.from(1, \"\");"),
            "recipe.rs:5:1: the command reads words",
        ),
        (
            struct_with("").replace("fn migrations", "#[cfg(any())] fn migrations"),
            ": the recipe is compiled on a condition",
        ),
        (
            format!("#[cfg_attr(any(), derive(Debug))]\n{}", struct_with("")),
            "recipe.rs:4:8: the recipe is compiled on a condition",
        ),
        (
            format!("{free}\n{elsewhere}"),
            "the function `migrations` is not in this file",
        ),
        (
            format!(
                "{}\n{}",
                struct_with(""),
                "impl Attention { fn migrations(m: &mut Migrations) {} }"
            ),
            "several functions of this name",
        ),
        (
            format!("{}\nmod b {{ {} }}", struct_with(""), struct_with("")),
            "a second `Attention` with a recipe",
        ),
    ] {
        let said = upgrade(here, &recipe);
        assert_eq!(said.status, 1, "{recipe}");
        assert!(said.error.contains(expected), "{recipe}\n{}", said.error);
    }
    // Of two functions of one name, the one in the module of the struct is meant; tests are not the program.
    let own = struct_with("m.from(1, \"\").rename(\"absent\", \"b\");");
    let with_tests = "#[cfg(test)] mod tests { impl Attention { fn migrations(m: &mut Migrations) {} } }";
    let said = upgrade(here, &format!("mod a {{ {own} }}\n{elsewhere}\n{with_tests}"));
    assert!(said.error.contains("no `absent`"), "{}", said.error);
}

#[test]
fn a_recipe_that_runs_code_is_refused_at_its_line() {
    let directory = directory();
    let here = directory.path();
    for (recipe, expected) in [
        (
            struct_with("m.from(1, \"\").value(\"a\", \"b\", |a: u8| a);"),
            "recipe.rs:5:15: the command reads words",
        ),
        (
            struct_with("for _ in 0..2 { m.rename(\"a\", \"b\"); }"),
            "recipe.rs:5:1: the command reads words",
        ),
        (
            struct_with("m.from(1, \"\").rename(OLD, \"b\");"),
            "recipe.rs:5:22: a text in quotes must stand here",
        ),
        (
            struct_with("m.from(1, \"\").rename(\"a\");"),
            "recipe.rs:5:15: `rename` takes 2 arguments, and here are 1",
        ),
        (
            struct_with("other.rename(\"a\", \"b\");"),
            "recipe.rs:5:1: the command reads words",
        ),
        (
            struct_with("m.from(-1, \"\");"),
            "recipe.rs:5:8: a number must stand here",
        ),
        (
            struct_with("m.from(9999999999, \"\");"),
            "recipe.rs:5:8: number too large",
        ),
        (
            struct_with("").replace("fn migrations", "fn other"),
            "recipe.rs:2:37: the function `Attention::migrations` is not in this file",
        ),
        (
            struct_with("").replace("version = 2", "version = NOW"),
            "recipe.rs:2:24: a number must stand here",
        ),
        (
            struct_with("m.rename(\"a\", \"b\")").replace("impl", "imp"),
            "recipe.rs:4:",
        ),
        (
            "struct Attention;".to_owned(),
            "no struct here declares #[checkpoint(version = .., migrate = ..)]",
        ),
    ] {
        let said = upgrade(here, &recipe);
        assert_eq!((said.status, &said.out[..]), (1, ""), "{recipe}");
        assert!(said.error.contains(expected), "{recipe}\n{}", said.error);
        assert!(!here.join("new").exists(), "{recipe}");
    }
    let said = run(here, &["upgrade", "old", "new", "--recipe", "absent.rs"]);
    assert_eq!(said.status, 1);
    assert!(said.error.contains("absent.rs"), "{}", said.error);
}

#[test]
fn a_recipe_for_another_file_changes_nothing() {
    let directory = directory();
    let here = directory.path();
    // The recipe of the model is followed, and the layers stay at their version.
    let said = upgrade(here, &PROGRAM.replace("Attention", "Convolution"));
    let warning = "ckpt: old has no struct of the name `Convolution`\n";
    assert_eq!((said.status, &said.error[..]), (0, warning));
    fs::remove_file(here.join("new")).expect("it is there");
    for (from, to, expected) in [
        ("\"wq\"", "\"wx\"", "and not `model.layers.0.wx`"),
        ("version = 3", "version = 4", "m.from(3, "),
        ("version = 3", "version = 2", "leads beyond version 2"),
    ] {
        let said = upgrade(here, &PROGRAM.replace(from, to));
        assert_eq!((said.status, &said.out[..]), (1, ""), "{to}");
        assert!(said.error.contains(expected), "{to}: {}", said.error);
        assert!(!here.join("new").exists(), "{to}");
    }
    let nothing = PROGRAM.replace("Attention", "A").replace("Model", "M");
    let said = upgrade(here, &nothing);
    assert_eq!(said.status, 1);
    assert!(
        said.error
            .contains("the recipes are for `A`, `M`, and the file has the structs `Attention`, `Model`, `State`"),
        "{}",
        said.error
    );
}
