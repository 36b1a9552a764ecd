//! Converts Python objects without tensors into the values of a checkpoint.

use std::borrow::Cow;

use ciborium::Value as Cbor;

use super::flatten::Costs;
use super::globals::dtype;
use crate::foreign::pickle::{Id, Object, Pickle};
use crate::source::refused::Refused;
use crate::value::Value;

/// The deepest nesting that is read. An object that contains itself is refused, too.
pub(crate) const MAX_DEPTH: usize = 100;

pub(super) fn too_deep() -> Refused {
    Refused::Unknown(format!("nests deeper than {MAX_DEPTH} levels, or contains itself"))
}

/// Converts an object into a value. An object without a form as a value becomes an opaque value with its description.
pub(crate) fn value(pickle: &Pickle, id: Id, depth: usize, costs: &mut Costs) -> Result<Value, Refused> {
    if depth > MAX_DEPTH {
        return Err(too_deep());
    }
    let object = pickle.get(id);
    costs.spend(object_len(object))?;
    Ok(match object {
        Object::None => Value::null(),
        Object::Bool(flag) => Value(Cbor::Bool(*flag)),
        Object::Int(number) => Value::of(number).unwrap_or_else(|_| Value::null()),
        Object::Float(number) => Value(Cbor::Float(*number)),
        Object::Text(text) => Value(Cbor::Text(text.to_string())),
        Object::Bytes(bytes) => Value(Cbor::Bytes(bytes.to_vec())),
        Object::List(items) | Object::Set(items) => list(pickle, items, depth, costs)?,
        Object::Tuple(items) => list(pickle, items, depth, costs)?,
        Object::Dict(entries) => {
            costs.hold::<(Value, Value)>(entries.len())?;
            let mut pairs = Vec::with_capacity(entries.len());
            for (key, item) in entries {
                let key = value(pickle, *key, depth + 1, costs)?;
                pairs.push((key, value(pickle, *item, depth + 1, costs)?));
            }
            Value::map_of(pairs).map_err(|_| Refused::unknown("has one key twice"))?
        }
        Object::Opaque(class) => Value::opaque(class),
        Object::Persistent(_) => Value::opaque("a storage without a tensor"),
        Object::Global(global) => match dtype(&global.name) {
            Some(_) => Value(Cbor::Text(global.name.to_string())),
            None => Value::opaque(&global.name),
        },
        Object::Call { .. } => call(pickle, id, depth, costs)?,
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

fn list(pickle: &Pickle, items: &[Id], depth: usize, costs: &mut Costs) -> Result<Value, Refused> {
    costs.hold::<Value>(items.len())?;
    let mut values = Vec::with_capacity(items.len());
    for id in items {
        values.push(value(pickle, *id, depth + 1, costs)?);
    }
    Ok(Value::list(values))
}

/// Converts the calls on the allow-list that stand for plain values.
fn call(pickle: &Pickle, id: Id, depth: usize, costs: &mut Costs) -> Result<Value, Refused> {
    let Some((name, arguments, state)) = pickle.call(id) else {
        return Ok(Value::opaque("the result of a call"));
    };
    Ok(match (name, arguments) {
        ("torch.Size", [sizes]) => value(pickle, *sizes, depth + 1, costs)?,
        ("torch.device", _) => joined(pickle, arguments, ":", costs)?.unwrap_or_else(|| Value::opaque(name)),
        ("builtins.complex" | "__builtin__.complex", [_, _]) => list(pickle, arguments, depth, costs)?,
        ("numpy.core.multiarray.scalar" | "numpy._core.multiarray.scalar", [dtype, bytes]) => {
            numpy_scalar(pickle, *dtype, *bytes).unwrap_or_else(|| Value::opaque("numpy scalar"))
        }
        _ if name.starts_with("pathlib.") => {
            joined(pickle, arguments, "/", costs)?.unwrap_or_else(|| Value::opaque(name))
        }
        _ => {
            let _ = state;
            Value::opaque(name)
        }
    })
}

/// Joins texts and numbers: `cuda:0`, `runs/last`.
fn joined(pickle: &Pickle, parts: &[Id], between: &str, costs: &mut Costs) -> Result<Option<Value>, Refused> {
    let mut text = String::new();
    for (at, part) in parts.iter().enumerate() {
        let part = match pickle.get(*part) {
            Object::Text(part) => Cow::Borrowed(&**part),
            Object::Int(number) => Cow::Owned(number.to_string()),
            _ => return Ok(None),
        };
        costs.spend(part.len() + between.len())?;
        text.push_str(if at == 0 { "" } else { between });
        text.push_str(&part);
    }
    // The first part of an absolute path is its root.
    let text = if between == "/" {
        text.replacen("//", "/", 1)
    } else {
        text
    };
    Ok(Some(Value(Cbor::Text(text))))
}

/// Reads `scalar(dtype('f8'), bytes)`. The state of the `dtype` gives the byte order.
fn numpy_scalar(pickle: &Pickle, dtype: Id, bytes: Id) -> Option<Value> {
    let ("numpy.dtype", [kind, ..], state) = pickle.call(dtype)? else {
        return None;
    };
    let order = state.and_then(|state| pickle.text(*pickle.items(state)?.get(1)?));
    let bytes = match pickle.get(bytes) {
        Object::Bytes(bytes) if bytes.len() <= 8 => bytes,
        _ => return None,
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
