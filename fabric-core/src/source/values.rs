//! Reads the values of a manifest.

use std::collections::BTreeMap;
use std::path::Path;

use crate::entry::{of_rank, shown};
use crate::error::{Error, Result};
use crate::format::manifest::{CBOR, ValueRecord};
use crate::value::Value;

/// The values by name. The name of a value of one rank contains the rank.
///
/// The length of the file bounds their memory: a byte holds at most one item of `size_of::<Value>()` bytes. There is no
/// other bound, since every value that was saved must load.
pub(crate) fn own_values(
    records: &[ValueRecord],
    mesh: &[(String, u64)],
    path: &Path,
) -> Result<BTreeMap<String, Value>> {
    let mut values = BTreeMap::new();
    for record in records {
        if record.form != CBOR {
            let what = format!(
                "value `{}` is in form {}, which this version does not support",
                record.name, record.form
            );
            return Err(Error::UnknownFormat {
                path: path.to_path_buf(),
                what,
            });
        }
        let value = Value::from_bytes(&record.bytes).map_err(|error| {
            error.or(&format!("read value `{}`", shown(&record.name)), |error| {
                Error::corrupt(path, format!("value `{}` {error}", record.name))
            })
        })?;
        let name = match number(&record.coordinate, mesh) {
            Some(number) => of_rank(&record.name, number),
            None => record.name.clone(),
        };
        if values.insert(name, value).is_some() {
            let what = format!(
                "the manifest has value `{}` twice, once as the value of one rank",
                record.name
            );
            return Err(Error::corrupt(path, what));
        }
    }
    Ok(values)
}

/// The rank at a coordinate of the mesh, in row-major order: the last axis varies fastest. `None` for a value that all
/// ranks share.
fn number(coordinate: &[(u32, u32)], mesh: &[(String, u64)]) -> Option<usize> {
    let step = |number: usize, ((_, index), (_, size)): (&(u32, u32), &(String, u64))| {
        number
            .saturating_mul(usize::try_from(*size).unwrap_or(usize::MAX))
            .saturating_add(*index as usize)
    };
    (!coordinate.is_empty()).then(|| coordinate.iter().zip(mesh).fold(0, step))
}
