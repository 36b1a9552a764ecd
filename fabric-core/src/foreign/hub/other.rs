//! Recognizes directories of other kinds by the names of their files.

use std::path::Path;

/// A description of a directory without weights, with advice, as a clause.
pub(crate) fn what(names: &[String]) -> String {
    let has = |name: &str| names.iter().any(|other| other == name);
    let begins = |start: &str| names.iter().find(|name| name.starts_with(start));
    if names.is_empty() {
        return "it is an empty directory".to_owned();
    }
    let safetensors = "save the weights as safetensors in Python";
    if has("saved_model.pb") {
        return format!("it is a TensorFlow SavedModel: {safetensors}");
    }
    if has("_CHECKPOINT_METADATA") || has("_METADATA") || has("manifest.ocdbt") {
        return format!("it is a checkpoint of Orbax (JAX): {safetensors}");
    }
    if has(".zarray") || has(".zgroup") || has("zarr.json") {
        return format!("it is a Zarr store: {safetensors}");
    }
    if has("checkpoint")
        && names
            .iter()
            .any(|name| Path::new(name).extension().is_some_and(|end| end == "index"))
    {
        return format!("it is a TensorFlow checkpoint: {safetensors}");
    }
    if has("snapshots") && has("refs") {
        return "it is a folder of the Hugging Face cache: give the path of one of the folders below `snapshots`"
            .to_owned();
    }
    if has("zero_to_fp32.py") {
        let what = "it is a checkpoint of DeepSpeed: run `python zero_to_fp32.py . weights --safe_serialization` in it, and open \
                    what that writes";
        return what.to_owned();
    }
    if has("latest_checkpointed_iteration.txt") {
        return "it is a checkpoint of Megatron-LM: convert it with the tools of that project".to_owned();
    }
    if let Some(folder) = begins("checkpoint-") {
        return format!("it holds the checkpoints of a run: give the path of one of them, {folder} say");
    }
    let likely = names.iter().find(|name| {
        let end = Path::new(name).extension().unwrap_or_default().to_ascii_lowercase();
        ["ckpt", "safetensors", "pt", "pth", "bin"]
            .iter()
            .any(|known| end == *known)
    });
    match likely {
        Some(name) => format!("it is a directory without an index of weights; did you mean the file {name} in it?"),
        None => "it is a directory, and holds neither model.safetensors nor an index of weights, \
                 model.safetensors.index.json"
            .to_owned(),
    }
}
