//! Values: Python objects without tensors, in the form that checkpoints hold values in.

use ciborium::Value as Cbor;

use super::flatten::Budget;
use super::globals::dtype;
use crate::source::pickle::{Id, Object, Pickle};
use crate::value::Value;

/// Deeper nesting is refused; so is an object that contains itself.
pub(super) const MAX_DEPTH: usize = 100;

/// The value that an object is. What has no form as a value becomes a leaf that says what it is.
pub(super) fn value(pickle: &Pickle, id: Id, depth: usize, budget: &mut Budget) -> Result<Value, String> {
    if depth > MAX_DEPTH {
        return Err(format!("nests deeper than {MAX_DEPTH} levels, or contains itself"));
    }
    let object = pickle.get(id);
    budget.spend(object_len(object))?;
    Ok(match object {
        Object::None => Value::null(),
        Object::Bool(flag) => Value(Cbor::Bool(*flag)),
        Object::Int(number) => Value::of(number).unwrap_or_else(|_| Value::null()),
        Object::Float(number) => Value(Cbor::Float(*number)),
        Object::Text(text) => Value(Cbor::Text(text.to_string())),
        Object::Bytes(bytes) => Value(Cbor::Bytes(bytes.to_vec())),
        Object::List(items) | Object::Set(items) => list(pickle, items, depth, budget)?,
        Object::Tuple(items) => list(pickle, items, depth, budget)?,
        Object::Dict(entries) => {
            let pairs = entries.iter().map(|(key, item)| {
                let key = value(pickle, *key, depth + 1, budget)?;
                Ok((key, value(pickle, *item, depth + 1, budget)?))
            });
            let pairs = pairs.collect::<Result<_, String>>()?;
            Value::map_of(pairs).ok_or("has one key twice")?
        }
        Object::Opaque(class) => Value::opaque(class),
        Object::Persistent(_) => Value::opaque("a storage without a tensor"),
        Object::Global(global) => match dtype(&global.name) {
            Some(_) => Value(Cbor::Text(global.name.to_string())),
            None => Value::opaque(&global.name),
        },
        Object::Call { .. } => call(pickle, id, depth, budget)?,
    })
}

fn object_len(object: &Object) -> usize {
    match object {
        Object::Text(text) => text.len(),
        Object::Bytes(bytes) => bytes.len(),
        Object::Opaque(class) => class.len(),
        Object::Global(global) => global.name.len(),
        _ => 0,
    }
}

fn list(pickle: &Pickle, items: &[Id], depth: usize, budget: &mut Budget) -> Result<Value, String> {
    let items = items.iter().map(|id| value(pickle, *id, depth + 1, budget));
    Ok(Value::list(items.collect::<Result<Vec<_>, _>>()?))
}

/// The calls on the allow-list that stand for plain values.
fn call(pickle: &Pickle, id: Id, depth: usize, budget: &mut Budget) -> Result<Value, String> {
    let Some((name, arguments, state)) = pickle.call(id) else {
        return Ok(Value::opaque("the result of a call"));
    };
    Ok(match (name, arguments) {
        ("torch.Size", [sizes]) => value(pickle, *sizes, depth + 1, budget)?,
        ("torch.device", _) => joined(pickle, arguments, ":").unwrap_or_else(|| Value::opaque(name)),
        ("builtins.complex" | "__builtin__.complex", [_, _]) => list(pickle, arguments, depth, budget)?,
        ("numpy.core.multiarray.scalar" | "numpy._core.multiarray.scalar", [dtype, bytes]) => {
            numpy_scalar(pickle, *dtype, *bytes).unwrap_or_else(|| Value::opaque("numpy scalar"))
        }
        _ if name.starts_with("pathlib.") => joined(pickle, arguments, "/").unwrap_or_else(|| Value::opaque(name)),
        _ => {
            let _ = state;
            Value::opaque(name)
        }
    })
}

/// Texts and numbers in a row: `cuda:0`, `runs/last`.
fn joined(pickle: &Pickle, parts: &[Id], between: &str) -> Option<Value> {
    let parts = parts.iter().map(|id| match pickle.get(*id) {
        Object::Text(text) => Some(text.to_string()),
        Object::Int(number) => Some(number.to_string()),
        _ => None,
    });
    let text = parts.collect::<Option<Vec<_>>>()?.join(between);
    // An absolute path has its root as its first part.
    let text = if between == "/" {
        text.replacen("//", "/", 1)
    } else {
        text
    };
    Some(Value(Cbor::Text(text)))
}

/// `scalar(dtype('f8'), bytes)`, whose byte order is in the state of the `dtype`.
fn numpy_scalar(pickle: &Pickle, dtype: Id, bytes: Id) -> Option<Value> {
    let ("numpy.dtype", [kind, ..], state) = pickle.call(dtype)? else {
        return None;
    };
    let order = state.and_then(|state| pickle.text(*pickle.items(state)?.get(1)?));
    let Object::Bytes(bytes) = pickle.get(bytes) else {
        return None;
    };
    let mut bytes = bytes.to_vec();
    match order {
        Some(">") => bytes.reverse(),
        Some("<" | "|") | None => {}
        Some(_) => return None,
    }
    let value = match (pickle.text(*kind)?, bytes.len()) {
        ("f8", 8) => Value(Cbor::Float(f64::from_le_bytes(bytes.try_into().ok()?))),
        ("f4", 4) => Value(Cbor::Float(f32::from_le_bytes(bytes.try_into().ok()?).into())),
        ("b1", 1) => Value(Cbor::Bool(bytes[0] != 0)),
        ("i1" | "i2" | "i4" | "i8", 1..=8) => {
            let negative = bytes.last().is_some_and(|byte| byte & 0x80 != 0);
            bytes.resize(8, if negative { 0xff } else { 0 });
            Value(Cbor::from(i64::from_le_bytes(bytes.try_into().ok()?)))
        }
        ("u1" | "u2" | "u4" | "u8", 1..=8) => {
            bytes.resize(8, 0);
            Value(Cbor::from(u64::from_le_bytes(bytes.try_into().ok()?)))
        }
        _ => return None,
    };
    Some(value)
}
