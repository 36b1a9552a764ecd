//! Names with `*`.

use std::fmt;

/// The texts that the stars of a pattern stood for.
pub(crate) type Captures = Vec<String>;

/// A name, relative to a struct. Each `*` stands for one or more characters of one segment.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Pattern(String);

impl Pattern {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// The number of stars.
    pub(crate) fn stars(&self) -> usize {
        self.0.matches('*').count()
    }

    /// The text before the first star: every name that matches begins with it.
    pub(crate) fn literal(&self) -> &str {
        self.0.split('*').next().unwrap_or_default()
    }

    /// The texts of the stars, if the pattern is the whole name.
    pub(crate) fn whole(&self, name: &str) -> Option<Captures> {
        let (captures, rest) = self.start(name)?;
        rest.is_empty().then_some(captures)
    }

    /// The texts of the stars and the rest of the name, if the pattern is the name or a level above it. The rest begins with a dot.
    pub(crate) fn start<'n>(&self, name: &'n str) -> Option<(Captures, &'n str)> {
        let mut captures = Vec::with_capacity(self.stars());
        let mut rest = name;
        let mut pieces = self.0.split('.').peekable();
        while let Some(piece) = pieces.next() {
            let end = rest.find('.').unwrap_or(rest.len());
            segment(piece, &rest[..end], &mut captures)?;
            rest = &rest[end..];
            if pieces.peek().is_some() {
                rest = rest.strip_prefix('.')?;
            }
        }
        Some((captures, rest))
    }

    /// The name with these texts in the place of the stars. Stars beyond the texts stay.
    pub(crate) fn with(&self, captures: &[String]) -> String {
        let mut captures = captures.iter();
        let mut name = String::with_capacity(self.0.len() + 8);
        for (at, piece) in self.0.split('*').enumerate() {
            if at > 0 {
                name.push_str(captures.next().map_or("*", String::as_str));
            }
            name.push_str(piece);
        }
        name
    }
}

/// Adds the texts of the stars of one segment. The first stars of a segment stand for as few characters as they can.
fn segment(pattern: &str, text: &str, captures: &mut Captures) -> Option<()> {
    let Some((before, after)) = pattern.split_once('*') else {
        return (pattern == text).then_some(());
    };
    let rest = text.strip_prefix(before)?;
    let held = captures.len();
    let ends = rest.char_indices().skip(1).map(|(at, _)| at).chain([rest.len()]);
    for end in ends.filter(|&end| end > 0) {
        captures.truncate(held);
        captures.push(rest[..end].to_owned());
        if segment(after, &rest[end..], captures).is_some() {
            return Some(());
        }
    }
    captures.truncate(held);
    None
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start(pattern: &str, name: &str) -> Option<(Vec<String>, String)> {
        let pattern = Pattern::new(pattern);
        pattern.start(name).map(|(captures, rest)| (captures, rest.to_owned()))
    }

    fn found(captures: &[&str], rest: &str) -> (Vec<String>, String) {
        let captures = captures.iter().map(|text| (*text).to_owned());
        (captures.collect(), rest.to_owned())
    }

    #[test]
    fn a_star_stands_for_a_part_of_one_segment() {
        assert_eq!(
            start("layers.*.ln.*", "layers.12.ln.weight"),
            Some(found(&["12", "weight"], ""))
        );
        assert_eq!(
            start("layers.*.ln.*", "layers.12.ln.a.b"),
            Some(found(&["12", "a"], ".b"))
        );
        assert_eq!(start("layer_*", "layer_3.weight"), Some(found(&["3"], ".weight")));
        assert_eq!(start("a*b*c", "axbybc"), Some(found(&["x", "yb"], "")));
        assert_eq!(start("h", "h.0"), Some(found(&[], ".0")));
        assert_eq!(start("h", "he.0"), None);
        assert_eq!(start("h*", "h.0"), None);
        assert_eq!(start("h.*", "h"), None);
        assert_eq!(start("é*", "éü.x"), Some(found(&["ü"], ".x")));
    }

    #[test]
    fn a_new_name_takes_the_texts_in_their_order() {
        let texts = ["3".to_owned(), "weight".to_owned()];
        assert_eq!(Pattern::new("blocks.*.norm.*").with(&texts), "blocks.3.norm.weight");
        assert_eq!(
            Pattern::new("blocks.*.experts.*").with(&texts[..1]),
            "blocks.3.experts.*"
        );
        assert_eq!(Pattern::new("head").with(&texts), "head");
    }
}
