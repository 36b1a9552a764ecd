//! Turns hyper-parameters that are tensors into values.
//!
//! PyTorch keeps a learning rate in a tensor if an optimizer is compiled or captured. Lists that hold tensors are
//! flattened into entries. This module makes `param_groups` one value again, as it is in files without such tensors.

use std::collections::{BTreeMap, BTreeSet};

use super::dcp::gather::{GROUPS, Key, Leaf, gather};
use crate::entry::{DType, strip};
use crate::error::{Error, Result};
use crate::source::read::read_into;
use crate::source::{Index, Source, StoredTensor};
use crate::value::Value;

/// Turns every `param_groups` with tensors below it into one value, if each of these tensors is one number.
///
/// # Errors
/// If a tensor cannot be read, or is damaged.
pub(super) fn gather_numbers(index: &mut Index, source: &dyn Source) -> Result<()> {
    let roots: BTreeSet<String> = index.tensors.keys().filter_map(|name| groups(name)).collect();
    for root in roots {
        let names = names_below(&index.tensors, &root);
        let are_numbers = names.iter().all(|name| is_number(&index.tensors[name]));
        if !are_numbers || index.contains(&root) {
            continue;
        }
        let mut leaves = Vec::new();
        for name in names {
            if let Some(stored) = index.tensors.remove(&name) {
                leaves.push(leaf(&root, &name, number(source, &name, &stored)?));
            }
        }
        for name in names_below(&index.values, &root) {
            if let Some(value) = index.values.remove(&name) {
                leaves.push(leaf(&root, &name, value));
            }
        }
        let values = gather(leaves, &index.tensors).map_err(|what| Error::corrupt(source.file(0).1, what))?;
        index.values.extend(values);
    }
    Ok(())
}

/// The names of all entries below `root`.
fn names_below<V>(entries: &BTreeMap<String, V>, root: &str) -> Vec<String> {
    let below = format!("{root}.");
    let from = entries.range(below.clone()..).map(|(name, _)| name);
    from.take_while(|name| name.starts_with(&below)).cloned().collect()
}

/// The list of groups that a hyper-parameter belongs to: `optimizer.param_groups` of `optimizer.param_groups.0.lr`.
fn groups(name: &str) -> Option<String> {
    // Few names contain `param_groups`, so the name is searched before anything is allocated.
    name.contains(GROUPS).then_some(())?;
    let at = match name.find(&format!(".{GROUPS}.")) {
        Some(dot) => dot + 1,
        None => name.starts_with(&format!("{GROUPS}.")).then_some(0)?,
    };
    let (root, rest) = name.split_at(at + GROUPS.len());
    let number = rest[1..].split('.').next()?;
    number.parse::<u32>().is_ok().then(|| root.to_owned())
}

/// An entry below the list as a leaf with its path. Numbers in the path are indices of lists.
fn leaf(root: &str, name: &str, value: Value) -> Leaf {
    let rest = strip(name, root).unwrap_or_default().split('.');
    let keys = rest.map(|key| match key.parse() {
        Ok(number) => Key::Index(number),
        Err(_) => Key::Name(key.to_owned()),
    });
    let above = root.split('.').map(|key| Key::Name(key.to_owned()));
    Leaf {
        name: name.to_owned(),
        path: Some(above.chain(keys).collect()),
        value,
    }
}

fn is_number(stored: &StoredTensor) -> bool {
    let dtype = stored.info.dtype();
    let plain = matches!(
        dtype,
        DType::F64 | DType::F32 | DType::F16 | DType::BF16 | DType::I64 | DType::I32 | DType::Bool
    );
    plain && stored.info.byte_len() == Some(dtype.bits() / 8)
}

fn number(source: &dyn Source, name: &str, stored: &StoredTensor) -> Result<Value> {
    let mut bytes = [0; 8];
    read_into(source, name, stored, &mut bytes[..stored.info.dtype().bits() / 8], 1)?;
    let float = |float: f64| Value(ciborium::Value::Float(float));
    let [first, second, ..] = bytes;
    let half = [first, second];
    let word = *bytes.first_chunk().unwrap_or(&[0; 4]);
    Ok(match stored.info.dtype() {
        DType::Bool => Value(ciborium::Value::Bool(first != 0)),
        DType::F16 => float(half::f16::from_le_bytes(half).to_f64()),
        DType::BF16 => float(half::bf16::from_le_bytes(half).to_f64()),
        DType::F32 => float(f32::from_le_bytes(word).into()),
        DType::I32 => Value(i32::from_le_bytes(word).into()),
        DType::F64 => float(f64::from_le_bytes(bytes)),
        // `I64` is the only remaining number type.
        _ => Value(i64::from_le_bytes(bytes).into()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_told_by_their_numbers() {
        let found = |name| groups(name);
        assert_eq!(found("param_groups.0.lr").as_deref(), Some("param_groups"));
        assert_eq!(
            found("a.b.param_groups.12.betas.0").as_deref(),
            Some("a.b.param_groups")
        );
        for other in [
            "param_groups",
            "param_groups.fc1.lr",
            "a.param_groupsx.0",
            "xparam_groups.0.lr",
        ] {
            assert_eq!(found(other), None, "{other}");
        }
    }
}
