//! The hidden names beside a checkpoint and inside of it: partial files, a replaced checkpoint, and the lock files that
//! claim them for a save.
//!
//! A hidden name is `.<label>.<token>.<ending>`. The label is the checkpoint's name, cut if it is long. Each save draws
//! a token that no other save uses. The lock file (ending `lock`) begins with [`MARK`], and the save keeps it locked
//! while it lives, so all hidden files with its token belong to that save.

use std::ffi::OsStr;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::format::directory::FILE_NAME;
use crate::io::checksum;

/// The first bytes of a lock file.
pub(crate) const MARK: &[u8] = b"fabric: a save holds this file as long as it lives\n";

/// The longest name, in bytes, that becomes a label uncut. A hidden name then fits into every file system that accepts
/// the name.
const LONGEST_LABEL: usize = 96;

/// The length in bytes of a cut name, before its checksum.
const CUT_LABEL: usize = 64;

/// The hexadecimal digits of a token.
const DIGITS: usize = 16;

/// The prefix of the folders of generations.
const GENERATION: &str = "g-";

/// A random number that names the files of one save.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Token(u64);

impl Token {
    /// Draws a token that no other save has.
    pub(crate) fn draw() -> Self {
        Self(RandomState::new().hash_one((SystemTime::now(), std::process::id())))
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        let plain = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        let is_token = text.len() == DIGITS && text.bytes().all(plain);
        let number = is_token.then(|| u64::from_str_radix(text, 16).ok()).flatten();
        number.map(Self)
    }

    /// The name of a generation's folder, which is also the mark in its files.
    pub(crate) fn generation(self) -> String {
        format!("{GENERATION}{self}")
    }

    pub(crate) fn of_generation(name: &str) -> Option<Self> {
        name.strip_prefix(GENERATION).and_then(Self::parse)
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:0DIGITS$x}", self.0)
    }
}

/// The purpose of a hidden name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// The lock file of a save that runs.
    Lock,
    /// A partial file or directory.
    Partial,
    /// A replaced checkpoint: a directory that a file replaces, or the reverse.
    Replaced,
}

impl Ending {
    const ALL: [Self; 3] = [Self::Lock, Self::Partial, Self::Replaced];

    fn text(self) -> &'static str {
        match self {
            Self::Lock => ".lock",
            Self::Partial => ".partial",
            Self::Replaced => ".replaced",
        }
    }
}

/// The hidden names of one checkpoint in a directory.
#[derive(Clone, Debug)]
pub(crate) struct Hidden {
    pub(crate) directory: PathBuf,
    label: String,
}

impl Hidden {
    /// The hidden names beside a checkpoint.
    pub(crate) fn beside(target: &Path) -> Self {
        Self {
            directory: target.parent().unwrap_or(Path::new("")).to_path_buf(),
            label: label(target.file_name().unwrap_or_default()),
        }
    }

    /// The hidden names inside of a checkpoint in a directory.
    pub(crate) fn inside(directory: &Path) -> Self {
        Self {
            directory: directory.to_path_buf(),
            label: FILE_NAME.to_owned(),
        }
    }

    pub(crate) fn path(&self, token: Token, ending: Ending) -> PathBuf {
        self.directory.join(format!(".{}.{token}{}", self.label, ending.text()))
    }

    /// Parses a name in the directory; `None` if it is not a hidden name of this checkpoint.
    pub(crate) fn parse(&self, name: &str) -> Option<(Token, Ending)> {
        let rest = name.strip_prefix('.')?.strip_prefix(&*self.label)?.strip_prefix('.')?;
        let of = |ending: Ending| Some((Token::parse(rest.strip_suffix(ending.text())?)?, ending));
        Ending::ALL.into_iter().find_map(of)
    }
}

fn label(name: &OsStr) -> String {
    match name.to_str() {
        Some(name) if name.len() <= LONGEST_LABEL => name.to_owned(),
        _ => {
            let text = name.to_string_lossy();
            let ends = text.char_indices().map(|(at, char)| at + char.len_utf8());
            let cut = ends.take_while(|end| *end <= CUT_LABEL).last().unwrap_or_default();
            format!("{}~{:016x}", &text[..cut], checksum::of(name.as_encoded_bytes()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hidden_name_fits_wherever_the_name_does_and_is_read_back() {
        for name in [
            "a",
            "last.ckpt",
            &"x".repeat(255),
            &"ä".repeat(127),
            "a.0123456789abcdef",
        ] {
            let hidden = Hidden::beside(&Path::new("run").join(name));
            let token = Token::draw();
            for ending in Ending::ALL {
                let path = hidden.path(token, ending);
                let found = path.file_name().and_then(OsStr::to_str).unwrap();
                assert!(found.len() <= 143, "{found}");
                assert_eq!(hidden.parse(found), Some((token, ending)));
            }
        }
    }

    #[test]
    fn names_that_no_save_makes_are_not_taken_for_its_own() {
        let hidden = Hidden::beside(Path::new("run/model"));
        for name in [
            ".model.mine.partial",
            ".model.replaced",
            ".model.17-0.partial",
            ".model.0123456789ABCDEF.partial",
            ".model.0123456789abcdef.partial.bak",
            ".model2.0123456789abcdef.partial",
            "model.0123456789abcdef.partial",
            ".model.0123456789abcdef.0123456789abcdef.lock",
        ] {
            assert_eq!(hidden.parse(name), None, "{name}");
        }
        assert_eq!(Token::of_generation("g-0123456789ABCDEF"), None);
    }

    #[test]
    fn different_long_names_have_different_labels() {
        let names = [format!("{}a", "x".repeat(200)), format!("{}b", "x".repeat(200))];
        assert_ne!(label(names[0].as_ref()), label(names[1].as_ref()));
    }
}
