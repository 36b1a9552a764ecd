//! The attributes of the struct.

use proc_macro2::TokenStream;
use quote::quote;
use syn::punctuated::Punctuated;
use syn::{Attribute, Lit, Path, Token, WherePredicate};

use super::{Item, describe, items};
use crate::errors::Errors;
use crate::key::Case;
use crate::spanned::Spanned;
use crate::vocab::{Name, Place};

type Predicates = Punctuated<WherePredicate, Token![,]>;

/// The attributes of the struct.
#[derive(Default)]
pub(crate) struct ContainerAttrs {
    pub(crate) rename_all: Option<Spanned<Case>>,
    pub(crate) krate: Option<Path>,
    pub(crate) bound: Option<Predicates>,
    pub(crate) version: Option<u32>,
    /// The path of the function that writes the recipe for files of older versions.
    pub(crate) migrate: Option<Path>,
}

impl ContainerAttrs {
    pub(crate) fn parse(attrs: &[Attribute], errors: &Errors) -> Self {
        let mut container = Self::default();
        let mut migrate = None;
        let mut has_version = false;
        for (word, item) in items(attrs, Place::Struct, errors) {
            match word.name {
                Name::RenameAll => container.rename_all = parse_case(&item, errors),
                Name::Crate => container.krate = parse_crate(&item, errors),
                Name::Bound => container.bound = parse_bound(&item, errors),
                Name::Version => {
                    container.version = parse_version(&item, errors);
                    has_version = true;
                }
                Name::Migrate => migrate = parse_migrate(&item, errors),
                // The table of attributes allows the others on fields only.
                _ => {}
            }
        }
        if let Some(migrate) = migrate {
            if let Some(what) = no_older_version(container.version, has_version) {
                errors.at(&migrate.key, what);
            }
            container.migrate = Some(migrate.value);
        }
        container
    }

    /// The path of the library for generated code.
    pub(crate) fn library(&self) -> TokenStream {
        let path = self.krate.as_ref().map(|path| quote!(#path));
        path.unwrap_or_else(|| quote!(::fabric_core))
    }
}

fn parse_case(item: &Item, errors: &Errors) -> Option<Spanned<Case>> {
    let text = item.text(errors)?.value;
    let Some(case) = Case::named(&text.value()) else {
        let known: Vec<_> = Case::names().map(|name| format!("{name:?}")).collect();
        let (found, known) = (text.value(), known.join(", "));
        errors.at(&text, format_args!("unknown case {found:?}; expected one of {known}"));
        return None;
    };
    Some(item.spanned(case))
}

/// Parses the path of the library. `Self` names no crate, `crate` and `self` must come first, and `super` may follow
/// only `self` and `super`.
fn parse_crate(item: &Item, errors: &Errors) -> Option<Path> {
    let text = item.text(errors)?.value;
    let advice = "write the path under which fabric_core can be reached, as in crate = \"facade::fabric_core\"";
    let Ok(path) = text.parse_with(Path::parse_mod_style) else {
        errors.at(&text, format_args!("{:?} is not a path; {advice}", text.value()));
        return None;
    };
    let rooted = path.leading_colon.is_some();
    let mut before: Vec<String> = Vec::new();
    for segment in path.segments.iter().map(|segment| segment.ident.to_string()) {
        let valid = match segment.as_str() {
            "Self" => false,
            "crate" | "self" => before.is_empty() && !rooted,
            "super" => before.iter().all(|b| b == "super" || b == "self") && !rooted,
            _ => true,
        };
        if !valid {
            errors.at(
                &text,
                format_args!("`{segment}` cannot stand there in a crate's path; {advice}"),
            );
            return None;
        }
        before.push(segment);
    }
    Some(path)
}

fn parse_bound(item: &Item, errors: &Errors) -> Option<Predicates> {
    let text = item.text(errors)?.value;
    match text.parse_with(Predicates::parse_terminated) {
        Ok(predicates) => Some(predicates),
        Err(error) => {
            let (found, example) = (text.value(), "write them as in bound = \"T: Checkpoint, U: Clone\"");
            let message = format!("{found:?} is no list of where predicates: {error}; {example}");
            errors.at(&text, message);
            None
        }
    }
}

fn parse_version(item: &Item, errors: &Errors) -> Option<u32> {
    let advice = "versions are whole numbers from 1";
    let value = item.value();
    match syn::parse2::<Lit>(value.clone()) {
        Ok(Lit::Int(number)) => match number.base10_parse::<u64>() {
            Ok(0) => {
                errors.at(
                    &number,
                    "versions count from 1, and a struct without `version` has version 1",
                );
                None
            }
            Ok(version) => u32::try_from(version)
                .map_err(|_| errors.at(&number, format_args!("{advice} to {}, found `{number}`", u32::MAX)))
                .ok(),
            Err(_) => {
                errors.at(&value, format_args!("{advice}, found `{number}`"));
                None
            }
        },
        Ok(Lit::Str(text)) if text.value().parse::<u32>().is_ok_and(|version| version > 0) => {
            let version = text.value();
            errors.at(
                &text,
                format_args!("{advice}, without quotes; write version = {version}"),
            );
            None
        }
        Ok(other) => {
            errors.at(&value, format_args!("{advice}, found {}", describe(&other)));
            None
        }
        Err(_) if item.lacks_comma(errors) => None,
        Err(_) => {
            let found: String = value.into_iter().map(|token| token.to_string()).collect();
            errors.at(&item.at(), format_args!("{advice}, found `{found}`"));
            None
        }
    }
}

/// Parses the path of the function that writes the recipe.
fn parse_migrate(item: &Item, errors: &Errors) -> Option<Spanned<Path>> {
    let advice = "`migrate` takes the path of a function, as in migrate = Self::migrations";
    let value = item.value();
    let found = match (syn::parse2::<Path>(value.clone()), syn::parse2::<Lit>(value)) {
        (Ok(path), _) => return Some(item.spanned(path)),
        (_, Ok(literal)) => describe(&literal).to_owned(),
        (Err(_), Err(_)) => format!("`{}`", item.at()),
    };
    errors.at(&item.at(), format_args!("{advice}, found {found}"));
    None
}

/// The reason why a recipe has no version to begin at. A version that is wrong has an error of its own.
fn no_older_version(version: Option<u32>, has_version: bool) -> Option<&'static str> {
    match version {
        None if !has_version => Some(
            "`migrate` needs `version`, as in version = 2: a struct without it has version 1, and no file is older",
        ),
        Some(1) => Some("`migrate` needs a version of 2 or more: no file is older than version 1"),
        _ => None,
    }
}
