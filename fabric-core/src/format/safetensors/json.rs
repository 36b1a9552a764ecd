//! The JSON of a header, as it stands: unlike a map, this sees a key that is there twice.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use smallvec::SmallVec;

use super::HeaderError;
use crate::format::wire::few;

/// The key of a header that is no tensor.
pub(crate) const METADATA: &str = "__metadata__";

/// A header's contents, unchecked.
pub(super) struct Raw<'h> {
    pub(super) tensors: Vec<(String, Tensor<'h>)>,
    pub(super) metadata: BTreeMap<String, String>,
}

/// What a header says of one tensor. Further keys are passed over, as the safetensors library does.
#[derive(serde::Deserialize)]
pub(super) struct Tensor<'h> {
    #[serde(borrow)]
    pub(super) dtype: Cow<'h, str>,
    #[serde(with = "few")]
    pub(super) shape: SmallVec<[u64; 4]>,
    pub(super) data_offsets: (u64, u64),
}

/// Reads the JSON of a header, spaces behind it allowed. Its nesting is bounded by `serde_json`.
pub(super) fn parse(json: &[u8]) -> Result<Raw<'_>, HeaderError> {
    let text = std::str::from_utf8(json).map_err(|error| HeaderError::NotUtf8 {
        at: error.valid_up_to(),
    })?;
    match json.first() {
        Some(b'{') => {}
        Some(&found) => return Err(HeaderError::NotAnObject { found }),
        None => return Err(HeaderError::HeaderTooShort { claimed: 0 }),
    }
    let Object { tensors, metadata } = serde_json::from_str(text).map_err(|e| HeaderError::Json(e.to_string()))?;
    if metadata.len() > 1 {
        return Err(HeaderError::Duplicate {
            name: METADATA.to_owned(),
        });
    }
    let mut texts = BTreeMap::new();
    for (key, text) in metadata.into_iter().flatten().flat_map(|pairs| pairs.0) {
        if texts.contains_key(&key) {
            return Err(HeaderError::Duplicate {
                name: format!("{METADATA}.{key}"),
            });
        }
        texts.insert(key, text);
    }
    Ok(Raw {
        tensors,
        metadata: texts,
    })
}

/// The header's object: its keys in two heaps, every `__metadata__` kept.
struct Object<'h> {
    tensors: Vec<(String, Tensor<'h>)>,
    metadata: Vec<Option<Pairs>>,
}

impl<'de> Deserialize<'de> for Object<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ObjectVisitor)
    }
}

struct ObjectVisitor;

impl<'de> Visitor<'de> for ObjectVisitor {
    type Value = Object<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with a tensor under each key")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object<'de>, A::Error> {
        let (mut tensors, mut metadata) = (Vec::new(), Vec::new());
        while let Some(key) = map.next_key::<String>()? {
            if key == METADATA {
                metadata.push(map.next_value()?);
            } else {
                tensors.push((key, map.next_value()?));
            }
        }
        Ok(Object { tensors, metadata })
    }
}

/// A map of texts as a list: nothing is swallowed.
struct Pairs(Vec<(String, String)>);

impl<'de> Deserialize<'de> for Pairs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(PairsVisitor)
    }
}

struct PairsVisitor;

impl<'de> Visitor<'de> for PairsVisitor {
    type Value = Pairs;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with a text under each key")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pairs, A::Error> {
        let mut pairs = Vec::new();
        while let Some(pair) = map.next_entry()? {
            pairs.push(pair);
        }
        Ok(Pairs(pairs))
    }
}
