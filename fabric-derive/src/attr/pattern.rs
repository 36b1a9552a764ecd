//! Checks the texts and globs of a filter, and suggests a correct one.

/// The advice for a negated filter.
pub(super) const NEGATED: &str = "to leave something out, write a function: fn keep(name: &str, _: &TensorInfo) -> bool, and \
                       filter = keep";

/// The filter that keeps names with at least one of the texts, as source code.
pub(super) fn filter_of(texts: &[String]) -> String {
    let list: Vec<String> = texts.iter().map(|text| format!("{text:?}")).collect();
    match list.as_slice() {
        [one] => format!("filter = {one}"),
        _ => format!("filter({})", list.join(", ")),
    }
}

/// The error message for an invalid filter text. A text that looks like a pattern is an error; `glob("*[?]*")` finds
/// names that contain such a character.
pub(super) fn text_error(text: &str) -> Option<String> {
    let literal = "a filter text is searched for as it is";
    if text.is_empty() {
        return Some("an empty filter matches every name; remove it".to_owned());
    }
    if text.contains("::") && syn::parse_str::<syn::Path>(text).is_ok() {
        return Some(format!(
            "{literal}, and no name contains `::`; a function is named without quotes: filter = {text}"
        ));
    }
    if let Some(rest) = text.strip_prefix('!') {
        return Some(format!("{literal}, and {rest:?} is not left out by it; {NEGATED}"));
    }
    if let Some(alternatives) = without_braces(text) {
        let globs: Vec<String> = alternatives.iter().map(|part| format!("*{part}*")).collect();
        return Some(format!("{literal}; write {}", glob_of(&globs)));
    }
    for separator in ['|', ','] {
        if text.contains(separator) {
            let parts: Vec<String> = text.split(separator).map(|part| part.trim().to_owned()).collect();
            if parts.iter().all(|part| !part.is_empty()) {
                return Some(format!("{literal}; several are written {}", filter_of(&parts)));
            }
        }
    }
    let pattern = ['*', '?', '[', ']', '^', '$', '\\'];
    if text.contains(pattern) {
        return Some(format!(
            "{literal}; for a pattern write {}",
            glob_of(&[anywhere(as_glob(text))])
        ));
    }
    None
}

/// A regular expression as a glob.
fn as_glob(text: &str) -> String {
    let plain = text.replace(".*", "*").replace("\\d", "[0-9]").replace('\\', "");
    plain.trim_start_matches('^').trim_end_matches('$').to_owned()
}

/// A glob that matches anywhere in a name, for a pattern written as a text: a glob must match the whole name, including
/// names below a component.
fn anywhere(glob: String) -> String {
    if glob.contains('.') || glob.ends_with('*') {
        glob
    } else {
        glob + "*"
    }
}

fn glob_of(patterns: &[String]) -> String {
    let list: Vec<String> = patterns.iter().map(|pattern| format!("{pattern:?}")).collect();
    format!("glob({})", list.join(", "))
}

/// The alternatives of the first `{a,b}` or `(a|b)` outside of square brackets.
fn without_braces(pattern: &str) -> Option<Vec<String>> {
    let (start, end, separator) = group(pattern, ['{', '}', ',']).or_else(|| group(pattern, ['(', ')', '|']))?;
    let (before, inside, after) = (&pattern[..start], &pattern[start + 1..end], &pattern[end + 1..]);
    let alternatives = inside
        .split(separator)
        .map(|part| format!("{before}{}{after}", part.trim()));
    Some(alternatives.collect())
}

/// The start and the end of a group of alternatives, and its separator.
fn group(pattern: &str, [open, close, separator]: [char; 3]) -> Option<(usize, usize, char)> {
    let start = outside_of_brackets(pattern, open)?;
    let end = start + pattern[start..].find(close)?;
    let alternatives = pattern[start..end].contains(separator) || open == '{';
    alternatives.then_some((start, end, separator))
}

/// The position of a character outside of classes such as `[{]`.
fn outside_of_brackets(pattern: &str, wanted: char) -> Option<usize> {
    let mut bracketed = false;
    for (at, c) in pattern.char_indices() {
        match c {
            '[' => bracketed = true,
            ']' => bracketed = false,
            _ if c == wanted && !bracketed => return Some(at),
            _ => {}
        }
    }
    None
}

/// The error message for an invalid glob. A run of `*` counts as one, as in the matching of names.
pub(super) fn glob_error(pattern: &str) -> Option<String> {
    if let Some(alternatives) = without_braces(pattern) {
        let what = if pattern.contains('{') {
            "braces"
        } else {
            "alternatives"
        };
        return Some(format!("a glob has no {what}; write {}", glob_of(&alternatives)));
    }
    if pattern.starts_with('!') {
        return Some(format!("a glob cannot be negated; {NEGATED}"));
    }
    if outside_of_brackets(pattern, '|').is_some() {
        let parts: Vec<String> = pattern.split('|').map(|part| part.trim().to_owned()).collect();
        return Some(format!("a glob has no alternatives; write {}", glob_of(&parts)));
    }
    let expression = ['\\', '^', '$'];
    if expression
        .into_iter()
        .any(|c| outside_of_brackets(pattern, c).is_some())
    {
        let glob = glob_of(&[as_glob(pattern)]);
        return Some(format!("a glob is no regular expression; write {glob}"));
    }
    syntax_error(pattern)
}

fn syntax_error(pattern: &str) -> Option<String> {
    let mut single = String::with_capacity(pattern.len());
    let mut offsets = Vec::with_capacity(pattern.len());
    for (offset, c) in pattern.chars().enumerate() {
        if !(c == '*' && single.ends_with('*')) {
            single.push(c);
            offsets.push(offset);
        }
    }
    let error = glob::Pattern::new(&single).err()?;
    let offset = offsets.get(error.pos).copied().unwrap_or(error.pos);
    let problem = match error.msg {
        "invalid range pattern" => "unclosed `[`",
        other => other,
    };
    Some(format!("invalid glob {pattern:?}: {problem} at offset {offset}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_pattern_is_named_with_its_place() {
        let error = |pattern: &str| glob_error(pattern).unwrap_or_default();
        assert_eq!(error("layer["), "invalid glob \"layer[\": unclosed `[` at offset 5");
        assert_eq!(
            error("**.layer["),
            "invalid glob \"**.layer[\": unclosed `[` at offset 8"
        );
    }

    #[test]
    fn stars_in_a_row_and_classes_are_fine() {
        for pattern in ["a.**.weight", "block[0-9].*", "*[|{^$!]*", "[!a]*", "f(x).*"] {
            assert_eq!(glob_error(pattern), None, "{pattern}");
        }
    }

    #[test]
    fn alternatives_are_written_out() {
        for (pattern, wanted) in [
            ("{a,b}.*", r#"glob("a.*", "b.*")"#),
            ("fc{1, 2}.weight", r#"glob("fc1.weight", "fc2.weight")"#),
            ("(a|b).*", r#"glob("a.*", "b.*")"#),
            ("a.*|b.*", r#"glob("a.*", "b.*")"#),
            (r"^fc\d+.*$", r#"glob("fc[0-9]+*")"#),
        ] {
            let error = glob_error(pattern).unwrap_or_default();
            assert!(error.ends_with(wanted), "{error}");
        }
    }

    #[test]
    fn a_text_that_looks_like_something_else_is_told_how_that_is_written() {
        for (text, wanted) in [
            ("fc?.weight", r#"glob("fc?.weight")"#),
            ("fc[01]", r#"glob("fc[01]*")"#),
            ("fc.*weight$", r#"glob("fc*weight*")"#),
            ("{weight,bias}", r#"glob("*weight*", "*bias*")"#),
            ("weight|bias", r#"filter("weight", "bias")"#),
            ("weight, bias", r#"filter("weight", "bias")"#),
            ("crate::keep", "filter = crate::keep"),
            ("!bias", "filter = keep"),
        ] {
            let error = text_error(text).unwrap_or_default();
            assert!(error.ends_with(wanted), "{error}");
        }
    }

    #[test]
    fn parts_of_names_are_texts() {
        for text in ["weight", "fc1.", "layer norm", "x-1", "größe", "a:b", ","] {
            assert_eq!(text_error(text), None, "{text}");
        }
    }
}
