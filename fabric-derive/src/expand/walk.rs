//! Generates `visit` and `visit_mut`, which enter each field, show its entries, and leave it.

use proc_macro2::{Ident, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::ext::IdentExt;
use syn::spanned::Spanned as _;

use super::handles::declared;
use super::kind::{has_record, may_be_value};
use super::respanned;
use crate::attr::default::DefaultValue;
use crate::attr::filter::Filter;
use crate::schema::{Field, Fields, Role, Schema, Shape, Variant};

/// The direction of a walk.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Direction {
    Save,
    Load,
}

pub(crate) fn visit(schema: &Schema<'_>) -> TokenStream {
    let private = Schema::private();
    let body = body(schema, Direction::Save);
    quote! {
        fn visit<'__fabric>(
            &'__fabric self,
            __fabric_entries: &mut #private::Visitor<'__fabric>,
        ) {
            #body
        }
    }
}

pub(crate) fn visit_mut(schema: &Schema<'_>) -> TokenStream {
    let private = Schema::private();
    let body = body(schema, Direction::Load);
    quote! {
        fn visit_mut<'__fabric>(
            &'__fabric mut self,
            __fabric_entries: &mut #private::VisitorMut<'__fabric>,
        ) {
            #body
        }
    }
}

fn body(schema: &Schema<'_>, direction: Direction) -> TokenStream {
    let (private, declared) = (Schema::private(), declared());
    let recorded = quote!(#private::Walking::record::<Self>(__fabric_entries););
    let known = quote!(let __fabric_schema = #declared;);
    let variants = match &schema.shape {
        Shape::Struct(fields) if fields.all.is_empty() => return recorded,
        Shape::Struct(fields) => {
            let steps = of_struct(schema, fields, direction);
            return quote!(#recorded #known #steps);
        }
        Shape::Enum(variants) => variants,
    };
    let show = match direction {
        Direction::Save => quote!(value),
        Direction::Load => quote!(place),
    };
    let whole = quote!(#private::variant::#show(__fabric_entries, self));
    if !has_record(schema) {
        return quote!(#whole;);
    }
    let whole = may_be_value(schema).then(|| {
        quote! {
            if <Self as #private::Checkpoint>::KIND.is_value() {
                return #whole;
            }
        }
    });
    let arms = variants.iter().map(|variant| of_variant(schema, variant, direction));
    quote! {
        #whole
        #recorded
        #known
        match self {
            #(#arms)*
        }
    }
}

fn of_struct(schema: &Schema<'_>, fields: &Fields<'_>, direction: Direction) -> TokenStream {
    let owner = schema.ident.unraw().to_string();
    let borrow = match direction {
        Direction::Save => quote!(&),
        Direction::Load => quote!(&mut),
    };
    let steps = fields.stored().map(|field| {
        let member = &field.member;
        let declared = format!("{owner}.{}", field.name());
        step(field, &declared, &quote!(#borrow self.#member), direction)
    });
    quote!(#(#steps)*)
}

/// Generates the arm of a match that shows the name of a variant and its fields.
fn of_variant(schema: &Schema<'_>, variant: &Variant<'_>, direction: Direction) -> TokenStream {
    let private = Schema::private();
    let (pattern, key) = (pattern(variant), &variant.key);
    let record = match direction {
        Direction::Save => quote!(#private::variant::holds(__fabric_entries, #key);),
        Direction::Load => {
            let aliases = variant.attrs.aliases.iter().map(|alias| &alias.value);
            let has_fields = variant.fields.stored().next().is_some();
            quote!(#private::variant::expects(__fabric_entries, &[#key #(, #aliases)*], #has_fields);)
        }
    };
    let owner = format!("{}::{}", schema.ident.unraw(), variant.ident.unraw());
    let fields = variant.fields.all.iter().enumerate();
    let stored = fields.filter(|(_, field)| field.role() != Role::Skipped);
    let steps = stored.map(|(at, field)| {
        let place = binding(at);
        let declared = format!("{owner}::{}", field.name());
        step(field, &declared, &quote!(#place), direction)
    });
    quote! {
        #pattern => {
            #record
            #(#steps)*
        }
    }
}

/// The name that a pattern gives to a field of a variant.
pub(super) fn binding(at: usize) -> Ident {
    format_ident!("__fabric_{at}")
}

/// The pattern of a variant, which binds its stored fields.
pub(super) fn pattern(variant: &Variant<'_>) -> TokenStream {
    let ident = variant.ident;
    let fields = variant.fields.all.iter().enumerate();
    let stored = fields.filter(|(_, field)| field.role() != Role::Skipped);
    let bound = stored.map(|(at, field)| {
        let (member, binding) = (&field.member, binding(at));
        quote!(#member: #binding)
    });
    let bound: Vec<_> = bound.collect();
    let rest = (bound.len() < variant.fields.all.len()).then(|| quote!(..));
    quote!(Self::#ident { #(#bound,)* #rest })
}

/// Generates the code for one field, with the field's place in the source and a borrow of its contents.
///
/// The call has the span of the type, so that the compiler underlines a type without the trait. The names in the call do
/// not, because the type may come from another macro than the struct.
fn step(field: &Field<'_>, declared: &str, place: &TokenStream, direction: Direction) -> TokenStream {
    let call = call(field, place, direction);
    let described = describe(field, declared);
    let private = Schema::private();
    let walking = quote!(#private::Walking);
    quote! {
        #walking::enter(__fabric_entries, #described);
        #call
        #walking::leave(__fabric_entries);
    }
}

/// Generates the call that shows the contents of a field.
fn call(field: &Field<'_>, place: &TokenStream, direction: Direction) -> TokenStream {
    let ty = field.ty;
    let private = respanned(Schema::private(), ty.span());
    let entries = quote!(__fabric_entries);
    let is_plain = field.role() == Role::Component;
    if let (Direction::Save, true, Some(_)) = (direction, is_plain, &field.attrs.default) {
        return quote_spanned!(ty.span()=> #private::default::stored::<#ty>(#entries, #place););
    }
    if let (Direction::Load, Some(default)) = (direction, &field.attrs.default) {
        let default = default_of(field, &default.value);
        let show = if is_plain { quote!(value) } else { quote!(metadata) };
        let show = respanned(show, ty.span());
        return quote_spanned!(ty.span()=> #private::default::#show::<#ty>(#entries, #place, #default););
    }
    let role = match field.role() {
        Role::Metadata => quote_spanned!(ty.span()=> #private::Metadata),
        Role::Component | Role::Skipped => quote_spanned!(ty.span()=> #private::Checkpoint),
    };
    let method = match (direction, is_plain) {
        (Direction::Save, true) => quote!(visit_part),
        (Direction::Load, true) => quote!(visit_part_mut),
        (Direction::Save, false) => quote!(visit),
        (Direction::Load, false) => quote!(visit_mut),
    };
    let method = respanned(method, ty.span());
    let sealed = is_plain.then(|| quote_spanned!(ty.span()=> , #private::Sealed));
    quote_spanned!(ty.span()=> <#ty as #role>::#method(#place, #entries #sealed);)
}

/// The function that makes the value of a field that a file lacks.
fn default_of(field: &Field<'_>, default: &DefaultValue) -> TokenStream {
    match default {
        DefaultValue::OfType => {
            let ty = field.ty;
            let private = respanned(Schema::private(), ty.span());
            quote_spanned!(ty.span()=> <#ty as #private::core::default::Default>::default)
        }
        // The typed binding makes the compiler report the expected signature at the name of the function.
        DefaultValue::Function(path) => {
            let (ty, span) = (field.ty, path.span());
            let default = quote!(__fabric_default);
            let binding = quote_spanned!(span=> let #default: fn() -> #ty = #path;);
            quote!({ #binding #default })
        }
    }
}

/// Generates the `FieldSchema` with the field's attributes.
fn describe(field: &Field<'_>, declared: &str) -> TokenStream {
    let private = Schema::private();
    let attrs = &field.attrs;
    let key = &field.key;
    let mut described = quote!(#private::FieldSchema::new(__fabric_schema, #declared, #key));
    if !attrs.aliases.is_empty() {
        let aliases = attrs.aliases.iter().map(|alias| &alias.value);
        described.extend(quote!(.alias(&[#(#aliases),*])));
    }
    if let Some(filter) = &attrs.filter {
        described.extend(describe_filter(&private, &filter.value));
    }
    for shard in &attrs.shards {
        let dim = proc_macro2::Literal::usize_unsuffixed(shard.value.dim);
        let axis = shard.value.axis.as_ref().map(|axis| quote!(Some(#axis)));
        let axis = axis.unwrap_or_else(|| quote!(None));
        described.extend(quote!(.shard(#dim, #private::core::option::Option::#axis)));
    }
    let flags = [
        (attrs.optional.is_some(), quote!(.optional())),
        (field.joins(), quote!(.flatten())),
        (attrs.per_rank.is_some(), quote!(.per_rank())),
        (attrs.buffer.is_some(), quote!(.buffer())),
    ];
    for (is_set, call) in flags {
        if is_set {
            described.extend(call);
        }
    }
    described
}

fn describe_filter(private: &TokenStream, filter: &Filter) -> TokenStream {
    match filter {
        Filter::Text(any_of) => quote!(.filter_text(&[#(#any_of),*])),
        Filter::Glob(any_of) => quote!(.filter_glob(&[#(#any_of),*])),
        // The typed binding makes the compiler report the expected signature at the name of the filter function.
        Filter::Function(path) => {
            let span = path.span();
            let private = respanned(private.clone(), span);
            let filter = quote!(__fabric_filter);
            let signature = quote_spanned! {span=>
                fn(&#private::core::primitive::str, &#private::TensorInfo) -> #private::core::primitive::bool
            };
            let binding = quote_spanned!(span=> let #filter: #signature = #path;);
            quote!(.filter_function({ #binding #filter }))
        }
    }
}
