//! Parses `filter = "text"`, `filter("a", "b")`, `filter = glob("*.weight")` and `filter = path::to::function`.

use proc_macro2::{TokenStream, TokenTree};
use syn::parse::{ParseStream, Parser};
use syn::{Lit, LitStr, TypePath, parenthesized, token};

use super::pattern::{NEGATED, filter_of, glob_error, text_error};
use super::{Item, describe, split_at_commas};
use crate::errors::Errors;
use crate::spanned::Spanned;

/// A filter of a field. Texts and patterns are alternatives: a tensor belongs to the schema if one matches.
#[derive(Clone)]
pub(crate) enum Filter {
    Text(Vec<LitStr>),
    Glob(Vec<LitStr>),
    Function(TypePath),
}

/// One of a filter's comma-separated parts, by kind.
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

/// Combines all parts into one filter. They must be of one kind.
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
        // All parts were empty, and their errors have been reported.
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
    errors.at(part, no_filter(part));
    None
}

/// The error message for a part that is not a filter.
fn no_filter(part: &TokenStream) -> String {
    let found = part.to_string();
    if found.starts_with('|') || found.starts_with("move ") {
        return "a closure cannot stand in an attribute; give the path of a function".to_owned();
    }
    if let Ok(call) = syn::parse2::<CallOfPath>(part.clone()) {
        return no_call(&call);
    }
    let mut tokens = part.clone().into_iter();
    match (tokens.next(), tokens.next()) {
        (Some(TokenTree::Group(list)), None) => {
            let texts = texts_in(&list.stream());
            if !texts.is_empty() {
                return format!("several texts are written {}", filter_of(&texts));
            }
        }
        (Some(TokenTree::Punct(not)), Some(TokenTree::Literal(_))) if not.as_char() == '!' => {
            return format!("a filter says what belongs to the schema; {NEGATED}");
        }
        (Some(TokenTree::Literal(_)), Some(TokenTree::Punct(or))) if or.as_char() == '|' => {
            let texts = texts_in(part);
            return format!("several texts are written {}", filter_of(&texts));
        }
        _ => {}
    }
    expected(&format!("`{found}`"))
}

/// The error message for a call other than `glob(...)`.
fn no_call(call: &CallOfPath) -> String {
    if call.arguments.is_empty() {
        return "a filter function is named, not called; remove its parentheses".to_owned();
    }
    let name = call.path.segments.last().map(|segment| segment.ident.to_string());
    let name = name.unwrap_or_default();
    let known = "known are \"text\", glob(\"...\") and the path of a function";
    let message = format!("unknown filter form `{name}(...)`; {known}");
    let texts = texts_in(&call.arguments);
    match name.as_str() {
        "any" | "any_of" | "or" | "text" | "texts" | "contains" | "one_of" if !texts.is_empty() => {
            format!("{message}; write {}", filter_of(&texts))
        }
        "not" | "none" | "none_of" | "exclude" => format!("{message}; {NEGATED}"),
        _ => message,
    }
}

/// The string literals at the first level of a list.
fn texts_in(tokens: &TokenStream) -> Vec<String> {
    let texts = tokens.clone().into_iter().filter_map(|token| {
        let text = syn::parse2::<LitStr>(token.into()).ok()?;
        Some(text.value())
    });
    texts.collect()
}

fn expected(found: &str) -> String {
    format!("expected a text, glob(\"...\") or the path of a function as the filter, found {found}")
}

/// A call of a path: `some::function(...)`.
struct CallOfPath {
    path: syn::Path,
    arguments: TokenStream,
}

impl syn::parse::Parse for CallOfPath {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let path = syn::Path::parse_mod_style(input)?;
        let arguments;
        parenthesized!(arguments in input);
        Ok(Self {
            path,
            arguments: arguments.parse()?,
        })
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

/// A text, or `None` with an error if it cannot select a name.
fn checked_text(text: LitStr, errors: &Errors) -> Option<LitStr> {
    match text_error(&text.value()) {
        None => Some(text),
        Some(error) => {
            errors.at(&text, error);
            None
        }
    }
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
            errors.at(&text, problem);
            None
        }
    }
}
