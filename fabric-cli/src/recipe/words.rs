//! The words of a recipe, from the calls in a program.

use fabric_core::{DType, Migrations, Moments};
use serde_json::Value;
use syn::spanned::Spanned;
use syn::{Expr, ExprLit, ExprMethodCall, Ident, Lit, LitInt, Stmt, UnOp};

/// The recipe that statements such as `m.from(1, "..").rename("a", "b");` write. `parameter` is the name of the recipe in the
/// function, or `None` for any.
///
/// # Errors
/// If a statement is no chain of words, or a word has an argument that does not stand in the text.
pub(super) fn statements(statements: &[Stmt], parameter: Option<&Ident>) -> syn::Result<Migrations> {
    let mut recipe = Migrations::default();
    for statement in statements {
        match statement {
            Stmt::Expr(expression, _) => chain(&mut recipe, expression, parameter)?,
            Stmt::Item(syn::Item::Use(_)) => {}
            other => return Err(no_word(other)),
        }
    }
    Ok(recipe)
}

fn no_word(found: &impl Spanned) -> syn::Error {
    syn::Error::new(
        found.span(),
        "the command reads words such as m.rename(\"a\", \"b\") and runs no code; Fabric::migrate::<State>(from, to) in a program \
         does",
    )
}

/// Writes the words of `m.first(..).second(..)`.
fn chain(recipe: &mut Migrations, expression: &Expr, parameter: Option<&Ident>) -> syn::Result<()> {
    match expression {
        Expr::MethodCall(call) if call.attrs.is_empty() => {
            chain(recipe, &call.receiver, parameter)?;
            word(recipe, call)
        }
        Expr::Path(path) if path.attrs.is_empty() && is_recipe(path.path.get_ident(), parameter) => Ok(()),
        other => Err(no_word(other)),
    }
}

fn is_recipe(found: Option<&Ident>, parameter: Option<&Ident>) -> bool {
    found.is_some_and(|found| parameter.is_none_or(|parameter| found == parameter))
}

/// Writes one word.
fn word(m: &mut Migrations, call: &ExprMethodCall) -> syn::Result<()> {
    let name = call.method.to_string();
    let of = |count: usize| arguments(call, count);
    match name.as_str() {
        "from" => of(2).and_then(|own| Ok(m.from(number(own[0])?, text(own[1])?)))?,
        "rename" => of(2).and_then(|own| Ok(m.rename(text(own[0])?, text(own[1])?)))?,
        "concat" => of(3).and_then(|own| Ok(m.concat(texts(own[0])?, text(own[1])?, number(own[2])?)))?,
        "split" => of(3).and_then(|own| Ok(m.split(text(own[0])?, parts(own[1])?, number(own[2])?)))?,
        "stack" => {
            let own = of(3)?;
            let (to, dim) = (text(own[1])?, number(own[2])?);
            match items(own[0]) {
                Some(_) => m.stack(texts(own[0])?, to, dim),
                None => m.stack(text(own[0])?, to, dim),
            }
        }
        "unstack" => of(3).and_then(|own| Ok(m.unstack(text(own[0])?, text(own[1])?, number(own[2])?)))?,
        "transpose" => of(3).and_then(|own| Ok(m.transpose(text(own[0])?, number(own[1])?, number(own[2])?)))?,
        "reshape" => of(2).and_then(|own| Ok(m.reshape(text(own[0])?, shape(own[1])?)))?,
        "cast" => of(2).and_then(|own| Ok(m.cast(text(own[0])?, dtype(own[1])?)))?,
        "insert" => of(2).and_then(|own| Ok(m.insert(text(own[0])?, value(own[1])?)))?,
        "version" => of(2).and_then(|own| Ok(m.version(text(own[0])?, number(own[1])?)))?,
        "insert_zeros" => of(1).and_then(|own| Ok(m.insert_zeros(text(own[0])?)))?,
        "keep" => of(1).and_then(|own| Ok(m.keep(text(own[0])?)))?,
        "remove" => of(1).and_then(|own| Ok(m.remove(text(own[0])?)))?,
        "if_present" => of(0).map(|_| m.if_present())?,
        "moments" => of(1).and_then(|own| Ok(m.moments(moments(own[0])?)))?,
        _ => return Err(no_word(&call.method)),
    };
    Ok(())
}

fn arguments(call: &ExprMethodCall, count: usize) -> syn::Result<Vec<&Expr>> {
    let all: Vec<&Expr> = call.args.iter().map(bare).collect();
    if all.len() == count {
        return Ok(all);
    }
    let what = format!("`{}` takes {count} arguments, and here are {}", call.method, all.len());
    Err(syn::Error::new(call.method.span(), what))
}

/// The expression without `&`, parentheses, and the conversions of a text.
fn bare(expression: &Expr) -> &Expr {
    match expression {
        Expr::Reference(own) => bare(&own.expr),
        Expr::Paren(own) => bare(&own.expr),
        Expr::Group(own) => bare(&own.expr),
        Expr::MethodCall(call)
            if call.args.is_empty() && ["to_owned", "into", "to_string"].iter().any(|own| call.method == own) =>
        {
            bare(&call.receiver)
        }
        other => other,
    }
}

fn no_literal(found: &Expr, wanted: &str) -> syn::Error {
    let what = format!(
        "{wanted} must stand here: the command runs no code; Fabric::migrate::<State>(from, to) in a program does"
    );
    syn::Error::new(found.span(), what)
}

fn text(expression: &Expr) -> syn::Result<String> {
    match bare(expression) {
        Expr::Lit(ExprLit {
            lit: Lit::Str(literal), ..
        }) => Ok(literal.value()),
        other => Err(no_literal(other, "a text in quotes")),
    }
}

/// A number that stands in the text.
///
/// # Errors
/// If it does not, or does not fit.
pub(super) fn number<N>(expression: &Expr) -> syn::Result<N>
where
    N: std::str::FromStr<Err: std::fmt::Display>,
{
    match bare(expression) {
        Expr::Lit(ExprLit {
            lit: Lit::Int(literal), ..
        }) => LitInt::base10_parse(literal),
        other => Err(no_literal(other, "a number")),
    }
}

/// The items of a list; `None` for anything else.
fn items(expression: &Expr) -> Option<Vec<&Expr>> {
    match bare(expression) {
        Expr::Array(own) => Some(own.elems.iter().collect()),
        _ => None,
    }
}

fn texts(expression: &Expr) -> syn::Result<Vec<String>> {
    let items = items(expression).ok_or_else(|| no_literal(expression, "a list of texts"))?;
    items.into_iter().map(text).collect()
}

/// The list of `("name", length)` of a split.
fn parts(expression: &Expr) -> syn::Result<Vec<(String, usize)>> {
    let wanted = "a list of (\"name\", length)";
    let items = items(expression).ok_or_else(|| no_literal(expression, wanted))?;
    let part = |item: &Expr| match bare(item) {
        Expr::Tuple(own) if own.elems.len() == 2 => Ok((text(&own.elems[0])?, number(&own.elems[1])?)),
        other => Err(no_literal(other, wanted)),
    };
    items.into_iter().map(part).collect()
}

/// A shape as candle takes it: `4`, `(2, 3)`, `[2, 3]`.
fn shape(expression: &Expr) -> syn::Result<Vec<usize>> {
    match bare(expression) {
        Expr::Tuple(own) => own.elems.iter().map(number).collect(),
        Expr::Array(own) => own.elems.iter().map(number).collect(),
        other => Ok(vec![number(other)?]),
    }
}

fn last_segment(expression: &Expr) -> Option<String> {
    match expression {
        Expr::Path(own) => own.path.segments.last().map(|segment| segment.ident.to_string()),
        _ => None,
    }
}

fn dtype(expression: &Expr) -> syn::Result<DType> {
    let named = last_segment(expression).and_then(|name| DType::from_name(&name));
    named.ok_or_else(|| no_literal(expression, "an element type such as DType::BF16"))
}

fn moments(expression: &Expr) -> syn::Result<Moments> {
    match last_segment(expression).as_deref() {
        Some("Reset") => Ok(Moments::Reset),
        Some("Follow") => Ok(Moments::Follow),
        _ => Err(no_literal(expression, "Moments::Reset or Moments::Follow")),
    }
}

/// A value: a number, a text, true or false, `None`, or a list of values.
fn value(expression: &Expr) -> syn::Result<Value> {
    let wanted = || no_literal(expression, "a number, a text, true, false, None, or a list of them");
    match bare(expression) {
        Expr::Lit(ExprLit { lit, .. }) => match lit {
            Lit::Str(own) => Ok(own.value().into()),
            Lit::Bool(own) => Ok(own.value.into()),
            Lit::Int(own) if own.suffix().starts_with('f') => Ok(own.base10_parse::<f64>()?.into()),
            Lit::Int(own) => Ok(own.base10_parse::<u64>()?.into()),
            Lit::Float(own) => Ok(own.base10_parse::<f64>()?.into()),
            _ => Err(wanted()),
        },
        Expr::Unary(own) if matches!(own.op, UnOp::Neg(_)) => match value(&own.expr)? {
            Value::Number(number) => match (number.as_u64(), number.as_f64()) {
                (Some(number), _) => Ok(0i64.checked_sub_unsigned(number).ok_or_else(wanted)?.into()),
                (None, Some(number)) => Ok((-number).into()),
                (None, None) => Err(wanted()),
            },
            _ => Err(wanted()),
        },
        Expr::Path(own) if own.path.is_ident("None") => Ok(Value::Null),
        Expr::Array(own) => own
            .elems
            .iter()
            .map(value)
            .collect::<syn::Result<Vec<_>>>()
            .map(Value::from),
        _ => Err(wanted()),
    }
}
