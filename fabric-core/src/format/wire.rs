//! The encoding of a manifest's fields where that of serde does not fit.
//!
//! Texts and byte strings are read as slices of the payload first: bincode would allocate the length that a payload
//! claims, and find only then that the bytes are not there.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use smallvec::{Array, SmallVec};

pub(in crate::format) fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    <&str>::deserialize(deserializer).map(str::to_owned)
}

pub(in crate::format) fn texts<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let texts = Vec::<&str>::deserialize(deserializer)?;
    Ok(texts.into_iter().map(str::to_owned).collect())
}

pub(in crate::format) fn axes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<(String, u64)>, D::Error> {
    let axes = Vec::<(&str, u64)>::deserialize(deserializer)?;
    Ok(axes.into_iter().map(|(name, size)| (name.to_owned(), size)).collect())
}

pub(in crate::format) fn bytes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    <&[u8]>::deserialize(deserializer).map(<[u8]>::to_vec)
}

/// A byte string; a short one needs no allocation.
pub(in crate::format) mod short {
    use super::{Array, Deserialize, Deserializer, Serializer, SmallVec};

    pub(in crate::format) fn serialize<S, A>(bytes: &SmallVec<A>, serializer: S) -> Result<S::Ok, S::Error>
    where
        S: Serializer,
        A: Array<Item = u8>,
    {
        serializer.serialize_bytes(bytes)
    }

    pub(in crate::format) fn deserialize<'de, D, A>(deserializer: D) -> Result<SmallVec<A>, D::Error>
    where
        D: Deserializer<'de>,
        A: Array<Item = u8>,
    {
        <&[u8]>::deserialize(deserializer).map(SmallVec::from_slice)
    }
}

/// A sequence; a short one needs no allocation. Memory is allocated for the items that are there, not for the claimed
/// number.
pub(in crate::format) mod few {
    use super::{Array, Deserialize, Deserializer, Few, PhantomData, Serialize, Serializer, SmallVec};

    pub(in crate::format) fn serialize<S, A>(items: &SmallVec<A>, serializer: S) -> Result<S::Ok, S::Error>
    where
        S: Serializer,
        A: Array,
        A::Item: Serialize,
    {
        items.as_slice().serialize(serializer)
    }

    pub(in crate::format) fn deserialize<'de, D, A>(deserializer: D) -> Result<SmallVec<A>, D::Error>
    where
        D: Deserializer<'de>,
        A: Array,
        A::Item: Deserialize<'de>,
    {
        deserializer.deserialize_seq(Few(PhantomData))
    }
}

struct Few<A>(PhantomData<A>);

impl<'de, A> Visitor<'de> for Few<A>
where
    A: Array,
    A::Item: Deserialize<'de>,
{
    type Value = SmallVec<A>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a sequence")
    }

    fn visit_seq<S: SeqAccess<'de>>(self, mut sequence: S) -> Result<SmallVec<A>, S::Error> {
        let mut items = SmallVec::new();
        while let Some(item) = sequence.next_element()? {
            items.push(item);
        }
        Ok(items)
    }
}

/// A number that takes 8 bytes, little-endian, whatever its value.
pub(in crate::format) mod fixed {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[allow(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
    pub(in crate::format) fn serialize<S: Serializer>(number: &u64, serializer: S) -> Result<S::Ok, S::Error> {
        number.to_le_bytes().serialize(serializer)
    }

    pub(in crate::format) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
        <[u8; 8]>::deserialize(deserializer).map(u64::from_le_bytes)
    }
}

/// An element type by its name, which never changes.
pub(in crate::format) mod dtype {
    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use crate::entry::DType;

    #[allow(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
    pub(in crate::format) fn serialize<S: Serializer>(dtype: &DType, serializer: S) -> Result<S::Ok, S::Error> {
        dtype.name().serialize(serializer)
    }

    pub(in crate::format) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<DType, D::Error> {
        let name = <&str>::deserialize(deserializer)?;
        DType::from_name(name).ok_or_else(|| D::Error::custom(format!("the element type `{name}` is unknown")))
    }
}
