//! The schema: a struct with named fields, their attributes and their keys.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::ext::IdentExt;
use syn::{Data, DataStruct, DeriveInput, Fields, Generics, Ident, Type, Visibility};

use crate::attr::container::ContainerAttrs;
use crate::attr::field::FieldAttrs;
use crate::errors::Errors;

pub(crate) struct Schema<'a> {
    pub(crate) vis: &'a Visibility,
    pub(crate) ident: &'a Ident,
    pub(crate) generics: &'a Generics,
    pub(crate) attrs: ContainerAttrs,
    pub(crate) fields: Vec<Field<'a>>,
}

pub(crate) struct Field<'a> {
    pub(crate) ident: &'a Ident,
    pub(crate) ty: &'a Type,
    pub(crate) attrs: FieldAttrs,
    /// The field's name in a file.
    pub(crate) key: String,
}

/// The way in which a field is stored.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Role {
    Skipped,
    /// One serde value.
    Metadata,
    /// The entries that the type's `Checkpoint` implementation shows.
    Component,
}

impl<'a> Schema<'a> {
    /// The schema of `input`; `None`, with an error, if it is not a struct with named fields.
    pub(crate) fn parse(input: &'a DeriveInput, errors: &Errors) -> Option<Self> {
        let attrs = ContainerAttrs::parse(&input.attrs, errors);
        let named = match &input.data {
            Data::Struct(DataStruct {
                fields: Fields::Named(named),
                ..
            }) => &named.named,
            other => {
                errors.at(&input.ident, wrong_shape(&input.ident, other));
                return None;
            }
        };
        let fields = named.iter().filter_map(|field| {
            let ident = field.ident.as_ref()?;
            let parsed = FieldAttrs::parse(&field.attrs, errors);
            let key = key(ident, &parsed, &attrs);
            Some(Field {
                ident,
                ty: &field.ty,
                attrs: parsed,
                key,
            })
        });
        Some(Self {
            vis: &input.vis,
            ident: &input.ident,
            generics: &input.generics,
            fields: fields.collect(),
            attrs,
        })
    }

    /// The name of the library in generated code, after [`import`](Self::import).
    pub(crate) fn private() -> TokenStream {
        quote!(__fabric)
    }

    /// Generates the import of the library. No other code contains the library's path, so the compiler reports a wrong
    /// path once.
    pub(crate) fn import(&self) -> TokenStream {
        import(&self.attrs.library())
    }

    /// The fields that the checkpoint stores.
    pub(crate) fn stored(&self) -> impl Iterator<Item = &Field<'a>> {
        self.fields.iter().filter(|field| field.role() != Role::Skipped)
    }

    /// The stored fields that have a key at this level.
    pub(crate) fn keyed(&self) -> impl Iterator<Item = &Field<'a>> {
        self.stored().filter(|field| field.attrs.flatten.is_none())
    }

    /// The stored fields whose entries join this level.
    pub(crate) fn flattened(&self) -> impl Iterator<Item = &Field<'a>> {
        self.stored().filter(|field| field.attrs.flatten.is_some())
    }
}

impl Field<'_> {
    pub(crate) fn role(&self) -> Role {
        match self.attrs {
            FieldAttrs { skip: Some(_), .. } => Role::Skipped,
            FieldAttrs { metadata: Some(_), .. } => Role::Metadata,
            _ => Role::Component,
        }
    }

    /// The tokens that determine the key: the `rename`, or the field's name.
    pub(crate) fn key_at(&self) -> TokenStream {
        match &self.attrs.rename {
            Some(rename) => rename.at.clone(),
            None => self.ident.to_token_stream(),
        }
    }
}

/// Generates the import of the library at `path`.
pub(crate) fn import(path: &TokenStream) -> TokenStream {
    quote! {
        use #path::__private1 as __fabric;
    }
}

fn key(ident: &Ident, field: &FieldAttrs, container: &ContainerAttrs) -> String {
    let name = ident.unraw().to_string();
    match (&field.rename, &container.rename_all) {
        (Some(rename), _) => rename.value.value(),
        (None, Some(case)) => case.value.apply(&name),
        (None, None) => name,
    }
}

fn wrong_shape(ident: &Ident, data: &Data) -> String {
    let supported = "Checkpoint supports structs with named fields";
    match data {
        Data::Enum(data) if data.variants.iter().all(|variant| variant.fields.is_empty()) => {
            format!(
                "{supported}, and `{ident}` is an enum; derive serde's Serialize and Deserialize for it, and mark the fields \
                 that hold it #[checkpoint(metadata)]"
            )
        }
        Data::Enum(_) => {
            format!(
                "{supported}, and `{ident}` is an enum; an enum of values is stored with #[checkpoint(metadata)] at the \
                 fields that hold it, one of components by implementing Checkpoint by hand: match, and visit what the \
                 variant holds"
            )
        }
        Data::Union(_) => {
            format!("{supported}; `{ident}` is a union, which a field can only #[checkpoint(skip)]")
        }
        Data::Struct(data) if matches!(data.fields, Fields::Unit) => {
            format!("{supported}; `{ident}` has no fields, so mark the fields that hold it #[checkpoint(skip)]")
        }
        Data::Struct(data) if data.fields.len() == 1 => {
            format!(
                "{supported}; name the field of `{ident}`: a component can be marked #[checkpoint(flatten)], and its entries \
                 get no further name; a value can stay unnamed with serde's traits, in a field that is marked \
                 #[checkpoint(metadata)]"
            )
        }
        Data::Struct(_) => {
            format!("{supported}; name the fields of `{ident}`, because their names become the names in the file")
        }
    }
}
