//! `--json`: one document of JSON on standard output.

use std::fmt::Write;

use serde::Serialize;

use crate::failure::Failure;
use crate::screen::Screen;
use crate::text::is_printable;

/// Writes a document with indentation. Characters that a terminal would obey are escaped.
///
/// # Errors
/// If the output cannot be written.
pub(crate) fn print(screen: &mut Screen, document: &impl Serialize) -> Result<(), Failure> {
    screen.line(text(document)?)
}

/// The text of a document, as [`print()`] writes it.
///
/// # Errors
/// If a part of the document has no form in JSON.
pub(crate) fn text(document: &impl Serialize) -> Result<String, Failure> {
    let text = serde_json::to_string_pretty(document).map_err(|error| Failure::new(format!("no JSON: {error}")))?;
    Ok(harmless(&text))
}

/// The text with the characters escaped that stand only inside of its strings, and are not printable.
fn harmless(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        if is_printable(c) || c == '\n' {
            escaped.push(c);
            continue;
        }
        for unit in c.encode_utf16(&mut [0; 2]) {
            let _ = write!(escaped, "\\u{unit:04x}");
        }
    }
    escaped
}

/// A number, and a text where JSON has no number: `"NaN"`, `"Infinity"`, `"-Infinity"`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Number(pub(crate) f64);

impl Serialize for Number {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            number if number.is_nan() => serializer.serialize_str("NaN"),
            f64::INFINITY => serializer.serialize_str("Infinity"),
            f64::NEG_INFINITY => serializer.serialize_str("-Infinity"),
            number => serializer.serialize_f64(number),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_has_no_character_that_a_terminal_obeys_and_is_read_back() {
        let names = ["a\u{9b}31m", "b\u{202e}", "c\n", "\u{1f600}"];
        let text = harmless(&serde_json::to_string_pretty(&names).unwrap());
        assert!(text.chars().all(|c| is_printable(c) || c == '\n'), "{text}");
        assert_eq!(serde_json::from_str::<Vec<String>>(&text).unwrap(), names);
    }

    #[test]
    fn numbers_that_json_lacks_are_texts() {
        let numbers = [1.5, f64::NAN, f64::NEG_INFINITY].map(Number);
        assert_eq!(serde_json::to_string(&numbers).unwrap(), r#"[1.5,"NaN","-Infinity"]"#);
    }
}
