//! Recipes from the source of a program: the structs that declare `version` and `migrate`, and the functions that they name.
//!
//! The command reads the words as they stand in the program, so that there is one recipe and no second language. It runs no code: a
//! word with a function, a loop or a variable is an error with its line.

mod words;

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use fabric_core::{Migrations, Recipes};
use proc_macro2::Span;
use syn::spanned::Spanned;
use syn::{Block, FnArg, Ident, ImplItem, Item, Pat, Signature, Type};

use crate::failure::Failure;
use crate::text::plain;

/// The recipes of a file of Rust: of its structs, or, for a file of statements, one of the whole checkpoint.
///
/// # Errors
/// If the file cannot be read, is no Rust, has no recipe, or has one that the command cannot follow without running code.
pub(crate) fn read(path: &Path) -> Result<Recipes, Failure> {
    let text = fs::read_to_string(path).map_err(|error| Failure::of(path, &error))?;
    of_text(&text).map_err(|error| {
        let start = error.span().start();
        let (name, line, column) = (path.to_string_lossy(), start.line, start.column + 1);
        Failure::new(format!("{}:{line}:{column}: {error}", plain(&name)))
    })
}

fn of_text(text: &str) -> syn::Result<Recipes> {
    let program = match syn::parse_file(text) {
        Ok(file) => Program::of(&file.items)?,
        Err(of_program) => {
            let statements = syn::parse::Parser::parse_str(Block::parse_within, text).map_err(|_| of_program)?;
            let recipe = words::statements(&statements, None)?;
            return Ok(Recipes::new().whole(|m| *m = recipe));
        }
    };
    if program.structs.is_empty() {
        return Err(syn::Error::new(
            Span::call_site(),
            "no struct here declares #[checkpoint(version = .., migrate = ..)]",
        ));
    }
    let mut recipes = Recipes::new();
    for declared in &program.structs {
        let recipe = program.recipe(declared)?;
        recipes = recipes.of(declared.name.to_string(), declared.version, |m| *m = recipe);
    }
    Ok(recipes)
}

/// The parts of a program that make recipes.
#[derive(Default)]
struct Program {
    structs: Vec<Declared>,
    /// The functions by the type that they belong to, and their name. Free functions belong to the empty name.
    functions: HashMap<(String, String), (Signature, Block)>,
}

/// A struct with a version and a recipe.
struct Declared {
    name: Ident,
    version: u32,
    /// The type and the function of `migrate = Type::function`.
    migrate: (String, String),
    span: Span,
}

impl Program {
    fn of(items: &[Item]) -> syn::Result<Self> {
        let mut program = Self::default();
        program.add(items)?;
        Ok(program)
    }

    fn add(&mut self, items: &[Item]) -> syn::Result<()> {
        for item in items {
            match item {
                Item::Struct(own) => self.declare(&own.ident, &own.attrs)?,
                Item::Enum(own) => self.declare(&own.ident, &own.attrs)?,
                Item::Fn(function) => self.keep("", &function.sig, &function.block),
                Item::Impl(own) => {
                    let name = last_name(&own.self_ty);
                    for item in &own.items {
                        if let ImplItem::Fn(function) = item {
                            self.keep(&name, &function.sig, &function.block);
                        }
                    }
                }
                Item::Mod(module) => self.add(module.content.as_ref().map_or(&[], |(_, items)| items))?,
                _ => {}
            }
        }
        Ok(())
    }

    fn keep(&mut self, name: &str, signature: &Signature, block: &Block) {
        let key = (name.to_owned(), signature.ident.to_string());
        self.functions.insert(key, (signature.clone(), block.clone()));
    }

    /// Takes the version and the recipe from the attributes of a type. Other attributes are the derive's.
    fn declare(&mut self, name: &Ident, attributes: &[syn::Attribute]) -> syn::Result<()> {
        let (mut version, mut migrate) = (None, None);
        for attribute in attributes.iter().filter(|own| own.path().is_ident("checkpoint")) {
            attribute.parse_nested_meta(|meta| {
                if meta.path.is_ident("version") {
                    version = Some(meta.value()?.parse::<syn::Expr>()?);
                } else if meta.path.is_ident("migrate") {
                    migrate = Some(meta.value()?.parse::<syn::ExprPath>()?);
                } else if meta.input.peek(syn::Token![=]) {
                    meta.value()?.parse::<syn::Expr>()?;
                } else if meta.input.peek(syn::token::Paren) {
                    let inside;
                    syn::parenthesized!(inside in meta.input);
                    inside.parse::<proc_macro2::TokenStream>()?;
                }
                Ok(())
            })?;
        }
        let (Some(version), Some(migrate)) = (version, migrate) else {
            return Ok(());
        };
        let span = migrate.span();
        let segments: Vec<String> = migrate.path.segments.iter().map(|own| own.ident.to_string()).collect();
        let [.., function] = &segments[..] else { return Ok(()) };
        let owner = match segments.len().checked_sub(2).map(|at| segments[at].as_str()) {
            Some("Self") => name.to_string(),
            Some(owner) => owner.to_owned(),
            None => String::new(),
        };
        self.structs.push(Declared {
            name: name.clone(),
            version: words::number(&version)?,
            migrate: (owner, function.clone()),
            span,
        });
        Ok(())
    }

    fn recipe(&self, declared: &Declared) -> syn::Result<Migrations> {
        let (owner, name) = &declared.migrate;
        let free = (String::new(), name.clone());
        // `module::function` looks as `Type::function` does.
        let function = self
            .functions
            .get(&declared.migrate)
            .or_else(|| self.functions.get(&free));
        let Some((signature, block)) = function else {
            let path = if owner.is_empty() {
                name.clone()
            } else {
                format!("{owner}::{name}")
            };
            let what = format!("the function `{path}` is not in this file: give the file that has it and the struct");
            return Err(syn::Error::new(declared.span, what));
        };
        words::statements(&block.stmts, Some(parameter(signature)?))
    }
}

/// The name of the parameter of a recipe.
fn parameter(signature: &Signature) -> syn::Result<&Ident> {
    if let Some(FnArg::Typed(typed)) = signature.inputs.first()
        && let Pat::Ident(pattern) = &*typed.pat
    {
        return Ok(&pattern.ident);
    }
    Err(syn::Error::new(
        signature.span(),
        "a recipe is a function of one parameter, `m: &mut Migrations`",
    ))
}

fn last_name(of: &Type) -> String {
    match of {
        Type::Path(path) => path
            .path
            .segments
            .last()
            .map_or_else(String::new, |own| own.ident.to_string()),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests;
