//! `shard(dim = 0, axis = "tp")`.

use syn::{Lit, LitStr};

use super::{Item, describe, split_items};
use crate::errors::Errors;
use crate::spanned::Spanned;

/// One split of a tensor: along `dim`, over the named axis or the strategy's own.
#[derive(Clone)]
pub(crate) struct Shard {
    pub(crate) dim: usize,
    pub(crate) axis: Option<LitStr>,
}

pub(crate) fn parse(item: &Item, errors: &Errors) -> Option<Spanned<Shard>> {
    let mut dim = None;
    let mut axis = None;
    let mut sound = true;
    for option in split_options(item, errors)? {
        let key = option.key.to_string();
        let repeated = match key.as_str() {
            "dim" => dim.is_some(),
            "axis" => axis.is_some(),
            _ => {
                errors.at(
                    &option.key,
                    format_args!("unknown option `{key}` of `shard`; known are `dim` and `axis`"),
                );
                sound = false;
                continue;
            }
        };
        if repeated {
            errors.at(&option.key, format_args!("duplicate option `{key}` of `shard`"));
            sound = false;
        } else if key == "dim" {
            dim = Some(parse_dim(&option, errors));
        } else {
            axis = Some(parse_axis(&option, errors));
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

/// The options; a bare number is worth a sentence of its own.
fn split_options(item: &Item, errors: &Errors) -> Option<Vec<Item>> {
    if let Ok(number) = syn::parse2::<syn::LitInt>(item.value()) {
        errors.at(
            &number,
            format_args!("`shard` names its options; write shard(dim = {number})"),
        );
        return None;
    }
    Some(split_items(item.value(), errors))
}

fn parse_dim(option: &Item, errors: &Errors) -> Option<usize> {
    let message = "shard dimension must be a non-negative integer literal";
    let at = option.at();
    let found = match syn::parse2::<Lit>(option.value()) {
        Ok(Lit::Int(number)) => match number.base10_parse::<usize>() {
            Ok(dim) => return Some(dim),
            Err(_) => format!("`{number}`"),
        },
        Ok(other) => describe(&other).to_owned(),
        Err(_) => format!("`{at}`"),
    };
    errors.at(&at, format_args!("{message}, found {found}"));
    None
}

fn parse_axis(option: &Item, errors: &Errors) -> Option<LitStr> {
    let axis = option.text(errors)?.value;
    if axis.value().trim().is_empty() {
        errors.at(
            &axis,
            "a mesh axis has a name; without `axis`, the strategy's own axis is meant",
        );
        return None;
    }
    Some(axis)
}
