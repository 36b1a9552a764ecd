//! The JSON of a header, with every key: unlike a map, the parser sees a key that is there twice.

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
pub(super) struct RawHeader<'h> {
    pub(super) tensors: Vec<(String, RawTensor<'h>)>,
    pub(super) metadata: BTreeMap<String, String>,
}

/// The header of one tensor. Further keys are ignored, as the safetensors library does.
#[derive(serde::Deserialize)]
pub(super) struct RawTensor<'h> {
    #[serde(borrow)]
    pub(super) dtype: Cow<'h, str>,
    #[serde(with = "few")]
    pub(super) shape: SmallVec<[u64; 4]>,
    pub(super) data_offsets: (u64, u64),
}

/// Reads the JSON of a header, spaces behind it allowed. Its nesting is bounded by `serde_json`.
pub(super) fn parse(json: &[u8]) -> Result<RawHeader<'_>, HeaderError> {
    let text = std::str::from_utf8(json).map_err(|error| HeaderError::NotUtf8 {
        at: error.valid_up_to(),
    })?;
    match json.first() {
        Some(b'{') => {}
        Some(&found) => return Err(HeaderError::NotAnObject { found }),
        None => return Err(HeaderError::HeaderTooShort { claimed: 0 }),
    }
    let HeaderObject { tensors, metadata } =
        serde_json::from_str(text).map_err(|e| HeaderError::Json(e.to_string()))?;
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
    Ok(RawHeader {
        tensors,
        metadata: texts,
    })
}

/// The header's object: its tensors, and every `__metadata__`.
struct HeaderObject<'h> {
    tensors: Vec<(String, RawTensor<'h>)>,
    metadata: Vec<Option<TextPairs>>,
}

impl<'de> Deserialize<'de> for HeaderObject<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(HeaderObjectVisitor)
    }
}

struct HeaderObjectVisitor;

impl<'de> Visitor<'de> for HeaderObjectVisitor {
    type Value = HeaderObject<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with a tensor under each key")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<HeaderObject<'de>, A::Error> {
        let (mut tensors, mut metadata) = (Vec::new(), Vec::new());
        while let Some(key) = map.next_key::<String>()? {
            if key == METADATA {
                metadata.push(map.next_value()?);
            } else {
                tensors.push((key, map.next_value()?));
            }
        }
        Ok(HeaderObject { tensors, metadata })
    }
}

/// A map of texts as a list, with every key.
struct TextPairs(Vec<(String, String)>);

impl<'de> Deserialize<'de> for TextPairs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(TextPairsVisitor)
    }
}

struct TextPairsVisitor;

impl<'de> Visitor<'de> for TextPairsVisitor {
    type Value = TextPairs;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with a text under each key")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<TextPairs, A::Error> {
        let mut pairs = Vec::new();
        while let Some(pair) = map.next_entry()? {
            pairs.push(pair);
        }
        Ok(TextPairs(pairs))
    }
}
