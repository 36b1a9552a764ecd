//! Generates `FIELDS`, a typed handle to every stored field, and the static that identifies the declaration.

mod table;

use proc_macro2::{Group, Ident, Spacing, Span, TokenStream, TokenTree};
use quote::{ToTokens, format_ident, quote};
use syn::Member;
use syn::ext::IdentExt;

use crate::attr::filter::Filter;
use crate::bounds::mentions;
use crate::schema::{Field, Fields, Role, Schema, Shape, Style};

/// The name of the static whose address identifies the declaration.
const DECLARATION: &str = "__FABRIC_DECLARATION";

/// The schema of the declared type, from the static that [`handles`] generates.
pub(super) fn declared() -> TokenStream {
    let (private, declaration) = (Schema::private(), format_ident!("{DECLARATION}"));
    quote!(#private::Schema::of::<Self>(&#declaration))
}

pub(crate) fn handles(schema: &Schema<'_>) -> TokenStream {
    let declaration = declaration(schema);
    // The fields of an enum depend on its variant, so no handle could lead to one.
    let Shape::Struct(fields) = &schema.shape else {
        return declaration;
    };
    if fields.stored().next().is_none() {
        return declaration;
    }
    let (ident, vis) = (schema.ident, schema.vis);
    let holder = holder_name(schema);
    let (impl_generics, ty_generics, where_clause) = schema.generics.split_for_impl();
    let values = fields.all.iter().filter_map(handle);
    let definition = definition(schema, &holder, fields);
    let doc = table::documentation(schema, fields);
    quote! {
        #declaration

        #definition

        impl #impl_generics #ident #ty_generics #where_clause {
            #[doc = #doc]
            #[allow(dead_code, private_interfaces)]
            #vis const FIELDS: #holder #ty_generics = #holder { #(#values),* };
        }
    }
}

/// The static that identifies the declaration.
fn declaration(schema: &Schema<'_>) -> TokenStream {
    let (private, declaration) = (Schema::private(), format_ident!("{DECLARATION}"));
    let name = schema.ident.unraw().to_string();
    let new = match schema.shape {
        Shape::Struct(_) => quote!(new),
        Shape::Enum(_) => quote!(of_enum),
    };
    quote! {
        static #declaration: #private::Declaration = #private::Declaration::#new(#name);
    }
}

/// The struct of handles. It has the generics of the schema, and each member has the visibility of its field: the type of
/// `FIELDS` then contains no private type, and a program can use the other handles wherever it can use the struct.
fn definition(schema: &Schema<'_>, holder: &Ident, fields: &Fields<'_>) -> TokenStream {
    let (private, vis, ident) = (Schema::private(), schema.vis, schema.ident);
    let (impl_generics, ty_generics, where_clause) = schema.generics.split_for_impl();
    let where_clause = without_self(where_clause.to_token_stream(), schema);
    let is_named = fields.style == Style::Named;
    let members = fields.all.iter().filter_map(|field| {
        let is_skipped = field.role() == Role::Skipped;
        if is_skipped {
            // The members of a tuple struct have the numbers of the fields.
            return (!is_named).then(|| quote!(()));
        }
        let (vis, ty) = (field.vis, without_self(field.ty.to_token_stream(), schema));
        let doc = if field.joins() {
            "The field whose entries join this level.".to_owned()
        } else {
            format!("The field that is stored as `{}`.", field.key)
        };
        let member = is_named.then(|| {
            let member = &field.member;
            quote!(#member:)
        });
        Some(quote! {
            #[doc = #doc]
            #vis #member #private::Field<#ident #ty_generics, #ty>
        })
    });
    let members: Vec<_> = members.collect();
    let body = if is_named {
        quote!(#where_clause { #(#members,)* })
    } else {
        quote!((#(#members,)*) #where_clause;)
    };
    let doc = format!("The handles in [`{}::FIELDS`].", ident.unraw());
    quote! {
        #[doc = #doc]
        #[allow(dead_code, missing_debug_implementations, non_camel_case_types, non_snake_case)]
        #[allow(private_bounds, private_interfaces, unreachable_pub, clippy::type_complexity)]
        #vis struct #holder #impl_generics #body
    }
}

/// The member of the struct of handles for a field.
fn handle(field: &Field<'_>) -> Option<TokenStream> {
    let (private, declaration) = (Schema::private(), format_ident!("{DECLARATION}"));
    let (member, key) = (&field.member, &field.key);
    if field.role() == Role::Skipped {
        return matches!(member, Member::Unnamed(_)).then(|| quote!(#member: ()));
    }
    Some(if field.joins() {
        quote!(#member: #private::Field::flattened(&#declaration))
    } else {
        quote!(#member: #private::Field::new(&#declaration, #key))
    })
}

/// The tokens with the declared type in place of `Self`, which means another type in the struct of handles. A path that
/// goes on from `Self` needs angle brackets in an expression: `[f32; <Model>::WIDTH]`.
fn without_self(tokens: TokenStream, schema: &Schema<'_>) -> TokenStream {
    let ident = schema.ident;
    let (_, ty_generics, _) = schema.generics.split_for_impl();
    let mut tokens = tokens.into_iter().peekable();
    let mut replaced = TokenStream::new();
    while let Some(token) = tokens.next() {
        match token {
            TokenTree::Ident(word) if word == "Self" => {
                let goes_on = tokens.peek().is_some_and(begins_with_a_path_separator);
                replaced.extend(if goes_on {
                    quote!(<#ident #ty_generics>)
                } else {
                    quote!(#ident #ty_generics)
                });
            }
            TokenTree::Group(group) => {
                let mut inner = Group::new(group.delimiter(), without_self(group.stream(), schema));
                inner.set_span(group.span());
                replaced.extend([TokenTree::Group(inner)]);
            }
            other => replaced.extend([other]),
        }
    }
    replaced
}

/// True for the first colon of `::`, and false for that of a bound.
fn begins_with_a_path_separator(token: &TokenTree) -> bool {
    matches!(token, TokenTree::Punct(colon) if colon.as_char() == ':' && colon.spacing() == Spacing::Joint)
}

/// The name of the struct of handles: `TrainStateFields`, with underscores added until the name is not among the names that
/// the generated code takes from the declaration.
fn holder_name(schema: &Schema<'_>) -> Ident {
    let mut name = Ident::new(&format!("{}Fields", schema.ident.unraw()), Span::call_site());
    let (ident, generics, clause) = (schema.ident, schema.generics, &schema.generics.where_clause);
    let mut scope: TokenStream = quote!(#ident #generics #clause);
    scope.extend(schema.attrs.bound.iter().map(ToTokens::to_token_stream));
    for field in schema.lists().into_iter().flat_map(|fields| &fields.all) {
        scope.extend(field.ty.to_token_stream());
        if let Some(Filter::Function(path)) = field.attrs.filter.as_ref().map(|filter| &filter.value) {
            scope.extend(path.to_token_stream());
        }
    }
    while mentions(&scope, &name) {
        name = format_ident!("{name}_");
    }
    name
}
