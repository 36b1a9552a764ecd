//! The reason why a value is not of a type.

/// The reason why a value is not of the requested type; the caller adds the entry's name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub struct ValueError {
    pub(super) what: String,
    /// True if memory was missing, and the value may be valid.
    pub(super) is_memory: bool,
}

impl ValueError {
    /// An error with the text `what`.
    pub fn new(what: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            is_memory: false,
        }
    }

    /// The error about a value that this library does not read.
    pub(super) fn unreadable(what: &str) -> Self {
        Self::new(format!(
            "is `{what}`, which this library does not read; leave the entry out with LoadOptions::exclude"
        ))
    }

    /// The error with the text that `say` makes of the present text.
    pub(crate) fn said(self, say: impl FnOnce(&str) -> String) -> Self {
        Self {
            what: say(&self.what),
            ..self
        }
    }
}

/// The error with the path inside the value.
pub(super) fn located(error: serde_path_to_error::Error<ValueError>) -> ValueError {
    let place = error.path().to_string();
    let what = error.into_inner();
    if place == "." {
        what
    } else {
        what.said(|what| format!("{place}: {what}"))
    }
}
