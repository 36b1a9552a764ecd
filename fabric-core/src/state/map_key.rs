//! The keys of maps: each has a text, which is a part of the names of entries.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::num::NonZero;
use std::rc::Rc;
use std::sync::Arc;

use super::Sealed;
use crate::value::{Value, ValueError};

/// A key type of maps. The text of a key is a part of the names of entries: the tensor under the key 7 of the map
/// `heads` is the entry `heads.7`.
///
/// Integers, `bool`, `char` and owned texts implement it. `#[derive(Checkpoint)]` implements it for an enum whose
/// variants have no fields. Implement it for a key type of your own; two different keys must have different texts, and a
/// save refuses a map in which two keys have one text.
///
/// ```
/// use std::borrow::Cow;
/// use std::collections::BTreeMap;
///
/// use fabric_core::{Checkpoint, MapKey};
///
/// #[derive(PartialEq, Eq, PartialOrd, Ord)]
/// struct Layer { block: u32, head: u32 }
///
/// impl MapKey for Layer {
///     fn text(&self) -> Cow<'_, str> {
///         format!("{}-{}", self.block, self.head).into()
///     }
///     fn of_text(text: &str) -> Option<Self> {
///         let (block, head) = text.split_once('-')?;
///         Some(Self { block: block.parse().ok()?, head: head.parse().ok()? })
///     }
/// }
///
/// #[derive(Checkpoint)]
/// struct Pruning { kept: BTreeMap<Layer, Vec<u32>> }
/// ```
#[diagnostic::on_unimplemented(
    message = "a map in a checkpoint needs keys with a text, and `{Self}` has none",
    label = "this key cannot be part of an entry's name",
    note = "use a key that is an integer, `bool`, `char`, or an owned text: `String`, `Box<str>`, `Arc<str>`, `Rc<str>`, `Cow<'static, str>`",
    note = "or implement `fabric_core::MapKey` for a key type of your own; #[derive(Checkpoint)] implements it for an enum \
            whose variants have no fields",
    note = "if the map holds plain values that implement serde's traits, mark the field #[checkpoint(metadata)] instead"
)]
pub trait MapKey: Sized {
    /// The text of the key. In a map of components it is a part of names, so it must be no empty text and hold no empty
    /// segment between dots and no control character; a save refuses other names.
    fn text(&self) -> Cow<'_, str>;

    /// The key with this text; `None` if no key has it.
    fn of_text(text: &str) -> Option<Self>;

    /// The order in which a `HashMap` shows its parts. The default is the order of the texts.
    fn order(&self, other: &Self) -> Ordering {
        self.text().cmp(&other.text())
    }

    /// The stored form of the key in a map that is one value. No other crate can name [`Sealed`] and override it.
    #[doc(hidden)]
    fn stored(&self, _: Sealed) -> Result<Value, ValueError> {
        Value::of(&*self.text())
    }
}

/// Numbers and `bool`: the stored form is serde's, and a text that the type writes in another way is no key.
macro_rules! written {
    ($($key:ty),* $(,)?) => {$(
        impl MapKey for $key {
            fn text(&self) -> Cow<'_, str> {
                self.to_string().into()
            }

            fn of_text(text: &str) -> Option<Self> {
                text.parse().ok().filter(|key: &Self| key.text() == text)
            }

            fn order(&self, other: &Self) -> Ordering {
                self.cmp(other)
            }

            fn stored(&self, _: Sealed) -> Result<Value, ValueError> {
                Value::of(self)
            }
        }
    )*};
}

written!(
    u8, u16, u32, u64, u128, usize, i8, i16, i32, i64, i128, isize, bool, char
);
written!(
    NonZero<u8>,
    NonZero<u16>,
    NonZero<u32>,
    NonZero<u64>,
    NonZero<u128>,
    NonZero<usize>,
    NonZero<i8>,
    NonZero<i16>,
    NonZero<i32>,
    NonZero<i64>,
    NonZero<i128>,
    NonZero<isize>,
);

/// Owned texts.
macro_rules! texts {
    ($($key:ty),*) => {$(
        impl MapKey for $key {
            fn text(&self) -> Cow<'_, str> {
                Cow::Borrowed(self)
            }

            fn of_text(text: &str) -> Option<Self> {
                Some(text.to_owned().into())
            }
        }
    )*};
}

texts!(String, Box<str>, Arc<str>, Rc<str>, Cow<'static, str>);
