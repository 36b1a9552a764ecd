//! The names of files in the directory of a checkpoint.

/// The name of the manifest in its directory.
pub(crate) const FILE_NAME: &str = "manifest.fabric";

/// The name of a rank's file in the folder of its generation.
pub(crate) fn rank_file(rank: usize) -> String {
    format!("rank-{rank:05}.safetensors")
}

/// Returns true if a name is that of a rank's file.
pub(crate) fn is_rank_file(name: &str) -> bool {
    let digits = name
        .strip_prefix("rank-")
        .and_then(|name| name.strip_suffix(".safetensors"));
    let rank = digits.filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()));
    rank.and_then(|rank| rank.parse().ok())
        .is_some_and(|rank| rank_file(rank) == name)
}
