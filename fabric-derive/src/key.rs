//! The syntax of keys, and the conversion of field names to keys.

use std::fmt;

use proc_macro2::TokenStream;
use quote::ToTokens;
use syn::Path;

use crate::attr::container::ContainerAttrs;
use crate::spanned::Spanned;

/// The name of a field or of a variant in a file.
#[derive(Clone)]
pub(crate) enum Key {
    Text(String),
    /// A constant of the program, whose text the compiler alone knows.
    Constant(Path),
}

impl Key {
    /// The key of a field or a variant that is called `name` in the source.
    pub(crate) fn of(name: &str, rename: Option<&Spanned<Self>>, container: Option<&ContainerAttrs>) -> Self {
        let case = container.and_then(|container| container.rename_all.as_ref());
        match (rename, case) {
            (Some(rename), _) => rename.value.clone(),
            (None, Some(case)) => Self::Text(case.value.apply(name)),
            (None, None) => Self::Text(name.to_owned()),
        }
    }

    pub(crate) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Constant(_) => None,
        }
    }

    pub(crate) fn constant(&self) -> Option<&Path> {
        match self {
            Self::Text(_) => None,
            Self::Constant(path) => Some(path),
        }
    }
}

impl ToTokens for Key {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        match self {
            Self::Text(text) => text.to_tokens(tokens),
            Self::Constant(path) => path.to_tokens(tokens),
        }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Constant(path) => f.write_str(&path.to_token_stream().to_string().replace(' ', "")),
        }
    }
}

/// Names that file formats reserve.
const RESERVED: &[(&str, &str)] = &[
    ("__metadata__", "the safetensors format"),
    ("__fabric__", "the checkpoint format"),
];

/// The key of the entry that records the variant of an enum of components.
pub(crate) const RECORD: &str = "variant";

/// The longest entry name in bytes.
const MAX_LEN: usize = 4096;

/// The error message for an invalid alias of the field `field`. An alias is a name at the level of the field, or a path that
/// begins there.
pub(crate) fn alias_error(alias: &str, field: &str) -> Option<String> {
    if !alias.contains('.') {
        return key_error(alias);
    }
    if alias.split('.').any(str::is_empty) {
        return Some(format!(
            "alias {alias:?} of `{field}` has an empty segment; every part between dots needs a name"
        ));
    }
    if alias.len() > MAX_LEN {
        return Some(format!(
            "the alias is longer than {MAX_LEN} bytes; choose a shorter name"
        ));
    }
    if alias.chars().any(char::is_control) {
        return Some(format!("alias {alias:?} contains a control character; remove it"));
    }
    None
}

/// The error message for an invalid key.
pub(crate) fn key_error(key: &str) -> Option<String> {
    if key.is_empty() {
        return Some("a checkpoint key cannot be empty".to_owned());
    }
    if key.contains('.') {
        let fix = "to nest, put the field into a struct of its own";
        return Some(format!("key {key:?} contains `.`, which separates nested keys; {fix}"));
    }
    if let Some((_, by)) = RESERVED.iter().find(|(reserved, _)| *reserved == key) {
        return Some(format!("{key:?} is reserved by {by}; choose another name"));
    }
    if key.len() > MAX_LEN {
        return Some(format!("the key is longer than {MAX_LEN} bytes; choose a shorter name"));
    }
    if key.chars().any(char::is_control) {
        return Some(format!("key {key:?} contains a control character; remove it"));
    }
    None
}

/// A case convention for names of several words.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Case {
    Lower,
    Upper,
    Pascal,
    Camel,
    Snake,
    ScreamingSnake,
    Kebab,
    ScreamingKebab,
}

const CASES: &[(&str, Case)] = &[
    ("snake_case", Case::Snake),
    ("camelCase", Case::Camel),
    ("kebab-case", Case::Kebab),
    ("PascalCase", Case::Pascal),
    ("SCREAMING_SNAKE_CASE", Case::ScreamingSnake),
    ("SCREAMING-KEBAB-CASE", Case::ScreamingKebab),
    ("lowercase", Case::Lower),
    ("UPPERCASE", Case::Upper),
];

impl Case {
    pub(crate) fn named(name: &str) -> Option<Self> {
        CASES.iter().find(|(text, _)| *text == name).map(|(_, case)| *case)
    }

    pub(crate) fn names() -> impl Iterator<Item = &'static str> {
        CASES.iter().map(|(text, _)| *text)
    }

    pub(crate) fn name(self) -> &'static str {
        CASES
            .iter()
            .find(|(_, case)| *case == self)
            .map_or("", |(text, _)| text)
    }

    /// The name of a field in this case. Words begin at underscores and at capitals, so `fooBar` and `foo_bar` have the
    /// same two words. `lowercase` and `UPPERCASE` only change letters.
    pub(crate) fn apply(self, field: &str) -> String {
        let words = words(field);
        if words.is_empty() {
            return field.to_owned();
        }
        let lower: Vec<String> = words.iter().map(|word| word.to_lowercase()).collect();
        match self {
            Self::Lower => field.to_lowercase(),
            Self::Upper => field.to_uppercase(),
            Self::Snake => lower.join("_"),
            Self::Kebab => lower.join("-"),
            Self::ScreamingSnake => lower.join("_").to_uppercase(),
            Self::ScreamingKebab => lower.join("-").to_uppercase(),
            Self::Pascal => lower.iter().map(|word| capitalised(word)).collect(),
            Self::Camel => {
                let rest: String = lower[1..].iter().map(|word| capitalised(word)).collect();
                format!("{}{rest}", lower[0])
            }
        }
    }
}

fn capitalised(word: &str) -> String {
    let mut chars = word.chars();
    let first = chars.next().map(char::to_uppercase);
    first.into_iter().flatten().chain(chars).collect()
}

/// The words of a name: `HTTPServer_port2` consists of `HTTP`, `Server` and `port2`.
fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let chars: Vec<char> = name.chars().collect();
    for (at, &c) in chars.iter().enumerate() {
        let previous = at.checked_sub(1).map(|before| chars[before]);
        let next = chars.get(at + 1);
        let after_small = previous.is_some_and(|p| p.is_lowercase() || p.is_numeric());
        let ends_acronym = previous.is_some_and(char::is_uppercase) && next.is_some_and(|n| n.is_lowercase());
        if c == '_' || (c.is_uppercase() && (after_small || ends_acronym)) {
            words.push(String::new());
        }
        if c != '_'
            && let Some(word) = words.last_mut()
        {
            word.push(c);
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_case_writes_its_own_name() {
        for (case, written) in [
            (Case::Snake, "learning_rate2"),
            (Case::Camel, "learningRate2"),
            (Case::Kebab, "learning-rate2"),
            (Case::Pascal, "LearningRate2"),
            (Case::ScreamingSnake, "LEARNING_RATE2"),
            (Case::ScreamingKebab, "LEARNING-RATE2"),
            (Case::Lower, "learning_rate2"),
            (Case::Upper, "LEARNING_RATE2"),
        ] {
            assert_eq!(case.apply("learning_rate2"), written, "{case:?}");
        }
    }

    #[test]
    fn words_are_found_at_underscores_and_capitals() {
        assert_eq!(words("HTTPServer_port2"), ["HTTP", "Server", "port2"]);
        assert_eq!(words("fooBar"), words("foo_Bar"));
        assert_eq!(words("_x__y_"), ["x", "y"]);
        assert_eq!(words("fc1Weight"), ["fc1", "Weight"]);
        assert_eq!(Case::Camel.apply("__"), "__");
    }

    #[test]
    fn an_alias_is_a_name_or_a_path_without_empty_segments() {
        for bad in ["", "a..b", ".a", "a.", "a.\n", "__metadata__"] {
            assert!(alias_error(bad, "field").is_some(), "{bad:?}");
        }
        for good in ["old", "old.model", "a.b.0"] {
            assert_eq!(alias_error(good, "field"), None);
        }
    }

    #[test]
    fn keys_that_cannot_be_stored_are_named() {
        for bad in ["", "a.b", "__metadata__", "__fabric__", "tab\there"] {
            assert!(key_error(bad).is_some(), "{bad:?}");
        }
        for good in ["weight", "type", "0", "learning-rate", "größe"] {
            assert_eq!(key_error(good), None);
        }
    }
}
