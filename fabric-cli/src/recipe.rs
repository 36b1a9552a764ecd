//! Recipes from the source of a program: the structs that declare `version` and `migrate`, and the functions that they name.
//!
//! The command reads the words as they stand in the program, so that there is one recipe and no second language. It runs no code: a
//! word with a function, a loop or a variable is an error with its line.

mod words;

use std::fs;
use std::path::Path;

use fabric_core::{Migrations, Recipes};
use proc_macro2::Span;
use syn::spanned::Spanned;
use syn::{Attribute, Block, Expr, FnArg, Ident, ImplItem, Item, Pat, Signature, Type};

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
    functions: Vec<Function>,
}

/// A struct with a version and a recipe.
struct Declared {
    name: Ident,
    version: u32,
    /// The path of `migrate`.
    migrate: syn::Path,
    module: Vec<String>,
}

/// A function that may be a recipe.
struct Function {
    module: Vec<String>,
    /// The type that it belongs to; empty for a free function.
    owner: String,
    signature: Signature,
    block: Block,
    /// The function is compiled on a condition.
    is_conditional: bool,
}

impl Program {
    fn of(items: &[Item]) -> syn::Result<Self> {
        let mut program = Self::default();
        program.add(items, &[])?;
        Ok(program)
    }

    /// Adds the items of a module. A module with a condition, `#[cfg(test)]` for instance, is left out.
    fn add(&mut self, items: &[Item], module: &[String]) -> syn::Result<()> {
        for item in items {
            match item {
                Item::Struct(own) => self.declare(&own.ident, &own.attrs, module)?,
                Item::Enum(own) => self.declare(&own.ident, &own.attrs, module)?,
                Item::Fn(function) => self.keep(
                    module,
                    "",
                    (&function.sig, &function.block),
                    is_conditional(&function.attrs),
                ),
                Item::Impl(own) => {
                    let name = last_name(&own.self_ty);
                    for item in &own.items {
                        if let ImplItem::Fn(function) = item {
                            let is_conditional = is_conditional(&own.attrs) || is_conditional(&function.attrs);
                            self.keep(module, &name, (&function.sig, &function.block), is_conditional);
                        }
                    }
                }
                Item::Mod(inner) if !is_conditional(&inner.attrs) => {
                    let inside = [module, &[inner.ident.to_string()]].concat();
                    self.add(inner.content.as_ref().map_or(&[], |(_, items)| items), &inside)?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn keep(&mut self, module: &[String], owner: &str, (signature, block): (&Signature, &Block), is_conditional: bool) {
        self.functions.push(Function {
            module: module.to_vec(),
            owner: owner.to_owned(),
            signature: signature.clone(),
            block: block.clone(),
            is_conditional,
        });
    }

    /// Takes the version and the recipe from the attributes of a type. Other attributes are the derive's.
    fn declare(&mut self, name: &Ident, attributes: &[Attribute], module: &[String]) -> syn::Result<()> {
        let Some((version, migrate)) = declared(attributes)? else {
            return Ok(());
        };
        if is_conditional(attributes) {
            return Err(conditional(name.span()));
        }
        if self.structs.iter().any(|other| other.name == *name) {
            let what =
                format!("the file has a second `{name}` with a recipe, and a checkpoint tells structs by their names");
            return Err(syn::Error::new(name.span(), what));
        }
        self.structs.push(Declared {
            name: name.clone(),
            version: words::number(&version)?,
            migrate,
            module: module.to_vec(),
        });
        Ok(())
    }

    fn recipe(&self, declared: &Declared) -> syn::Result<Migrations> {
        let refuse = |what: &str| Err(syn::Error::new(declared.migrate.span(), what));
        let found: Vec<&Function> = self.functions.iter().filter(|own| own.is_meant_by(declared)).collect();
        match found[..] {
            [function] if function.is_conditional => Err(conditional(function.signature.span())),
            [function] => words::statements(&function.block.stmts, Some(parameter(&function.signature)?)),
            [] => {
                let segments = declared.migrate.segments.iter().map(|own| own.ident.to_string());
                let path = segments.collect::<Vec<_>>().join("::");
                refuse(&format!(
                    "the function `{path}` is not in this file: give the file that has it and the struct"
                ))
            }
            _ => refuse("the file has several functions of this name, and the command cannot tell which one is meant"),
        }
    }
}

impl Function {
    /// Returns true for the function that the path of a struct's `migrate` names.
    fn is_meant_by(&self, declared: &Declared) -> bool {
        let segments: Vec<String> = declared
            .migrate
            .segments
            .iter()
            .map(|own| own.ident.to_string())
            .collect();
        let Some((name, before)) = segments.split_last() else {
            return false;
        };
        if self.signature.ident != name {
            return false;
        }
        let is_here = self.module == declared.module;
        match before.last().map(String::as_str) {
            None | Some("self") => self.owner.is_empty() && is_here,
            Some("Self") => declared.name == self.owner && is_here,
            Some(owner) if self.owner == owner => declared.name != owner || is_here,
            Some(module) => self.owner.is_empty() && self.module.last().is_some_and(|own| own == module),
        }
    }
}

/// The version and the recipe that the attributes of a type declare.
fn declared(attributes: &[Attribute]) -> syn::Result<Option<(Expr, syn::Path)>> {
    let (mut version, mut migrate) = (None, None);
    for attribute in attributes.iter().filter(|own| own.path().is_ident("checkpoint")) {
        attribute.parse_nested_meta(|meta| {
            if meta.path.is_ident("version") {
                version = Some(meta.value()?.parse::<Expr>()?);
            } else if meta.path.is_ident("migrate") {
                migrate = Some(meta.value()?.parse::<syn::Path>()?);
            } else if meta.input.peek(syn::Token![=]) {
                meta.value()?.parse::<Expr>()?;
            } else if meta.input.peek(syn::token::Paren) {
                let inside;
                syn::parenthesized!(inside in meta.input);
                inside.parse::<proc_macro2::TokenStream>()?;
            }
            Ok(())
        })?;
    }
    Ok(version.zip(migrate))
}

fn is_conditional(attributes: &[Attribute]) -> bool {
    let is_condition = |own: &Attribute| own.path().is_ident("cfg") || own.path().is_ident("cfg_attr");
    attributes.iter().any(is_condition)
}

fn conditional(span: Span) -> syn::Error {
    let what = "the recipe is compiled on a condition, which the command does not know; Fabric::migrate::<State>(from, to) in the \
                program does";
    syn::Error::new(span, what)
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
