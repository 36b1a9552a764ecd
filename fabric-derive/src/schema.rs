//! The schema: a struct or an enum, its fields, their attributes and their keys.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote};
use syn::ext::IdentExt;
use syn::{Data, DeriveInput, Generics, Ident, Index, Member, Type, Visibility};

use crate::attr::container::ContainerAttrs;
use crate::attr::field::FieldAttrs;
use crate::attr::variant::VariantAttrs;
use crate::errors::Errors;
use crate::key::Key;

pub(crate) struct Schema<'a> {
    pub(crate) vis: &'a Visibility,
    pub(crate) ident: &'a Ident,
    pub(crate) generics: &'a Generics,
    pub(crate) attrs: ContainerAttrs,
    pub(crate) shape: Shape<'a>,
}

pub(crate) enum Shape<'a> {
    Struct(Fields<'a>),
    Enum(Vec<Variant<'a>>),
}

/// A variant of an enum.
pub(crate) struct Variant<'a> {
    pub(crate) ident: &'a Ident,
    pub(crate) attrs: VariantAttrs,
    /// The variant's name in a file.
    pub(crate) key: Key,
    pub(crate) fields: Fields<'a>,
}

/// The fields of a struct or of a variant.
pub(crate) struct Fields<'a> {
    pub(crate) style: Style,
    pub(crate) all: Vec<Field<'a>>,
}

/// The syntax of a list of fields.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Style {
    Named,
    /// One unnamed field, whose entries are those of the struct or the variant.
    Newtype,
    /// Unnamed fields, whose keys are `0`, `1`, …
    Tuple,
    /// No fields.
    Unit,
}

pub(crate) struct Field<'a> {
    pub(crate) member: Member,
    /// The visibility, which a variant's field does not have.
    pub(crate) vis: &'a Visibility,
    pub(crate) ty: &'a Type,
    pub(crate) attrs: FieldAttrs,
    /// The field's name in a file.
    pub(crate) key: Key,
    /// True for the field of a newtype.
    pub(crate) is_only: bool,
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
    /// The schema of `input`; `None`, with an error, for a union.
    pub(crate) fn parse(input: &'a DeriveInput, errors: &Errors) -> Option<Self> {
        let attrs = ContainerAttrs::parse(&input.attrs, errors);
        let shape = match &input.data {
            Data::Struct(data) => Shape::Struct(Fields::parse(&data.fields, Some(&attrs), input, errors)),
            Data::Enum(data) => {
                let variants = data.variants.iter();
                Shape::Enum(
                    variants
                        .map(|variant| Variant::parse(variant, &attrs, input, errors))
                        .collect(),
                )
            }
            Data::Union(_) => {
                let ident = &input.ident;
                errors.at(
                    ident,
                    format_args!(
                        "Checkpoint supports structs and enums; `{ident}` is a union, which a field can only \
                         #[checkpoint(skip)]"
                    ),
                );
                return None;
            }
        };
        Some(Self {
            vis: &input.vis,
            ident: &input.ident,
            generics: &input.generics,
            attrs,
            shape,
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

    /// The fields of the struct, or of each variant.
    pub(crate) fn lists(&self) -> Vec<&Fields<'a>> {
        match &self.shape {
            Shape::Struct(fields) => vec![fields],
            Shape::Enum(variants) => variants.iter().map(|variant| &variant.fields).collect(),
        }
    }

    /// The fields that the checkpoint stores.
    pub(crate) fn stored(&self) -> impl Iterator<Item = &Field<'a>> {
        self.lists().into_iter().flat_map(Fields::stored)
    }

    /// The stored fields that have a key.
    pub(crate) fn keyed(&self) -> impl Iterator<Item = &Field<'a>> {
        self.lists().into_iter().flat_map(Fields::keyed)
    }

    /// The stored fields whose entries join the level around them.
    pub(crate) fn joining(&self) -> impl Iterator<Item = &Field<'a>> {
        self.stored().filter(|field| field.joins())
    }
}

impl<'a> Variant<'a> {
    fn parse(variant: &'a syn::Variant, container: &ContainerAttrs, owner: &DeriveInput, errors: &Errors) -> Self {
        let attrs = VariantAttrs::parse(&variant.attrs, owner, errors);
        Self {
            ident: &variant.ident,
            key: Key::of(
                &variant.ident.unraw().to_string(),
                attrs.rename.as_ref(),
                Some(container),
            ),
            // `rename_all` of an enum is about its variants.
            fields: Fields::parse(&variant.fields, None, owner, errors),
            attrs,
        }
    }
}

impl<'a> Fields<'a> {
    fn parse(
        fields: &'a syn::Fields,
        container: Option<&ContainerAttrs>,
        owner: &DeriveInput,
        errors: &Errors,
    ) -> Self {
        let style = match fields {
            syn::Fields::Named(_) => Style::Named,
            syn::Fields::Unnamed(unnamed) if unnamed.unnamed.len() == 1 => Style::Newtype,
            syn::Fields::Unnamed(_) => Style::Tuple,
            syn::Fields::Unit => Style::Unit,
        };
        let all = fields.iter().enumerate().map(|(at, field)| {
            let attrs = FieldAttrs::parse(&field.attrs, owner, errors);
            let (member, name) = match &field.ident {
                Some(ident) => (Member::Named(ident.clone()), ident.unraw().to_string()),
                None => (Member::Unnamed(numbered(at)), at.to_string()),
            };
            Field {
                key: Key::of(&name, attrs.rename.as_ref(), container),
                member,
                vis: &field.vis,
                ty: &field.ty,
                attrs,
                is_only: style == Style::Newtype,
            }
        });
        Self {
            style,
            all: all.collect(),
        }
    }

    pub(crate) fn stored(&self) -> impl Iterator<Item = &Field<'a>> {
        self.all.iter().filter(|field| field.role() != Role::Skipped)
    }

    pub(crate) fn keyed(&self) -> impl Iterator<Item = &Field<'a>> {
        self.stored().filter(|field| !field.joins())
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

    /// Returns true if the field's entries join the level around it, so that the field has no key.
    pub(crate) fn joins(&self) -> bool {
        self.is_only || self.attrs.flatten.is_some()
    }

    /// The field's name in the source, for messages.
    pub(crate) fn name(&self) -> String {
        match &self.member {
            Member::Named(ident) => ident.unraw().to_string(),
            Member::Unnamed(index) => index.index.to_string(),
        }
    }

    /// The tokens that name the field in an error: its name, or its type if it has none.
    pub(crate) fn at(&self) -> TokenStream {
        match &self.member {
            Member::Named(ident) => ident.to_token_stream(),
            Member::Unnamed(_) => self.ty.to_token_stream(),
        }
    }

    /// The tokens that determine the key: the `rename`, or the field's name.
    pub(crate) fn key_at(&self) -> TokenStream {
        match &self.attrs.rename {
            Some(rename) => rename.at.clone(),
            None => self.at(),
        }
    }
}

/// The name of an unnamed field.
fn numbered(at: usize) -> Index {
    Index {
        index: u32::try_from(at).unwrap_or(u32::MAX),
        span: Span::call_site(),
    }
}

/// Generates the import of the library at `path`.
pub(crate) fn import(path: &TokenStream) -> TokenStream {
    quote! {
        use #path::__private1 as __fabric;
    }
}
