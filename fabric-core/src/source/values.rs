//! The values of a manifest.

use std::collections::BTreeMap;
use std::path::Path;

use crate::entry::of_rank;
use crate::error::{Error, Result};
use crate::format::manifest::{CBOR, ValueRecord};
use crate::value::Value;

/// The values by their names; those of one rank are called after it.
///
/// No bound applies to their memory beside the length of the file: a byte holds at most one item of `size_of::<Value>()`
/// bytes, and every value that was saved must load.
pub(crate) fn own_values(records: &[ValueRecord], path: &Path) -> Result<BTreeMap<String, Value>> {
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
