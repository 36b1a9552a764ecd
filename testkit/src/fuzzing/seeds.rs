//! Where fuzzing begins: inputs that are right, and those that were findings once.

use std::path::{Path, PathBuf};

use super::{Case, checkpoint, directory_payload, payload, torch_pickle, weights};
use crate::delta::small;

/// Inputs that open.
pub fn seeds(case: &Case) -> Vec<Vec<u8>> {
    match case.name {
        "single_file" => vec![checkpoint().to_vec(), weights("a")],
        "torch" => files("pytorch", &["pt", "ckpt"]),
        "torch_pickle" => files("pytorch", &["pt", "ckpt"])
            .iter()
            .filter_map(|file| pickle_of(file))
            // The target has storages of a few sizes, and not all files have these.
            .filter(|pickle| torch_pickle(pickle))
            .collect(),
        "manifest" => vec![payload()],
        "directory_manifest" => vec![directory_payload()],
        "hub_index" => vec![
            br#"{"weight_map":{"a":"model-1.safetensors","b":"model-2.safetensors"}}"#.to_vec(),
            br#"{"metadata":{"total_size":8},"weight_map":{"b":"model-2.safetensors"}}"#.to_vec(),
        ],
        "hub_shard" => files("pytorch/hf_fsdp2", &["safetensors"]).split_off(1),
        "dcp_metadata" => vec![include_bytes!("../../../tests/fixtures/pytorch/dcp_fsdp2/.metadata").to_vec()],
        "dcp_payload" => vec![include_bytes!("../../../tests/fixtures/pytorch/dcp_fsdp2/__1_0.distcp").to_vec()],
        "delta" => vec![small().1.clone()],
        _ => Vec::new(),
    }
}

/// Inputs that a fuzzer found, or that a person thought of, and that are handled now.
pub fn regressions(case: &Case) -> Vec<Vec<u8>> {
    files(&format!("fuzz/{}", case.name), &[])
}

/// The fixtures in a folder with one of these extensions, or with any, in the order of their names; none if there is no
/// folder.
fn files(folder: &str, extensions: &[&str]) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../tests/fixtures")
        .join(folder);
    let mut found: Vec<PathBuf> = std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .map(|found| found.path())
        .filter(|path| path.is_file())
        .collect();
    found.retain(|path| {
        let extension = path.extension().unwrap_or_default();
        extensions.is_empty() || extensions.iter().any(|wanted| extension == *wanted)
    });
    found.sort();
    let read = |path: &PathBuf| std::fs::read(path).expect("a file of the repository is readable");
    found.iter().map(read).collect()
}

/// The pickle in an archive: its first member. `None` if the file is the older stream.
fn pickle_of(archive: &[u8]) -> Option<Vec<u8>> {
    if !archive.starts_with(b"PK") {
        return None;
    }
    let short = |at: usize| usize::from(u16::from_le_bytes([archive[at], archive[at + 1]]));
    let start = 30 + short(26) + short(28);
    // Behind a member of this writer stands a descriptor.
    let len = archive[start..].windows(4).position(|four| four == b"PK\x07\x08")?;
    Some(archive[start..start + len].to_vec())
}
