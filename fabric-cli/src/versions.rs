//! The versions of structs beside the lines of a tree.

use std::collections::HashMap;

use fabric_core::StructDescription;

use crate::text::plain;

/// The versions of the structs below the state itself, by path. A struct of version 1 has no text.
#[derive(Debug, Default)]
pub(crate) struct Versions<'d>(HashMap<&'d str, String>);

impl<'d> Versions<'d> {
    pub(crate) fn of(structs: &'d [StructDescription]) -> Self {
        let mut texts: HashMap<&str, String> = HashMap::new();
        for found in structs.iter().filter(|found| !found.path.is_empty()) {
            if let Some(text) = text(found) {
                add(texts.entry(&found.path).or_default(), &text);
            }
        }
        Self(texts)
    }

    #[cfg(test)]
    pub(crate) fn known(texts: &[(&'d str, &str)]) -> Self {
        Self(texts.iter().map(|(path, text)| (*path, (*text).to_owned())).collect())
    }

    /// The text of the structs at the path that these segments make.
    pub(crate) fn at(&self, segments: &[&str]) -> &str {
        if self.0.is_empty() {
            return "";
        }
        self.0.get(segments.join(".").as_str()).map_or("", String::as_str)
    }
}

/// `Attention version 3`; `None` for the version 1.
pub(crate) fn text(found: &StructDescription) -> Option<String> {
    (found.version != 1).then(|| format!("{} version {}", plain(&found.name), found.version))
}

/// Adds a text to a list of texts.
pub(crate) fn add(list: &mut String, text: &str) {
    if !list.is_empty() && !text.is_empty() {
        list.push_str(", ");
    }
    list.push_str(text);
}
