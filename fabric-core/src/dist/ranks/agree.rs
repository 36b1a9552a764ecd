//! The comparison of plans: ranks compare digests, and exchange the text behind them if the digests differ.

use super::{Ranks, no_memory};
use crate::error::{Error, Result};
use crate::io::checksum;
use crate::io::pages;

/// Everything that must be equal on all ranks, in order: a subject, and the text about it.
pub(crate) type Lines = Vec<(String, String)>;

/// The begin of the text about a value, of which ranks exchange only the digest.
const VALUE: &str = "a value, digest ";

/// The text about a value that all ranks must have.
pub(crate) const SHARED: &str = "a value of all ranks";

/// The advice about a tensor that only some ranks have.
const SAME_TENSORS: &str = "; all ranks must have entries of the same names: stack tensors that only some ranks hold into one \
                            tensor, mark each rank's part #[checkpoint(shard(dim = …, axis = \"…\"))], and save under a \
                            Strategy::mesh with that axis";

/// The advice about a value that only some ranks have.
const SAME_VALUES: &str = "; a value that is None on some ranks and Some on others needs #[checkpoint(per_rank)], with which each \
                           rank saves its own";

/// The begin of the subject of a struct's version.
const VERSION: &str = "the version of ";

/// The advice about a version that only some ranks have.
const SAME_PROGRAM: &str = "; run the same program on all ranks";

/// The subject of a struct's version.
pub(crate) fn version_of(path: &str) -> String {
    format!("{VERSION}the struct at `{path}`")
}

/// The text about a value.
pub(crate) fn value_line(bytes: &[u8]) -> String {
    format!("{VALUE}{:016x}", checksum::of(bytes))
}

/// The digest of all lines.
pub(crate) fn digest(lines: &Lines) -> u64 {
    let mut digest = checksum::Running::new();
    for text in lines.iter().flat_map(|(about, what)| [about, what]) {
        digest.update(text.as_bytes());
        digest.update(b"\n");
    }
    digest.finish()
}

/// The bytes of memory that one byte of text takes while it is compared: a slice, in a vector that grows.
const SPLIT: usize = 2 * size_of::<&str>();

fn look_for(step: &str, len: usize) -> Result<()> {
    pages::look(len).map_err(|source| no_memory(step, source))
}

impl Ranks {
    /// Compares the digests of all ranks.
    ///
    /// # Errors
    /// [`Error::Disagreement`] if the digests differ: it has the first difference, for which all ranks exchange their
    /// lines.
    pub(crate) fn require_same(&self, step: &str, digests: &[u64], lines: impl FnOnce() -> Lines) -> Result<()> {
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
        // Equal lines with different digests: the ranks run different versions of this library.
        Err(Error::Disagreement {
            rank: digests
                .iter()
                .position(|digest| *digest != digests[0])
                .unwrap_or_default(),
            what: "its digest of the same plan differs; build the program of all ranks with the same version of fabric-core".to_owned(),
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
        return other.get(at).map(split).map(|more| additional(&more));
    };
    Some(match said_of(other, &about) {
        None => format!("it does not have {about}, which rank 0 has{}", advice(&about, &here)),
        Some((_, there)) if there == here => match other.get(at).map(split) {
            Some(more) if said_of(first, &more.0).is_none() => additional(&more),
            _ => format!(
                "it visits {about} at another position; all ranks must visit the fields of a state in the same order"
            ),
        },
        Some((_, there)) if here.starts_with(VALUE) => {
            let what = if there.starts_with(VALUE) {
                "differs from that of rank 0".to_owned()
            } else {
                format!("is {there}, and a value on rank 0")
            };
            let own = if is_of_optimizer(&about) {
                "give the optimizers of all ranks the same steps and hyper-parameters"
            } else {
                "mark the field #[checkpoint(per_rank)] if each rank has its own value"
            };
            format!(
                "value {about} {what}; {own}, or save rank 0's with SaveOptions::replicas(Replicas::RankZero), which reports the \
                 difference"
            )
        }
        Some((_, there)) if here.contains('[') && there.contains('[') => format!(
            "{about} is {there}, and {here} on rank 0; if ranks hold parts of one tensor, mark the field #[checkpoint(shard(dim = …))]"
        ),
        Some((_, there)) => format!("{about} is {there}, and {here} on rank 0"),
    })
}

/// The text about an entry that rank 0 lacks.
fn additional((about, what): &(String, String)) -> String {
    format!("it has {about}, which rank 0 does not have{}", advice(about, what))
}

/// The advice about a line that only some ranks have.
fn advice(about: &str, what: &str) -> &'static str {
    if about.starts_with(VERSION) {
        SAME_PROGRAM
    } else if what == SHARED {
        SAME_VALUES
    } else {
        SAME_TENSORS
    }
}

/// Returns true for the steps and the hyper-parameters of an optimizer, which have no attribute of their own.
fn is_of_optimizer(about: &str) -> bool {
    let name = about.trim_matches('`');
    let last = name.rsplit('.').next().unwrap_or_default();
    last == "param_groups" || (name.contains("state.") && last == "step")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_difference_is_said() {
        let first = ["the path\ta", "`w`\tF32 [2]", "`n`\ta value, digest 1"];
        for (other, says) in [
            (vec!["the path\tb", "`w`\tF32 [2]"], "the path is b, and a on rank 0"),
            (
                vec!["the path\ta", "`w`\tF32 [3]"],
                "`w` is F32 [3], and F32 [2] on rank 0",
            ),
            (vec!["the path\ta", "`n`\ta value, digest 1"], "it does not have `w`"),
            (
                vec!["the path\ta", "`w`\tF32 [2]", "`n`\ta value, digest 2"],
                "value `n` differs from that of rank 0",
            ),
            (vec!["the path\ta", "`w`\tF32 [2]"], "it does not have `n`"),
            (
                vec!["the path\ta", "`w`\tF32 [2]", "`n`\ta value, digest 1", "`x`\tF32 [2]"],
                "it has `x`, which rank 0 does not have",
            ),
            (
                vec!["the path\ta", "`n`\ta value, digest 1", "`w`\tF32 [2]"],
                "it visits `w` at another position",
            ),
            (
                vec!["the path\ta", "`n`\ta value, digest 1", "`w`\tleft out"],
                "`w` is left out, and F32 [2] on rank 0",
            ),
            (
                vec!["the path\ta", "`v`\tF32 [2]", "`w`\tF32 [2]", "`n`\ta value, digest 1"],
                "it has `v`, which rank 0 does not have",
            ),
        ] {
            let found = first_difference(&first, &other).unwrap();
            assert!(found.contains(says), "{says:?} is not in {found:?}");
        }
        assert_eq!(first_difference(&first, &first), None);
    }
}
