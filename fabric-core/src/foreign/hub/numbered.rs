//! Reads directories of weights without an index. The names number the files and give the number of files.
//!
//! ```text
//! model-00002-of-00003.safetensors                   the second of three files
//! shard-00004-model-00002-of-00003.safetensors       the part of rank 3 (the fourth rank) of the second of three files
//! ```
//!
//! Hubs use the first form, and PyTorch's `HuggingFaceStorageWriter(save_distributed=True)` uses the second. No name
//! gives the number of ranks, so only the tensors show that the files of the last ranks are complete.
//!
//! PyTorch writes no file for a rank without data. Such a gap looks like a lost file, and is refused, since a lost file
//! may have held whole tensors.

use std::collections::BTreeMap;

use crate::source::refused::Refused;

/// The name of a numbered file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Numbered {
    /// The rank that wrote it, counted from 1.
    pub(crate) rank: Option<u32>,
    /// The name of the set, such as `model`.
    stem: String,
    /// The number of the file in its set, counted from 1.
    number: u32,
    of: u32,
}

impl Numbered {
    /// Parses a file name; `None` if it is not numbered.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        let (counted, of) = name.strip_suffix(".safetensors")?.rsplit_once("-of-")?;
        let (stem, number) = counted.rsplit_once('-')?;
        let sharded = stem
            .strip_prefix("shard-")
            .and_then(|rest| rest.split_once('-'))
            .and_then(|(rank, stem)| Some((digits(rank)?, stem)));
        let (rank, stem) = sharded.map_or((None, stem), |(rank, stem)| (Some(rank), stem));
        Some(Self {
            rank,
            stem: stem.to_owned(),
            number: digits(number)?,
            of: digits(of)?,
        })
    }
}

fn digits(text: &str) -> Option<u32> {
    let plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| plain)
}

/// Checks that the files are one complete set without duplicates.
///
/// # Errors
/// If a file is missing, or does not belong to the set. The text names the file.
pub(super) fn check_complete(files: &[(Numbered, &String)]) -> Result<(), Refused> {
    let Some(((first, first_name), rest)) = files.split_first() else {
        return Ok(());
    };
    for (file, name) in rest {
        let same = (&file.stem, file.of, file.rank.is_some()) == (&first.stem, first.of, first.rank.is_some());
        if !same {
            let what = format!("{first_name} and {name} are not files of one set: give the path of one model");
            return Err(Refused::Unknown(what));
        }
    }
    let mut by_rank: BTreeMap<Option<u32>, BTreeMap<u32, &String>> = BTreeMap::new();
    for (file, name) in files {
        if let Some(twin) = by_rank.entry(file.rank).or_default().insert(file.number, name) {
            let what = format!("{twin} and {name} have the same number: give the path of one model");
            return Err(Refused::Unknown(what));
        }
    }
    for (expected, (rank, numbers)) in (1..).zip(&by_rank) {
        if rank.is_some_and(|rank| rank != expected) {
            return Err(format!("the files of rank {expected} (shard-{expected:05}-…) are missing").into());
        }
        check_numbers(numbers, first.of).map_err(|what| {
            let prefix = rank.map(|rank| format!("shard-{rank:05}-")).unwrap_or_default();
            format!("{prefix}{}-{what}", first.stem)
        })?;
    }
    Ok(())
}

/// Checks that the files have the numbers 1 to `of`.
fn check_numbers(numbers: &BTreeMap<u32, &String>, of: u32) -> Result<(), String> {
    if let Some(stray) = numbers.keys().find(|&&number| number == 0 || number > of) {
        return Err(format!("{stray:05} is not one of {of} files"));
    }
    // All numbers are in 1..=of, so the first missing one is at most one above the largest.
    match (1..=of).find(|number| !numbers.contains_key(number)) {
        Some(lost) => Err(format!("{lost:05}-of-{of:05}.safetensors is missing")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(names: &[&str]) -> Result<(), String> {
        let names: Vec<String> = names.iter().map(|name| format!("{name}.safetensors")).collect();
        let files: Vec<_> = names
            .iter()
            .map(|name| (Numbered::parse(name).expect("a counted name"), name))
            .collect();
        check_complete(&files).map_err(|refused| match refused {
            Refused::Damaged(what) | Refused::Unknown(what) => what,
            other => panic!("{other:?}"),
        })
    }

    #[test]
    fn only_names_that_count_are_taken_apart() {
        let parsed = Numbered::parse("shard-00004-model-00002-of-00003.safetensors").unwrap();
        assert_eq!((parsed.rank, parsed.number, parsed.of), (Some(4), 2, 3));
        assert_eq!(parsed.stem, "model");
        let parsed = Numbered::parse("pytorch_model-00001-of-00002.safetensors").unwrap();
        assert_eq!((parsed.rank, parsed.stem.as_str()), (None, "pytorch_model"));
        for other in [
            "model.safetensors",
            "model-00001-of-00002.bin",
            "model-00001.safetensors",
            "model-+1-of-00002.safetensors",
            "model--of-.safetensors",
            "-of-2.safetensors",
            "model-1-of-99999999999.safetensors",
        ] {
            assert_eq!(Numbered::parse(other), None, "{other}");
        }
    }

    #[test]
    fn complete_sets_are_complete() {
        assert_eq!(verdict(&["model-00002-of-00002", "model-00001-of-00002"]), Ok(()));
        assert_eq!(
            verdict(&[
                "shard-00001-model-00001-of-00002",
                "shard-00002-model-00001-of-00002",
                "shard-00001-model-00002-of-00002",
                "shard-00002-model-00002-of-00002",
            ]),
            Ok(())
        );
    }

    #[test]
    fn what_is_missing_is_named() {
        let error = verdict(&["model-00001-of-00003", "model-00003-of-00003"]).unwrap_err();
        assert_eq!(error, "model-00002-of-00003.safetensors is missing");
        let error = verdict(&["model-00001-of-4294967295"]).unwrap_err();
        assert_eq!(error, "model-00002-of-4294967295.safetensors is missing");
        let error = verdict(&["shard-00001-model-00001-of-00001", "shard-00003-model-00001-of-00001"]).unwrap_err();
        assert_eq!(error, "the files of rank 2 (shard-00002-…) are missing");
        let error = verdict(&[
            "shard-00001-model-00001-of-00002",
            "shard-00001-model-00002-of-00002",
            "shard-00002-model-00001-of-00002",
        ]);
        assert_eq!(
            error.unwrap_err(),
            "shard-00002-model-00002-of-00002.safetensors is missing"
        );
    }

    #[test]
    fn files_of_two_sets_are_refused() {
        for pair in [
            ["model-00001-of-00002", "model-00002-of-00003"],
            ["model-00001-of-00002", "other-00002-of-00002"],
            ["model-00001-of-00001", "shard-00001-model-00001-of-00001"],
        ] {
            assert!(verdict(&pair).unwrap_err().contains("not files of one set"), "{pair:?}");
        }
        let twice = verdict(&["model-00001-of-00001", "model-1-of-1"]).unwrap_err();
        assert!(twice.contains("same number"), "{twice}");
        let beyond = verdict(&["model-00001-of-00001", "model-00002-of-00001"]).unwrap_err();
        assert!(beyond.contains("not one of 1 files"), "{beyond}");
        let before = verdict(&["model-00000-of-00001"]).unwrap_err();
        assert!(before.contains("model-00000 is not one of 1 files"), "{before}");
        let ranks_from_0 = verdict(&["shard-00000-model-00001-of-00001"]).unwrap_err();
        assert!(ranks_from_0.contains("rank 1"), "{ranks_from_0}");
    }
}
