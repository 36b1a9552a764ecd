//! `Checkpoint` for numbers, `bool`, `char` and `String`: types with one value entry.

use super::{Checkpoint, Keys, Kind, Sealed, Types, Visitor, VisitorMut};
use crate::value::{Value, ValueError};

macro_rules! plain_values {
    ($($type:ty),* $(,)?) => {$(
        #[diagnostic::do_not_recommend]
        impl Checkpoint for $type {
            const KIND: Kind = Kind::Value;
            const KEYS: Keys = Keys::NONE;

            fn may_differ(_: &mut Types) -> bool {
                false
            }

            fn visit<'a>(&'a self, entries: &mut Visitor<'a>) {
                entries.plain(self);
            }

            fn visit_mut<'a>(&'a mut self, entries: &mut VisitorMut<'a>) {
                entries.plain(self);
            }

            fn to_value(&self, _: Sealed) -> Result<Value, ValueError> {
                Value::of(self)
            }

            fn from_value(value: &Value, _: Sealed) -> Result<Self, ValueError> {
                value.decode()
            }
        }
    )*};
}

plain_values!(
    u8, u16, u32, u64, u128, usize, i8, i16, i32, i64, i128, isize, f32, f64, bool, char, String
);
