//! The values of a manifest.

use std::collections::BTreeMap;
use std::path::Path;

use super::limit::Budget;
use super::refused::Refused;
use crate::entry::of_rank;
use crate::error::{Error, Result};
use crate::format::manifest::{CBOR, ValueRecord};
use crate::value::Value;

/// The values by their names; those of one rank are called after it.
pub(super) fn own_values(records: &[ValueRecord], path: &Path, memory: &mut Budget) -> Result<BTreeMap<String, Value>> {
    let mut values = BTreeMap::new();
    for record in records {
        if record.form != CBOR {
            let what = format!(
                "value `{}` is in form {}, which this version does not read",
                record.name, record.form
            );
            return Err(Error::UnknownFormat {
                path: path.to_path_buf(),
                what,
            });
        }
        memory
            .spend_each(items(&record.bytes), size_of::<Value>())
            .map_err(|over| Refused::from(over).at(path))?;
        let value = Value::from_bytes(&record.bytes)
            .map_err(|error| Error::corrupt(path, format!("value `{}` {error}", record.name)))?;
        let name = match record.rank {
            Some(rank) => of_rank(&record.name, rank as usize),
            None => record.name.clone(),
        };
        if values.insert(name, value).is_some() {
            let what = format!("value `{}` is there twice, once as that of a rank", record.name);
            return Err(Error::corrupt(path, what));
        }
    }
    Ok(values)
}

/// How many items CBOR has, those in lists and maps included: each takes memory, and a byte is enough to write one. What is no
/// CBOR is not counted further.
fn items(mut bytes: &[u8]) -> usize {
    let mut count = 0;
    while let Some((head, rest)) = bytes.split_first() {
        count += 1;
        let (major, short) = (head >> 5, head & 0x1f);
        let wide = match short {
            24..=27 => 1 << (short - 24),
            _ => 0,
        };
        let Some((argument, rest)) = rest.split_at_checked(wide) else {
            break;
        };
        let argument = argument
            .iter()
            .fold(0u64, |number, byte| number << 8 | u64::from(*byte));
        // Bytes and texts have their contents behind them; of everything else the items follow.
        let skipped = match (major, wide) {
            (2 | 3, 0) if short < 24 => u64::from(short),
            (2 | 3, 1..) => argument,
            _ => 0,
        };
        let Some(rest) = usize::try_from(skipped).ok().and_then(|skipped| rest.get(skipped..)) else {
            break;
        };
        bytes = rest;
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_are_counted_through_lists_maps_and_texts_of_every_length() {
        let count = |value: &serde_json::Value| items(&Value::of(value).unwrap().to_bytes().unwrap());
        assert_eq!(count(&serde_json::json!(null)), 1);
        assert_eq!(
            count(&serde_json::json!([1, [2, 300, 70_000], "text", { "a": 1.5 }])),
            10
        );
        assert_eq!(count(&serde_json::json!("x".repeat(1000))), 1);
        assert_eq!(count(&serde_json::json!(["x".repeat(70_000), "", true])), 4);
        assert_eq!(items(&[0x80; 100]), 100);
        assert_eq!(items(&[0x5b, 0xff]), 1);
    }
}
