//! Whether all ranks are about to do the same: they compare digests, and look closer only if those differ.

use super::{Ranks, no_memory};
use crate::error::{Error, Result};
use crate::io::checksum;
use crate::io::pages;

/// Everything that must be the same on all ranks, in order: what it is about, and what is said of it.
pub(crate) type Lines = Vec<(String, String)>;

/// How the text about a value begins, of which ranks see only the digest.
const VALUE: &str = "a value, digest ";

/// What to do about entries that only some ranks have.
const SAME_ENTRIES: &str = "; all ranks have entries of the same names: what only some ranks hold is stacked into one tensor, of \
                            which each rank's part says #[checkpoint(shard(dim = …, axis = \"…\"))]";

/// What is said of a value.
pub(crate) fn value_line(bytes: &[u8]) -> String {
    format!("{VALUE}{:016x}", checksum::of(bytes))
}

/// One number for all lines.
pub(crate) fn digest(lines: &Lines) -> u64 {
    let mut digest = checksum::Running::new();
    for text in lines.iter().flat_map(|(about, what)| [about, what]) {
        digest.update(text.as_bytes());
        digest.update(b"\n");
    }
    digest.finish()
}

/// A line of a byte takes so many to be looked at: where it is, how long it is, and room to grow.
const SPLIT: usize = 2 * size_of::<&str>();

fn look_for(step: &str, len: usize) -> Result<()> {
    pages::look(len).map_err(|source| no_memory(step, source))
}

impl Ranks {
    /// Compares the digests of all ranks.
    ///
    /// # Errors
    /// If they differ: with the first difference, which all ranks look for together.
    pub(crate) fn same(&self, step: &str, digests: &[u64], lines: impl FnOnce() -> Lines) -> Result<()> {
        if digests.iter().all(|digest| *digest == digests[0]) {
            return Ok(());
        }
        let say = || {
            let lines = lines();
            let len = lines.iter().map(|(about, what)| about.len() + what.len() + 2).sum();
            look_for(step, len)?;
            let mut text = String::with_capacity(len);
            for (about, what) in &lines {
                let between = if text.is_empty() { "" } else { "\n" };
                text.extend([between, about, "\t", what]);
            }
            Ok(((), text.into_bytes()))
        };
        let ((), said) = self.step(step, say)?;
        look_for(step, said.iter().map(|text| text.len().saturating_mul(SPLIT)).sum())?;
        let texts: Vec<_> = said.iter().map(|text| String::from_utf8_lossy(text)).collect();
        let first: Vec<&str> = texts[0].split('\n').collect();
        for (rank, text) in texts.iter().enumerate() {
            let other: Vec<&str> = text.split('\n').collect();
            if let Some(what) = first_difference(&first, &other) {
                return Err(Error::Disagreement { rank, what });
            }
        }
        // Other digests of the same lines: the ranks are of different versions of this library.
        Err(Error::Disagreement {
            rank: digests
                .iter()
                .position(|digest| *digest != digests[0])
                .unwrap_or_default(),
            what: "its digest of the same schema is another".to_owned(),
        })
    }
}

fn first_difference(first: &[&str], other: &[&str]) -> Option<String> {
    let at = (0..first.len().max(other.len())).find(|&at| first.get(at) != other.get(at))?;
    let split = |line: &&str| {
        let (about, what) = line.split_once('\t').unwrap_or((line, ""));
        (about.to_owned(), what.to_owned())
    };
    let said_of = |lines: &[&str], about: &str| lines.iter().map(split).find(|line| line.0 == about);
    let Some((about, here)) = first.get(at).map(split) else {
        let (about, _) = other.get(at).map(split)?;
        return Some(format!("it has {about}, which rank 0 has not{SAME_ENTRIES}"));
    };
    Some(match said_of(other, &about) {
        None => format!("it does not have {about}{SAME_ENTRIES}"),
        Some((_, there)) if there == here => match other.get(at).map(split) {
            Some((more, _)) if said_of(first, &more).is_none() => {
                format!("it has {more}, which rank 0 has not{SAME_ENTRIES}")
            }
            _ => format!("it has {about} in another place; the fields of a state are visited in one order"),
        },
        Some((_, there)) if here.starts_with(VALUE) => {
            let what = if there.starts_with(VALUE) {
                "another one"
            } else {
                &there
            };
            format!(
                "value {about} is {what} there; all ranks save the same values, and one that is meant to differ says \
                 #[checkpoint(per_rank)]; SaveOptions::replicas(Replicas::RankZero) saves rank 0's and reports the difference"
            )
        }
        Some((_, there)) if here.contains('[') && there.contains('[') => format!(
            "{about} is {there} there, and {here} on rank 0; ranks that hold parts of one tensor say #[checkpoint(shard(dim = …))]"
        ),
        Some((_, there)) => format!("{about} is {there} there, and {here} on rank 0"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_difference_is_said() {
        let first = ["the path\ta", "`w`\tF32 [2]", "`n`\ta value, digest 1"];
        for (other, says) in [
            (
                vec!["the path\tb", "`w`\tF32 [2]"],
                "the path is b there, and a on rank 0",
            ),
            (
                vec!["the path\ta", "`w`\tF32 [3]"],
                "`w` is F32 [3] there, and F32 [2] on rank 0",
            ),
            (vec!["the path\ta", "`n`\ta value, digest 1"], "it does not have `w`"),
            (
                vec!["the path\ta", "`w`\tF32 [2]", "`n`\ta value, digest 2"],
                "value `n` is another one there",
            ),
            (vec!["the path\ta", "`w`\tF32 [2]"], "it does not have `n`"),
            (
                vec!["the path\ta", "`w`\tF32 [2]", "`n`\ta value, digest 1", "`x`\tF32 [2]"],
                "it has `x`, which rank 0 has not",
            ),
            (
                vec!["the path\ta", "`n`\ta value, digest 1", "`w`\tF32 [2]"],
                "it has `w` in another place",
            ),
            (
                vec!["the path\ta", "`n`\ta value, digest 1", "`w`\tleft out"],
                "`w` is left out there, and F32 [2] on rank 0",
            ),
            (
                vec!["the path\ta", "`v`\tF32 [2]", "`w`\tF32 [2]", "`n`\ta value, digest 1"],
                "it has `v`, which rank 0 has not",
            ),
        ] {
            let found = first_difference(&first, &other).unwrap();
            assert!(found.contains(says), "{says:?} is not in {found:?}");
        }
        assert_eq!(first_difference(&first, &first), None);
    }
}
