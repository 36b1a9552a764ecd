//! Parses `shard(dim = 0, axis = "tp")`.

use proc_macro2::{Ident, TokenStream, TokenTree};
use quote::ToTokens;
use syn::{Lit, LitStr};

use super::{Item, describe, split_at_commas};
use crate::errors::Errors;
use crate::spanned::Spanned;

/// One split of a tensor along `dim`, over the named mesh axis or the strategy's shard axis.
#[derive(Clone)]
pub(crate) struct Shard {
    pub(crate) dim: usize,
    pub(crate) axis: Option<LitStr>,
}

/// An option as written: `dim = 0`.
struct Given {
    key: Ident,
    value: TokenStream,
}

pub(crate) fn parse(item: &Item, errors: &Errors) -> Option<Spanned<Shard>> {
    let parts = split_at_commas(item.value(), errors);
    let given: Option<Vec<Given>> = parts.iter().map(read_option).collect();
    let Some(given) = given else {
        let advice = format!("`shard` names its options; write {}", as_meant(&parts));
        errors.at(&item.at(), advice);
        return None;
    };
    let mut dim = None;
    let mut axis = None;
    let mut sound = true;
    for option in &given {
        let key = option.key.to_string();
        let repeated = match key.as_str() {
            "dim" => dim.is_some(),
            "axis" => axis.is_some(),
            _ => {
                errors.at(&option.key, unknown_option(&key));
                sound = false;
                continue;
            }
        };
        if repeated {
            errors.at(&option.key, format_args!("duplicate option `{key}` of `shard`"));
            sound = false;
        } else if key == "dim" {
            dim = Some(parse_dim(option, errors));
        } else {
            axis = Some(parse_axis(option, errors));
        }
    }
    let Some(dim) = dim else {
        if sound {
            let at = item.at();
            errors.at(&at, "`shard` needs the dimension to split along; write shard(dim = 0)");
        }
        return None;
    };
    let axis = match axis {
        Some(axis) => Some(axis?),
        None => None,
    };
    Some(item.spanned(Shard { dim: dim?, axis }))
}

/// Parses an option: a key, `=`, and a value.
fn read_option(part: &TokenStream) -> Option<Given> {
    let mut tokens = part.clone().into_iter();
    let Some(TokenTree::Ident(key)) = tokens.next() else {
        return None;
    };
    match tokens.next() {
        Some(TokenTree::Punct(equals)) if equals.as_char() == '=' => {
            let value: TokenStream = tokens.collect();
            (!value.is_empty()).then_some(Given { key, value })
        }
        _ => None,
    }
}

/// A suggestion for wrong options: a number becomes `dim`, a text becomes `axis`.
fn as_meant(parts: &[TokenStream]) -> String {
    let mut literals = parts.iter().flat_map(|part| {
        let tokens = part.clone().into_iter();
        tokens.filter_map(|token| syn::parse2::<Lit>(token.into()).ok())
    });
    let mut dim = "0".to_owned();
    let mut axis = String::new();
    for literal in literals.by_ref() {
        match literal {
            Lit::Int(number) => dim = number.to_string(),
            Lit::Str(text) => axis = format!(", axis = {:?}", text.value()),
            _ => {}
        }
    }
    format!("shard(dim = {dim}{axis})")
}

fn unknown_option(key: &str) -> String {
    let meant = match key {
        "mesh" | "name" | "over" | "group" | "mesh_axis" | "mesh_dim" => Some("axis"),
        "dimension" | "index" | "along" | "d" | "rank" => Some("dim"),
        _ => ["dim", "axis"]
            .into_iter()
            .find(|word| strsim::damerau_levenshtein(key, word) <= 2),
    };
    match meant {
        Some(meant) => format!("unknown option `{key}` of `shard`; did you mean `{meant}`?"),
        None => format!("unknown option `{key}` of `shard`; known are `dim` and `axis`"),
    }
}

fn parse_dim(option: &Given, errors: &Errors) -> Option<usize> {
    let message = "shard dimension must be a non-negative integer literal";
    let at = &option.value;
    let found = match syn::parse2::<Lit>(at.clone()) {
        Ok(Lit::Int(number)) => match number.base10_parse::<usize>() {
            Ok(dim) => return Some(dim),
            Err(_) => format!("`{number}`"),
        },
        Ok(other) => describe(&other).to_owned(),
        Err(_) => format!("`{at}`"),
    };
    errors.at(at, format_args!("{message}, found {found}"));
    None
}

fn parse_axis(option: &Given, errors: &Errors) -> Option<LitStr> {
    let axis = match syn::parse2::<Lit>(option.value.clone()) {
        Ok(Lit::Str(axis)) => axis,
        other => {
            let found = other.map_or_else(
                |_| format!("`{}`", option.value.to_token_stream()),
                |literal| describe(&literal).to_owned(),
            );
            errors.at(
                &option.value,
                format_args!("expected a string literal for `axis`, found {found}"),
            );
            return None;
        }
    };
    if axis.value().trim().is_empty() {
        errors.at(
            &axis,
            "a mesh axis has a name; without `axis`, the strategy's own axis is meant",
        );
        return None;
    }
    Some(axis)
}
