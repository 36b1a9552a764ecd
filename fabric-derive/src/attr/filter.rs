//! `filter = "text"`, `filter("a", "b")`, `filter = glob("*.weight")`, `filter = path::to::function`.

use proc_macro2::TokenStream;
use syn::parse::{ParseStream, Parser};
use syn::{Lit, LitStr, TypePath, parenthesized, token};

use super::{Item, describe, split_at_commas};
use crate::errors::Errors;
use crate::spanned::Spanned;

/// Which entries belong to the schema; texts and patterns are alternatives.
#[derive(Clone)]
pub(crate) enum Filter {
    Text(Vec<LitStr>),
    Glob(Vec<LitStr>),
    Function(TypePath),
}

/// A part of a filter that stands between commas, with the kind it is.
enum Part {
    Text(LitStr),
    Glob(Vec<LitStr>),
    Function(TypePath),
}

pub(crate) fn parse(item: &Item, errors: &Errors) -> Option<Spanned<Filter>> {
    let parts = split_at_commas(item.value(), errors);
    let read: Vec<Option<Part>> = parts.iter().map(|part| parse_part(part, errors)).collect();
    let read: Vec<Part> = read.into_iter().collect::<Option<_>>()?;
    combine(item, read, errors).map(|filter| item.spanned(filter))
}

/// One filter of all parts, which must be of one kind.
fn combine(item: &Item, parts: Vec<Part>, errors: &Errors) -> Option<Filter> {
    let mut texts = Vec::new();
    let mut globs = Vec::new();
    let mut functions = Vec::new();
    for part in parts {
        match part {
            Part::Text(text) => texts.push(text),
            Part::Glob(patterns) => globs.extend(patterns),
            Part::Function(path) => functions.push(path),
        }
    }
    match (texts.is_empty(), globs.is_empty(), functions.as_slice()) {
        (false, true, []) => Some(Filter::Text(texts)),
        (true, false, []) => Some(Filter::Glob(globs)),
        (true, true, [function]) => Some(Filter::Function(function.clone())),
        (true, true, [_, second, ..]) => {
            errors.at(
                second,
                "a filter is one function; combine them in a function of your own",
            );
            None
        }
        // Nothing at all: every part was empty, and that has been said.
        (true, true, []) => None,
        _ => {
            let kinds = "a filter is made of texts, of globs, or is one function";
            errors.at(&item.at(), format_args!("{kinds}; to mix them, write a function"));
            None
        }
    }
}

fn parse_part(part: &TokenStream, errors: &Errors) -> Option<Part> {
    if let Ok(literal) = syn::parse2::<Lit>(part.clone()) {
        return match literal {
            Lit::Str(text) => checked_text(text, errors).map(Part::Text),
            other => {
                errors.at(&other, expected(describe(&other)));
                None
            }
        };
    }
    if is_glob_call(part) {
        return parse_globs(part, errors).map(Part::Glob);
    }
    if let Ok(path) = syn::parse2::<TypePath>(part.clone()) {
        return Some(Part::Function(path));
    }
    let found = part.to_string();
    if found.starts_with('|') || found.starts_with("move ") {
        errors.at(
            part,
            "a closure cannot stand in an attribute; give the path of a function",
        );
    } else if syn::parse2::<CallOfPath>(part.clone()).is_ok() {
        errors.at(part, "a filter function is named, not called; remove its parentheses");
    } else {
        errors.at(part, expected(&format!("`{found}`")));
    }
    None
}

fn expected(found: &str) -> String {
    format!("expected a text, glob(\"...\") or the path of a function as the filter, found {found}")
}

/// `some::function(...)`.
struct CallOfPath;

impl syn::parse::Parse for CallOfPath {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        syn::Path::parse_mod_style(input)?;
        let arguments;
        parenthesized!(arguments in input);
        arguments.parse::<TokenStream>()?;
        Ok(Self)
    }
}

fn is_glob_call(part: &TokenStream) -> bool {
    let starts = |input: ParseStream<'_>| {
        let is = input.parse::<syn::Ident>()? == "glob" && input.peek(token::Paren);
        input.parse::<TokenStream>()?;
        Ok(is)
    };
    starts.parse2(part.clone()).unwrap_or(false)
}

fn parse_globs(part: &TokenStream, errors: &Errors) -> Option<Vec<LitStr>> {
    let call = |input: ParseStream<'_>| {
        input.parse::<syn::Ident>()?;
        let arguments;
        parenthesized!(arguments in input);
        arguments.parse::<TokenStream>()
    };
    let Ok(arguments) = call.parse2(part.clone()) else {
        errors.at(part, "expected glob(\"pattern\"), and nothing after it");
        return None;
    };
    let patterns = split_at_commas(arguments, errors);
    if patterns.is_empty() {
        errors.at(part, "glob() has no pattern; write glob(\"*.weight\")");
        return None;
    }
    let checked: Vec<Option<LitStr>> = patterns.iter().map(|p| checked_glob(p, errors)).collect();
    checked.into_iter().collect()
}

/// A text that can select something. A `*` in it is taken for a forgotten `glob(...)`: names with a star are found
/// with `glob("[*]")`.
fn checked_text(text: LitStr, errors: &Errors) -> Option<LitStr> {
    let value = text.value();
    if value.is_empty() {
        errors.at(&text, "an empty filter matches every name; remove it");
        return None;
    }
    if value.contains('*') {
        let glob = format!("glob({value:?})");
        let message = format!("a filter text is searched for as it is, and no name contains `*`; write {glob}");
        errors.at(&text, message);
        return None;
    }
    Some(text)
}

fn checked_glob(pattern: &TokenStream, errors: &Errors) -> Option<LitStr> {
    let Ok(text) = syn::parse2::<LitStr>(pattern.clone()) else {
        errors.at(
            pattern,
            format_args!("expected a string literal in glob(...), found `{pattern}`"),
        );
        return None;
    };
    let value = text.value();
    if value.is_empty() {
        errors.at(
            &text,
            "an empty glob matches no name; write a pattern such as \"*.weight\"",
        );
        return None;
    }
    match glob_error(&value) {
        None => Some(text),
        Some(problem) => {
            errors.at(&text, format_args!("invalid glob {value:?}: {problem}"));
            None
        }
    }
}

/// What is wrong with a pattern. Runs of `*` count as one, as they do when names are matched.
fn glob_error(pattern: &str) -> Option<String> {
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
    Some(format!("{problem} at offset {offset}"))
}

#[cfg(test)]
mod tests {
    use super::glob_error;

    #[test]
    fn a_bad_pattern_is_named_with_its_place() {
        assert_eq!(glob_error("layer[").as_deref(), Some("unclosed `[` at offset 5"));
        assert_eq!(glob_error("**.layer[").as_deref(), Some("unclosed `[` at offset 8"));
    }

    #[test]
    fn stars_in_a_row_are_fine() {
        assert_eq!(glob_error("a.**.weight"), None);
        assert_eq!(glob_error("block[0-9].*"), None);
    }
}
