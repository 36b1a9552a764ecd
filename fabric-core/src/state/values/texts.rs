//! Texts behind pointers, which a load replaces by new ones, and borrowed texts, which a save alone can use.

use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

use super::plain_value;
use crate::state::{Checkpoint, Keys, Kind, Sealed, Types, Visitor, VisitorMut};
use crate::value::{Value, ValueError};

macro_rules! texts {
    ($($text:ty),*) => {$(
        plain_value!($text, |text| Value::of(&**text), |stored| stored.decode::<String>().map(Into::into));
    )*};
}

texts!(Box<str>, Arc<str>, Rc<str>);

/// Implements `Checkpoint` for a type that a state can only borrow.
macro_rules! borrowed {
    ($($type:ty),*) => {$(
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
                entries.of_fixed_length();
            }

            fn to_value(&self, _: Sealed) -> Result<Value, ValueError> {
                Value::of(self)
            }
        }
    )*};
}

borrowed!(str, Path);
