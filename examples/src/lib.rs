//! What the example programs share: the data, the model, and a trainer. The programs are in `src/bin`.

pub mod gpt;
pub mod mlp;
pub mod observing;
pub mod parallel;
pub mod quality;
pub mod trainer;
pub mod wine;

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;

use fabric_core::{Checkpoint, named_parameters};

/// The result of a program's parts: any error, to be printed.
pub type Result<T, E = Box<dyn Error + Send + Sync>> = std::result::Result<T, E>;

/// How a program ends: an error is printed for people, and is a failure for the shell.
#[must_use]
pub fn exit(outcome: Result<()>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// A new directory for a run of `program`, among the system's temporary files; it is left there, to be looked at.
#[must_use]
pub fn scratch(program: &str) -> PathBuf {
    let directory = std::env::temp_dir().join(format!("fabric-{program}-{}", std::process::id()));
    println!("checkpoints in {}", directory.display());
    directory
}

/// A digest of a module's parameters, names and bits (FNV-1a, 64 bits): equal for equal weights, and for no others that
/// one meets.
///
/// # Errors
/// If a parameter is not of type `f32`.
pub fn digest(module: &impl Checkpoint) -> Result<u64> {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let mut add = |byte: u8| hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    for (name, parameter) in named_parameters(module) {
        name.bytes().for_each(&mut add);
        let weights: Vec<f32> = parameter.flatten_all()?.to_vec1()?;
        weights.into_iter().flat_map(f32::to_le_bytes).for_each(&mut add);
    }
    Ok(hash)
}

/// Entry names counted by component, in a few words: `iteration, model (6), optimizer (20)`.
#[must_use]
pub fn by_component<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let mut counts = std::collections::BTreeMap::new();
    for name in names {
        let (component, below) = name.split_once('.').map_or((name, 0), |(component, _)| (component, 1));
        *counts.entry(component).or_insert(0) += below;
    }
    let describe = |(component, below)| match below {
        0 => str::to_owned(component),
        count => format!("{component} ({count})"),
    };
    let described: Vec<String> = counts.into_iter().map(describe).collect();
    if described.is_empty() {
        return "nothing".to_owned();
    }
    described.join(", ")
}
