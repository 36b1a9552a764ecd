//! Calls the compiler on generated code, with the crates of this build.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::Outcome;
use crate::options::build_directory;

/// Where the compiler finds what, and where it writes.
pub(crate) struct Compiler {
    library: PathBuf,
    folder: PathBuf,
}

impl Compiler {
    /// Finds the library as cargo has built it for this program.
    ///
    /// # Errors
    /// If cargo cannot say, or the folder cannot be made.
    pub(crate) fn new(folder: &Path) -> Outcome<Self> {
        std::fs::create_dir_all(folder)?;
        Ok(Self {
            library: library()?,
            folder: folder.to_owned(),
        })
    }

    /// Compiles a library crate with this text.
    ///
    /// # Errors
    /// If the compiler refuses it, with its words.
    pub(crate) fn compile(&self, text: &str, check_only: bool) -> Outcome {
        let file = self.folder.join("structs.rs");
        std::fs::write(&file, text)?;
        let mut external = std::ffi::OsString::from("fabric_core=");
        external.push(&self.library);
        let dependencies = self.library.parent().ok_or("the library is in no folder")?;
        let dependencies = if dependencies.ends_with("deps") {
            dependencies.to_owned()
        } else {
            dependencies.join("deps")
        };
        let mut search = std::ffi::OsString::from("dependency=");
        search.push(dependencies);
        let emit = if check_only { "metadata" } else { "metadata,link" };
        let output = Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()))
            .args(["--crate-type", "lib", "--crate-name", "structs", "--edition", "2024"])
            .args(["-C", "opt-level=0", "-C", "debuginfo=2", "--emit", emit, "--out-dir"])
            .arg(&self.folder)
            .arg("--extern")
            .arg(external)
            .arg("-L")
            .arg(search)
            .arg(&file)
            .output()?;
        if output.status.success() {
            return Ok(());
        }
        Err(format!("the compiler: {}", String::from_utf8_lossy(&output.stderr)).into())
    }
}

/// The library file of fabric-core. Cargo has built it already, and only says where.
fn library() -> Outcome<PathBuf> {
    let output = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["build", "--release", "--offline", "--package", "fabric-benches"])
        .args(["--message-format", "json"])
        // With other features than this program has, there would be something to build.
        .args(if cfg!(feature = "mpi") {
            &["--features", "mpi"][..]
        } else {
            &[]
        })
        .arg("--manifest-path")
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"))
        .arg("--target-dir")
        .arg(build_directory()?)
        .output()?;
    let text = String::from_utf8(output.stdout)?;
    let messages = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let files = messages
        .filter(|message| message["target"]["name"] == "fabric_core")
        .flat_map(|message| {
            let files = message["filenames"].as_array().cloned().unwrap_or_default();
            files.into_iter().filter_map(|file| file.as_str().map(PathBuf::from))
        });
    let library = files
        .into_iter()
        .find(|file| file.extension().is_some_and(|end| end == "rlib"));
    let words = String::from_utf8_lossy(&output.stderr);
    Ok(library.ok_or_else(|| format!("cargo did not name fabric-core's library: {words}"))?)
}

/// A library with this many structs of ten fields.
pub(crate) fn source(structs: usize, derive: bool) -> String {
    let attribute = if derive {
        "#[derive(fabric_core::Checkpoint)]\n"
    } else {
        ""
    };
    let mut text = String::from("use fabric_core::{candle_core::Tensor, candle_nn};\n");
    for number in 0..structs {
        let _ = write!(
            text,
            "{attribute}pub struct State{number} {{\n    pub first: candle_nn::Linear,\n    pub second: candle_nn::Linear,\n    \
             pub norm: candle_nn::LayerNorm,\n    pub embedding: candle_nn::Embedding,\n    pub mean: Tensor,\n    \
             pub iteration: u64,\n    pub loss: f64,\n    pub name: String,\n    pub losses: Vec<f32>,\n    \
             pub best: Option<Tensor>,\n}}\n"
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_struct_has_ten_fields() {
        let text = source(3, true);
        assert_eq!(text.matches("pub struct State").count(), 3);
        assert_eq!(text.matches("derive(").count(), 3);
        let first = text
            .split_once("State0 {")
            .and_then(|(_, rest)| rest.split_once('}'))
            .map(|(fields, _)| fields);
        assert_eq!(first.map(|fields| fields.matches("pub ").count()), Some(10));
    }
}
