//! `Checkpoint` for numbers, `bool`, `char` and `String`: types with one value entry.

/// Implements `Checkpoint` for types whose serde form is one value.
macro_rules! plain_values {
    ($($type:ty),* $(,)?) => {$(
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
                $crate::value::Value::of(self)
            }

            fn from_value(value: &$crate::value::Value, _: $crate::state::Sealed) -> Result<Self, $crate::value::ValueError> {
                value.decode()
            }
        }
    )*};
}

pub(crate) use plain_values;

plain_values!(
    u8, u16, u32, u64, u128, usize, i8, i16, i32, i64, i128, isize, f32, f64, bool, char, String
);
