//! Generates the stored form of newtypes and enums that are one plain value.

use proc_macro2::{Literal, TokenStream};
use quote::quote;

use super::kind::{is_empty, may_be_value, of_units};
use super::walk::{binding, pattern};
use crate::schema::{Field, Schema, Shape, Style, Variant};

/// The methods that convert between the type and its stored form, where the type can be a plain value.
pub(super) fn conversions(schema: &Schema<'_>) -> Option<TokenStream> {
    if is_empty(schema) {
        return Some(of_nothing());
    }
    if !may_be_value(schema) {
        return None;
    }
    match &schema.shape {
        Shape::Struct(fields) => fields.all.first().map(of_newtype),
        Shape::Enum(variants) => Some(of_enum(variants)),
    }
}

/// Generates the methods of a struct without fields, which is null as an item of a value.
fn of_nothing() -> TokenStream {
    let private = Schema::private();
    methods(
        &quote!(#private::core::result::Result::Ok(#private::Value::null())),
        &quote! {
            #private::variant::nothing(__fabric_value)?;
            #private::core::result::Result::Ok(Self {})
        },
    )
}

/// Generates the methods of a newtype, which has the stored form of its field.
fn of_newtype(field: &Field<'_>) -> TokenStream {
    let (private, ty) = (Schema::private(), field.ty);
    let inner = quote!(<#ty as #private::Checkpoint>);
    let methods = methods(
        &quote!(#inner::to_value(&self.0, __fabric_sealed)),
        &quote!(#private::core::result::Result::map(#inner::from_value(__fabric_value, __fabric_sealed), Self)),
    );
    quote! {
        #methods

        fn when_absent(__fabric_sealed: #private::Sealed) -> #private::core::option::Option<Self>
        where
            Self: #private::core::marker::Sized,
        {
            #private::core::option::Option::map(#inner::when_absent(__fabric_sealed), Self)
        }
    }
}

/// Generates the methods of an enum, which has serde's form: the text of a variant without contents, else a map with the
/// variant's name as its one key.
fn of_enum(variants: &[Variant<'_>]) -> TokenStream {
    let private = Schema::private();
    let written = variants.iter().map(written);
    let read = variants.iter().map(read);
    let known = variants.iter().map(|variant| &variant.key);
    methods(
        &quote! {
            match self {
                #(#written)*
            }
        },
        &quote! {
            let __fabric_stored = #private::variant::VariantReader::of(__fabric_value)?;
            match __fabric_stored.name() {
                #(#read)*
                _ => #private::core::result::Result::Err(__fabric_stored.unknown(&[#(#known),*])),
            }
        },
    )
}

fn methods(to_value: &TokenStream, from_value: &TokenStream) -> TokenStream {
    let private = Schema::private();
    let result = |of: TokenStream| quote!(#private::core::result::Result<#of, #private::ValueError>);
    let (stored, own) = (result(quote!(#private::Value)), result(quote!(Self)));
    quote! {
        #[allow(unused_variables)]
        fn to_value(&self, __fabric_sealed: #private::Sealed) -> #stored {
            #to_value
        }

        #[allow(unused_variables)]
        fn from_value(__fabric_value: &#private::Value, __fabric_sealed: #private::Sealed) -> #own
        where
            Self: #private::core::marker::Sized,
        {
            #from_value
        }
    }
}

/// Generates `MapKey` for an enum of variants without contents: the key of a map is the name of its variant.
pub(super) fn map_key(schema: &Schema<'_>) -> Option<TokenStream> {
    let Shape::Enum(variants) = &schema.shape else {
        return None;
    };
    if !of_units(schema) {
        return None;
    }
    let (private, ident) = (Schema::private(), schema.ident);
    let (impl_generics, ty_generics, where_clause) = schema.generics.split_for_impl();
    let texts = variants.iter().map(|variant| {
        let (ident, key) = (variant.ident, &variant.key);
        quote!(Self::#ident {} => #key,)
    });
    let keys = variants.iter().map(|variant| {
        let (ident, key) = (variant.ident, &variant.key);
        let aliases = variant.attrs.aliases.iter().map(|alias| &alias.value);
        quote!(#key #(| #aliases)* => #private::core::option::Option::Some(Self::#ident {}),)
    });
    Some(quote! {
        #[automatically_derived]
        impl #impl_generics #private::MapKey for #ident #ty_generics #where_clause {
            fn text(&self) -> #private::Cow<'_, #private::core::primitive::str> {
                #private::Cow::Borrowed(match self {
                    #(#texts)*
                })
            }

            fn of_text(__fabric_text: &#private::core::primitive::str) -> #private::core::option::Option<Self> {
                match __fabric_text {
                    #(#keys)*
                    _ => #private::core::option::Option::None,
                }
            }
        }
    })
}

/// Generates the arm of a match that writes a variant.
fn written(variant: &Variant<'_>) -> TokenStream {
    let private = Schema::private();
    let writer = quote!(#private::variant::VariantWriter);
    let (pattern, key) = (pattern(variant), &variant.key);
    let made = match variant.fields.style {
        Style::Unit => quote!(#writer::unit(#key)),
        Style::Newtype => {
            let contents = binding(0);
            quote!(#writer::newtype(#key, #contents))
        }
        Style::Named | Style::Tuple => {
            let fields = variant.fields.all.iter().enumerate().map(|(at, field)| {
                let (key, contents) = (&field.key, binding(at));
                quote!(.field(#key, #contents))
            });
            let end = if variant.fields.style == Style::Named {
                quote!(named)
            } else {
                quote!(unnamed)
            };
            quote!(#writer::new(#key) #(#fields)* .#end())
        }
    };
    quote!(#pattern => #made,)
}

/// Generates the arm of a match that reads a variant.
fn read(variant: &Variant<'_>) -> TokenStream {
    let private = Schema::private();
    let (ident, key) = (variant.ident, &variant.key);
    let aliases = variant.attrs.aliases.iter().map(|alias| &alias.value);
    let stored = quote!(__fabric_stored);
    let fields = &variant.fields.all;
    let (before, contents) = match variant.fields.style {
        Style::Unit => (quote!(#stored.unit()?;), quote!()),
        Style::Newtype => (quote!(), quote!(0: #stored.newtype()?)),
        Style::Tuple => {
            let count = Literal::usize_unsuffixed(fields.len());
            let items = fields.iter().enumerate().map(|(at, field)| {
                let (member, at) = (&field.member, Literal::usize_unsuffixed(at));
                quote!(#member: __fabric_items.at(#at)?)
            });
            (
                quote!(let __fabric_items = #stored.unnamed(#count)?;),
                quote!(#(#items),*),
            )
        }
        Style::Named => {
            let names = fields.iter().map(names);
            let read = fields.iter().map(|field| {
                let (member, names) = (&field.member, self::names(field));
                quote!(#member: __fabric_fields.field(&[#names])?)
            });
            let read = quote!(#(#read),*);
            (quote!(let __fabric_fields = #stored.named(&[#(#names),*])?;), read)
        }
    };
    quote! {
        #key #(| #aliases)* => {
            #before
            #private::core::result::Result::Ok(Self::#ident { #contents })
        }
    }
}

/// The key of a field and its aliases.
fn names(field: &Field<'_>) -> TokenStream {
    let aliases = field.attrs.aliases.iter().map(|alias| &alias.value);
    let key = &field.key;
    quote!(#key #(, #aliases)*)
}
