//! Names and paths as messages print them: one line each, whatever characters they hold.

use std::borrow::Cow;
use std::path::Path;

/// A name or a text with its control characters escaped, so that a line break in it breaks no message.
pub(crate) fn shown(name: &str) -> Cow<'_, str> {
    if !name.chars().any(char::is_control) {
        return Cow::Borrowed(name);
    }
    let escaped = name.chars().flat_map(|c| {
        let (control, plain) = if c.is_control() {
            (Some(c.escape_default()), None)
        } else {
            (None, Some(c))
        };
        control.into_iter().flatten().chain(plain)
    });
    Cow::Owned(escaped.collect())
}

/// A path, as [`shown`] prints names.
pub(crate) fn shown_path(path: &Path) -> String {
    shown(&path.to_string_lossy()).into_owned()
}

/// `"1 entry"`, `"3 entries"`.
pub(crate) fn entries(count: usize) -> String {
    match count {
        1 => "1 entry".to_owned(),
        n => format!("{n} entries"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_escaped_and_other_characters_are_kept() {
        assert_eq!(shown("größe.\"0\""), "größe.\"0\"");
        assert_eq!(shown("a\nb\u{1b}[31m"), "a\\nb\\u{1b}[31m");
        assert_eq!(shown_path(Path::new("run\t/last")), "run\\t/last");
    }
}
