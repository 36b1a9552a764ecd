//! Absolute paths, which stay valid when the process changes its current directory.

use std::io;
use std::path::{MAIN_SEPARATOR, Path, PathBuf};

use crate::error::{Error, Result};
use crate::report::LoadReport;
use crate::storage::Storage;

/// A path as the caller gave it, with its absolute form from the storage.
#[derive(Debug)]
pub(crate) struct Absolute {
    given: PathBuf,
    path: io::Result<PathBuf>,
}

impl Absolute {
    pub(crate) fn of(storage: &dyn Storage, given: &Path) -> Self {
        Self {
            given: given.to_path_buf(),
            path: storage.absolute(given),
        }
    }

    /// The path for messages, and for comparison between ranks, whose current directories may differ.
    pub(crate) fn given(&self) -> &Path {
        &self.given
    }

    /// The absolute path, for all operations.
    ///
    /// # Errors
    /// If the storage could not tell it, for example because the current directory was removed.
    pub(crate) fn path(&self) -> Result<&Path> {
        self.path.as_deref().map_err(|error| {
            let again = io::Error::new(error.kind(), error.to_string());
            Error::io("find the current directory for", &self.given)(again)
        })
    }

    /// The error, with paths in the form that the caller gave.
    pub(crate) fn named(&self, mut error: Error) -> Error {
        let Some(base) = self.base() else { return error };
        let mut inner = Some(&mut error);
        while let Some(error) = inner {
            if let Some(path) = error.path_mut()
                && let Ok(below) = path.strip_prefix(base)
            {
                *path = below.to_path_buf();
            }
            match error {
                Error::Mismatch(report) => self.named_report(report),
                Error::WrongBase { delta, .. } => {
                    if let Ok(below) = delta.strip_prefix(base) {
                        *delta = below.to_path_buf();
                    }
                }
                Error::NoSuchEntry { origin: text, .. } | Error::NotFound { hint: text, .. } => {
                    let above = format!("{}{MAIN_SEPARATOR}", base.display());
                    *text = text.replace(&above, "");
                }
                _ => {}
            }
            inner = match error {
                Error::Interrupted { source, .. } => Some(source),
                _ => None,
            };
        }
        error
    }

    /// Gives the origin of a report the form that the caller gave.
    pub(crate) fn named_report(&self, report: &mut LoadReport) {
        let below = |base: &Path| {
            let below = report.origin.strip_prefix(&base.display().to_string())?;
            Some(below.strip_prefix(MAIN_SEPARATOR)?.to_owned())
        };
        if let Some(below) = self.base().and_then(below) {
            report.origin = below;
        }
    }

    /// The directory that the caller's path is relative to; `None` for an absolute path.
    fn base(&self) -> Option<&Path> {
        let path = self.path.as_deref().ok()?;
        if self.given.is_absolute() || !path.is_absolute() || !path.ends_with(&self.given) {
            return None;
        }
        path.ancestors().nth(self.given.components().count())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::Local;
    use crate::testing::Memory;

    #[test]
    fn errors_name_paths_as_the_caller_gives_them() {
        let current = std::env::current_dir().expect("a directory");
        let damaged = |path: PathBuf| Error::corrupt(&path, "a flipped bit");
        let path_of = |mut error: Error| error.path_mut().cloned();
        let relative = Absolute::of(&Local::new(), Path::new("run/last.ckpt"));
        assert_eq!(relative.path().expect("it can be told"), current.join("run/last.ckpt"));
        for below in ["run/last.ckpt", "run/.last.ckpt.partial", "run"] {
            let named = relative.named(damaged(current.join(below)));
            assert_eq!(path_of(named), Some(PathBuf::from(below)));
        }
        let interrupted = Error::Interrupted {
            written: Vec::new(),
            source: Box::new(damaged(current.join("run/last.ckpt"))),
        };
        let text = relative.named(interrupted).to_string();
        assert!(text.starts_with("run/last.ckpt is damaged"), "{text}");
        let report = |origin: PathBuf| LoadReport {
            origin: origin.display().to_string(),
            ..LoadReport::default()
        };
        let refused = Error::Mismatch(Box::new(report(current.join("run/last.ckpt"))));
        let named = relative.named(refused);
        assert_eq!(named.report().map(|report| &*report.origin), Some("run/last.ckpt"));
        let elsewhere = relative.named(damaged(PathBuf::from("/elsewhere")));
        assert_eq!(path_of(elsewhere), Some(PathBuf::from("/elsewhere")));
        let absolute = Absolute::of(&Local::new(), &current);
        let named = absolute.named(damaged(current.join("file")));
        assert_eq!(path_of(named), Some(current.join("file")));
    }

    #[test]
    fn a_storage_that_is_not_this_machine_gets_paths_as_they_are() {
        let path = Absolute::of(&Memory::new(), Path::new("run/last.ckpt"));
        assert_eq!(path.path().expect("it is"), Path::new("run/last.ckpt"));
    }
}
