//! Generates `visit` and `visit_mut`, which enter each field, show its entries, and leave it.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::ext::IdentExt;
use syn::spanned::Spanned as _;

use super::handles::declared;
use super::respanned;
use crate::attr::filter::Filter;
use crate::schema::{Field, Role, Schema};

pub(crate) fn visit(schema: &Schema<'_>) -> TokenStream {
    let (private, declared) = (Schema::private(), declared());
    let steps = schema
        .stored()
        .map(|field| step(schema, field, &quote!(visit), &quote!(&)));
    quote! {
        fn visit<'__fabric>(
            &'__fabric self,
            __fabric_entries: &mut #private::Visitor<'__fabric>,
        ) {
            let __fabric_schema = #declared;
            #(#steps)*
        }
    }
}

pub(crate) fn visit_mut(schema: &Schema<'_>) -> TokenStream {
    let (private, declared) = (Schema::private(), declared());
    let steps = schema
        .stored()
        .map(|field| step(schema, field, &quote!(visit_mut), &quote!(&mut)));
    quote! {
        fn visit_mut<'__fabric>(
            &'__fabric mut self,
            __fabric_entries: &mut #private::VisitorMut<'__fabric>,
        ) {
            let __fabric_schema = #declared;
            #(#steps)*
        }
    }
}

/// Generates the code for one field. The call has the span of the type, so that the compiler underlines a type without
/// the trait. The names in the call do not, because the type may come from another macro than the struct.
fn step(schema: &Schema<'_>, field: &Field<'_>, method: &TokenStream, borrow: &TokenStream) -> TokenStream {
    let (ident, ty) = (field.ident, field.ty);
    let private = respanned(Schema::private(), ty.span());
    let place = quote!(#borrow self.#ident);
    let entries = quote!(__fabric_entries);
    let role = match field.role() {
        Role::Metadata => quote_spanned!(ty.span()=> #private::Metadata),
        Role::Component | Role::Skipped => quote_spanned!(ty.span()=> #private::Checkpoint),
    };
    let method = respanned(method.clone(), ty.span());
    let call = quote_spanned!(ty.span()=> <#ty as #role>::#method(#place, #entries););
    let described = describe(schema, field);
    let own = Schema::private();
    let walking = quote!(#own::Walking);
    quote! {
        #walking::enter(#entries, #described);
        #call
        #walking::leave(#entries);
    }
}

/// Generates the `FieldSchema` with the field's attributes.
fn describe(schema: &Schema<'_>, field: &Field<'_>) -> TokenStream {
    let private = Schema::private();
    let attrs = &field.attrs;
    let declared = format!("{}.{}", schema.ident.unraw(), field.ident.unraw());
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
        (&attrs.optional, quote!(.optional())),
        (&attrs.flatten, quote!(.flatten())),
        (&attrs.per_rank, quote!(.per_rank())),
        (&attrs.buffer, quote!(.buffer())),
    ];
    for (flag, call) in flags {
        if flag.is_some() {
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
