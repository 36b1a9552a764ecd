//! `Checkpoint` for numbers, `bool`, `char`, times and paths: types with one value entry, in serde's stored form.

mod dtypes;
mod halves;
mod texts;

use std::num::NonZero;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

/// Implements `Checkpoint` for types whose serde form is one value.
macro_rules! plain_values {
    ($($type:ty),* $(,)?) => {$(
        $crate::state::plain_value!(
            $type,
            |value| $crate::value::Value::of(value),
            |stored| stored.decode()
        );
    )*};
}

/// Implements `Checkpoint` for a type with one value entry, by the functions that encode and decode it.
macro_rules! plain_value {
    ($type:ty, |$value:ident| $encode:expr, |$stored:ident| $decode:expr) => {
        #[diagnostic::do_not_recommend]
        impl $crate::state::Checkpoint for $type {
            const KIND: $crate::state::Kind = $crate::state::Kind::Value;
            const KEYS: $crate::state::Keys = $crate::state::Keys::NONE;

            fn may_differ(_: &mut $crate::state::Types) -> bool {
                false
            }

            fn visit<'a>(&'a self, entries: &mut $crate::state::Visitor<'a>) {
                entries.plain(self);
            }

            fn visit_mut<'a>(&'a mut self, entries: &mut $crate::state::VisitorMut<'a>) {
                entries.plain(self);
            }

            fn to_value(&self, _: $crate::state::Sealed) -> Result<$crate::value::Value, $crate::value::ValueError> {
                let $value = self;
                $encode
            }

            fn from_value(
                $stored: &$crate::value::Value,
                _: $crate::state::Sealed,
            ) -> Result<Self, $crate::value::ValueError> {
                $decode
            }
        }
    };
}

pub(crate) use {plain_value, plain_values};

plain_values!(
    u8, u16, u32, u64, u128, usize, i8, i16, i32, i64, i128, isize, f32, f64, bool, char, String
);
plain_values!(
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
plain_values!(Duration, SystemTime, PathBuf);
