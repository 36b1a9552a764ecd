//! Parses `#[checkpoint(...)]` as a list of items, each a key with its value. Items are parsed separately, so that a
//! mistake in one hides none in the next.

pub(crate) mod container;
pub(crate) mod default;
pub(crate) mod field;
pub(crate) mod filter;
mod pattern;
pub(crate) mod shard;
pub(crate) mod variant;

use proc_macro2::{Delimiter, Group, Ident, TokenStream, TokenTree};
use quote::ToTokens;
use syn::{Attribute, DeriveInput, Lit, LitStr, Meta, Path};

use crate::errors::Errors;
use crate::key::Key;
use crate::spanned::Spanned;
use crate::vocab::{self, Form, Name, Place, Repeat, Word};

/// One item of an attribute: a key and its value.
pub(crate) struct Item {
    pub(crate) key: Ident,
    given: Given,
}

/// The tokens that follow a key.
enum Given {
    Nothing,
    Assigned { equals: TokenTree, value: TokenStream },
    List(Group),
}

impl Item {
    /// The tokens after `=`, or the tokens in the parentheses.
    pub(crate) fn value(&self) -> TokenStream {
        match &self.given {
            Given::Nothing => TokenStream::new(),
            Given::Assigned { value, .. } => value.clone(),
            Given::List(group) => group.stream(),
        }
    }

    /// The tokens to underline for a wrong value.
    pub(crate) fn at(&self) -> TokenStream {
        match &self.given {
            Given::Nothing => self.key.to_token_stream(),
            Given::Assigned { value, .. } if !value.is_empty() => value.clone(),
            Given::Assigned { equals, .. } => equals.to_token_stream(),
            Given::List(group) => group.to_token_stream(),
        }
    }

    pub(crate) fn spanned<T>(&self, value: T) -> Spanned<T> {
        Spanned {
            value,
            key: self.key.clone(),
            at: self.at(),
        }
    }

    /// The value as a string literal; `None`, with an error, for any other value.
    pub(crate) fn text(&self, errors: &Errors) -> Option<Spanned<LitStr>> {
        self.text_or("a string literal", errors)
    }

    fn text_or(&self, expected: &str, errors: &Errors) -> Option<Spanned<LitStr>> {
        match self.literal(expected, errors)? {
            Lit::Str(text) => Some(self.spanned(text)),
            other => {
                let (key, found) = (&self.key, describe(&other));
                errors.at(&other, format_args!("expected {expected} for `{key}`, found {found}"));
                None
            }
        }
    }

    /// The value as a name in a file: a string literal, or the path of a constant. `owner` is the declaration that `Self`
    /// means.
    pub(crate) fn key(&self, owner: &DeriveInput, errors: &Errors) -> Option<Spanned<Key>> {
        if let Ok(path) = syn::parse2::<Path>(self.value())
            && is_constant(&path)
        {
            let path = without_self(path, owner, errors)?;
            return Some(self.spanned(Key::Constant(path)));
        }
        let Spanned { value, key, at } = self.text_or("a string literal or a constant", errors)?;
        let value = Key::Text(value.value());
        Some(Spanned { value, key, at })
    }

    fn literal(&self, expected: &str, errors: &Errors) -> Option<Lit> {
        if let Ok(literal) = syn::parse2(self.value()) {
            return Some(literal);
        }
        if !self.lacks_comma(errors) {
            let (key, at) = (&self.key, self.at());
            errors.at(&at, format_args!("expected {expected} for `{key}`, found `{at}`"));
        }
        None
    }

    /// Reports a missing comma between the value and the next attribute, as in `rename = "a" alias = "b"`. True if it
    /// is missing.
    fn lacks_comma(&self, errors: &Errors) -> bool {
        let mut tokens = self.value().into_iter();
        let literal = tokens.next().is_some_and(is_literal);
        let Some(next @ TokenTree::Ident(_)) = tokens.next().filter(|_| literal) else {
            return false;
        };
        errors.at(&next, format_args!("expected `,`, found `{next}`"));
        true
    }

    /// Checks that the value has the form that `word` takes, and reports an error otherwise.
    fn has_form(&self, word: &Word, errors: &Errors) -> bool {
        let Word { text, example, .. } = word;
        let advice = format!("write #[checkpoint({example})]");
        match (&self.given, word.form) {
            (Given::Assigned { equals, value }, _) if value.is_empty() => {
                errors.at(equals, format_args!("`{text}` has no value after `=`; {advice}"));
            }
            (Given::Assigned { equals, value }, Form::Flag) => {
                let at: TokenStream = [equals.to_token_stream(), value.clone()].into_iter().collect();
                errors.at(&at, format_args!("`{text}` takes no value; {advice}"));
            }
            (Given::List(group), Form::Flag) => {
                errors.at(group, format_args!("`{text}` takes no options; {advice}"));
            }
            (Given::Nothing, Form::Value | Form::ValueOrList) => {
                errors.at(&self.key, format_args!("`{text}` needs a value; {advice}"));
            }
            (Given::Nothing, Form::List) => {
                errors.at(&self.key, format_args!("`{text}` needs options; {advice}"));
            }
            (Given::List(group), Form::Value | Form::FlagOrValue) => {
                errors.at(group, format_args!("`{text}` takes its value after `=`; {advice}"));
            }
            (Given::Assigned { .. }, Form::List) => {
                errors.at(
                    &self.at(),
                    format_args!("`{text}` takes its options in parentheses; {advice}"),
                );
            }
            (Given::List(group), _) if group.stream().is_empty() => {
                errors.at(group, format_args!("`{text}` has nothing in its parentheses; {advice}"));
            }
            _ => return true,
        }
        false
    }
}

/// All well-formed items of the `checkpoint` attributes among `attrs`, each with its known attribute.
pub(crate) fn items(attrs: &[Attribute], place: Place, errors: &Errors) -> Vec<(&'static Word, Item)> {
    let mut seen: Vec<Name> = Vec::new();
    let mut kept = Vec::new();
    for attr in attrs.iter().filter(|attr| attr.path().is_ident("checkpoint")) {
        for item in split_attribute(attr, place, errors) {
            let Some(word) = vocab::find(&item.key, place, errors) else {
                continue;
            };
            if seen.contains(&word.name) && word.repeat != Repeat::Often {
                errors.at(&item.key, duplicate(word));
                continue;
            }
            seen.push(word.name);
            if item.has_form(word, errors) {
                kept.push((word, item));
            }
        }
    }
    kept
}

fn duplicate(word: &Word) -> String {
    let text = word.text;
    match word.repeat {
        Repeat::Instead(advice) => format!("duplicate checkpoint attribute `{text}`; {advice}"),
        _ => format!("duplicate checkpoint attribute `{text}`; remove one of them"),
    }
}

fn split_attribute(attr: &Attribute, place: Place, errors: &Errors) -> Vec<Item> {
    let example = match place {
        Place::Field => "skip",
        Place::Variant => "rename = \"name\"",
        Place::Struct => "rename_all = \"camelCase\"",
    };
    let list = match &attr.meta {
        Meta::List(list) => list,
        Meta::Path(_) => {
            let empty = "empty attribute #[checkpoint]; expected options";
            errors.at(attr, format_args!("{empty}, for example #[checkpoint({example})]"));
            return Vec::new();
        }
        Meta::NameValue(meta) => {
            let found = meta.to_token_stream();
            errors.at(attr, format_args!("expected #[checkpoint(...)], found #[{found}]"));
            return Vec::new();
        }
    };
    if list.tokens.is_empty() {
        let empty = "empty attribute #[checkpoint()]; expected options";
        errors.at(attr, format_args!("{empty}, for example #[checkpoint({example})]"));
    }
    let parts = split_at_commas(list.tokens.clone(), errors);
    let items = parts.into_iter().filter_map(|part| read_item(part, place, errors));
    items.collect()
}

/// Parses one item; `None`, with an error, if it does not begin with a name.
fn read_item(part: TokenStream, place: Place, errors: &Errors) -> Option<Item> {
    if let Some(name) = hyphenated(&part) {
        errors.at(&part, vocab::unknown(&name, place));
        return None;
    }
    let mut tokens = part.into_iter();
    let key = match tokens.next()? {
        TokenTree::Ident(key) => key,
        other => {
            let mut message = format!("expected the name of an attribute, found `{other}`");
            if is_literal(other.clone()) {
                message.push_str("; the patterns of a filter are written filter = \"a\" or filter(\"a\", \"b\")");
            }
            errors.at(&other, message);
            return None;
        }
    };
    let given = match tokens.next() {
        None => Given::Nothing,
        Some(TokenTree::Punct(equals)) if equals.as_char() == '=' => {
            let value = tokens.by_ref().collect();
            let equals = TokenTree::Punct(equals);
            Given::Assigned { equals, value }
        }
        Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Parenthesis => Given::List(group),
        Some(other) => {
            errors.at(
                &other,
                format_args!("expected `,`, `=` or `(` after `{key}`, found `{other}`"),
            );
            return None;
        }
    };
    if let Some(stray) = tokens.next() {
        errors.at(&stray, format_args!("expected `,` after `{key}(...)`, found `{stray}`"));
    }
    Some(Item { key, given })
}

/// A name with hyphens, such as `per-rank`, as text.
fn hyphenated(part: &TokenStream) -> Option<String> {
    let mut name = String::new();
    for token in part.clone() {
        match token {
            TokenTree::Ident(word) => name.push_str(&word.to_string()),
            TokenTree::Punct(hyphen) if hyphen.as_char() == '-' && !name.is_empty() => name.push('-'),
            _ => break,
        }
    }
    let name = name.trim_end_matches('-');
    name.contains('-').then(|| name.to_owned())
}

/// Splits at the commas outside of all brackets, including the angle brackets of a path and the bars of a closure.
pub(crate) fn split_at_commas(tokens: TokenStream, errors: &Errors) -> Vec<TokenStream> {
    let mut parts = vec![TokenStream::new()];
    let mut angles = 0usize;
    let mut in_closure = false;
    for token in tokens {
        if let TokenTree::Punct(punct) = &token {
            match punct.as_char() {
                '<' => angles += 1,
                '>' => angles = angles.saturating_sub(1),
                '|' => in_closure = !in_closure,
                ',' if angles == 0 && !in_closure => {
                    if parts.last().is_none_or(TokenStream::is_empty) {
                        errors.at(punct, "expected an option before `,`");
                    }
                    parts.push(TokenStream::new());
                    continue;
                }
                _ => {}
            }
        }
        if let Some(part) = parts.last_mut() {
            part.extend([token]);
        }
    }
    parts.retain(|part| !part.is_empty());
    parts
}

/// Returns true if a path is written like a constant, in capitals: `NAME`, `names::MODEL`.
fn is_constant(path: &Path) -> bool {
    let name = path.segments.last().map(|last| last.ident.to_string());
    name.is_some_and(|name| name.chars().any(char::is_uppercase) && !name.chars().any(char::is_lowercase))
}

/// The path with the name of the declaration in place of `Self`, which has no meaning outside of the generated
/// implementation; `None`, with an error, for a declaration with parameters that a name in a file cannot depend on.
fn without_self(mut path: Path, owner: &DeriveInput, errors: &Errors) -> Option<Path> {
    let Some(first) = path.segments.first_mut().filter(|first| first.ident == "Self") else {
        return Some(path);
    };
    if owner.generics.type_params().next().is_some() || owner.generics.const_params().next().is_some() {
        let ident = &owner.ident;
        errors.at(
            &path,
            format_args!(
                "`Self` of the generic `{ident}` has a constant for each of its types, and a name in a file is one for all of them; \
                 declare the constant outside of the `impl`"
            ),
        );
        return None;
    }
    let span = first.ident.span();
    first.ident = owner.ident.clone();
    first.ident.set_span(span);
    Some(path)
}

fn is_literal(token: TokenTree) -> bool {
    syn::parse2::<Lit>(token.into()).is_ok()
}

/// The kind of a literal with its article, for messages.
pub(crate) fn describe(literal: &Lit) -> &'static str {
    match literal {
        Lit::Str(_) => "a string",
        Lit::ByteStr(_) | Lit::Byte(_) => "bytes",
        Lit::CStr(_) => "a C string",
        Lit::Char(_) => "a character",
        Lit::Int(_) => "an integer",
        Lit::Float(_) => "a float",
        Lit::Bool(_) => "a boolean",
        _ => "another literal",
    }
}
