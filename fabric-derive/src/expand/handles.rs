//! Generates `FIELDS`, a typed handle to every stored field, and the static that identifies the declaration.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, format_ident, quote};
use syn::ext::IdentExt;

use crate::bounds::mentions;
use crate::schema::{Field, Schema};

/// The name of the static whose address identifies the declaration.
const DECLARATION: &str = "__FABRIC_DECLARATION";

/// The schema of the declared type, from the static that [`handles`] generates.
pub(super) fn declared() -> TokenStream {
    let (private, declaration) = (Schema::private(), format_ident!("{DECLARATION}"));
    quote!(#private::Schema::of::<Self>(&#declaration))
}

pub(crate) fn handles(schema: &Schema<'_>) -> TokenStream {
    let fields: Vec<_> = schema.stored().collect();
    if fields.is_empty() {
        // A schema without stored fields has an error already.
        return TokenStream::new();
    }
    let (private, ident, vis) = (Schema::private(), schema.ident, schema.vis);
    let holder = holder_name(schema);
    let (impl_generics, ty_generics, where_clause) = schema.generics.split_for_impl();
    let types = fields.iter().map(|field| field.ty);
    let declaration = format_ident!("{DECLARATION}");
    let name = ident.unraw().to_string();
    let values = fields.iter().map(|field| handle(&private, &declaration, field));
    let definition = definition(schema, &holder, &fields);
    let doc = format!(
        "Typed handles to the stored fields of [`{0}`]. The handle of a field inside a field is reached with `then`, as in \
         `{0}::FIELDS.outer.then(Outer::FIELDS.inner)`.",
        ident.unraw()
    );
    quote! {
        static #declaration: #private::Declaration = #private::Declaration::new(#name);

        #definition

        impl #impl_generics #ident #ty_generics #where_clause {
            #[doc = #doc]
            #[allow(dead_code, private_interfaces, clippy::type_complexity)]
            #vis const FIELDS: #holder<Self #(, #types)*> = #holder { #(#values),* };
        }
    }
}

/// The struct of handles. It has one type parameter for each field, and so needs no generics or bounds of the schema.
fn definition(schema: &Schema<'_>, holder: &Ident, fields: &[&Field<'_>]) -> TokenStream {
    let private = Schema::private();
    let owner = schema.ident.unraw();
    let params: Vec<_> = (0..fields.len()).map(|at| format_ident!("__Field{at}")).collect();
    let members = fields.iter().zip(&params).map(|(field, param)| {
        let ident = field.ident;
        let doc = match field.attrs.flatten {
            Some(_) => "The field whose entries join this level.".to_owned(),
            None => format!("The field that is stored as `{}`.", field.key),
        };
        quote! {
            #[doc = #doc]
            pub #ident: #private::Field<__State, #param>
        }
    });
    let doc = format!("The handles in [`{owner}::FIELDS`].");
    quote! {
        #[doc = #doc]
        #[allow(dead_code, missing_debug_implementations, non_camel_case_types, non_snake_case, unreachable_pub)]
        pub struct #holder<__State #(, #params)*> {
            #(#members,)*
        }
    }
}

fn handle(private: &TokenStream, declaration: &Ident, field: &Field<'_>) -> TokenStream {
    let (ident, key) = (field.ident, &field.key);
    if field.attrs.flatten.is_some() {
        quote!(#ident: #private::Field::flattened(&#declaration))
    } else {
        quote!(#ident: #private::Field::new(&#declaration, #key))
    }
}

/// The name of the struct of handles: `TrainStateFields`, with underscores added until no field type contains the name.
fn holder_name(schema: &Schema<'_>) -> Ident {
    let mut name = Ident::new(&format!("{}Fields", schema.ident.unraw()), Span::call_site());
    let (generics, clause) = (schema.generics.to_token_stream(), &schema.generics.where_clause);
    let mut scope: TokenStream = quote!(#generics #clause);
    scope.extend(schema.fields.iter().map(|field| field.ty.to_token_stream()));
    let ident = schema.ident;
    scope.extend(quote!(#ident));
    while mentions(&scope, &name) {
        name = format_ident!("{name}_");
    }
    name
}
