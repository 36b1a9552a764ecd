//! Tuples, whose parts are named `0`, `1`, …, and the types that hold nothing.

use std::marker::PhantomData;

use crate::state::{Checkpoint, Keys, Kind, Recorded, Sealed, TypeWalk, Types, Visitor, VisitorMut};
use crate::value::{Value, ValueError};

macro_rules! tuples {
    ($(($($part:ident . $at:tt),+))*) => {$(
        impl<$($part: Checkpoint),+> Checkpoint for ($($part,)+) {
            const KIND: Kind = Kind::Value$(.and($part::KIND))+;
            const KEYS: Keys = Keys::NUMBERS;
            const RECORDED: Recorded = Recorded::Never;

            fn may_differ(types: &mut Types) -> bool {
                false $(|| $part::may_differ(types))+
            }

            fn structs(types: &mut TypeWalk<'_>) {
                $(types.field(&[stringify!($at)], |types| $part::structs(types));)+
            }

            fn visit<'a>(&'a self, entries: &mut Visitor<'a>) {
                entries.container(self, |entries, whole| {
                    $(entries.nested(stringify!($at), |entries| whole.$at.visit_part(entries, Sealed));)+
                });
            }

            fn visit_mut<'a>(&'a mut self, entries: &mut VisitorMut<'a>) {
                entries.container(self, |entries, whole| {
                    $(entries.nested(stringify!($at), |entries| whole.$at.visit_part_mut(entries, Sealed));)+
                });
            }

            fn to_value(&self, _: Sealed) -> Result<Value, ValueError> {
                Ok(Value::list([$(self.$at.to_value(Sealed)?),+]))
            }

            fn from_value(value: &Value, _: Sealed) -> Result<Self, ValueError> {
                const LEN: usize = [$(stringify!($at)),+].len();
                let items = value.as_list().unwrap_or_default();
                if items.len() != LEN {
                    let found = value.describe();
                    return Err(ValueError::new(format!("expected a list of {LEN} items, found {found}")));
                }
                Ok(($($part::from_value(&items[$at], Sealed)?,)+))
            }
        }
    )*};
}

tuples! {
    (A.0)
    (A.0, B.1)
    (A.0, B.1, C.2)
    (A.0, B.1, C.2, D.3)
    (A.0, B.1, C.2, D.3, E.4)
    (A.0, B.1, C.2, D.3, E.4, F.5)
    (A.0, B.1, C.2, D.3, E.4, F.5, G.6)
    (A.0, B.1, C.2, D.3, E.4, F.5, G.6, H.7)
    (A.0, B.1, C.2, D.3, E.4, F.5, G.6, H.7, I.8)
    (A.0, B.1, C.2, D.3, E.4, F.5, G.6, H.7, I.8, J.9)
    (A.0, B.1, C.2, D.3, E.4, F.5, G.6, H.7, I.8, J.9, K.10)
    (A.0, B.1, C.2, D.3, E.4, F.5, G.6, H.7, I.8, J.9, K.10, L.11)
}

/// Implements `Checkpoint` for types that hold nothing: a field has no entry, and an item of a value is null.
macro_rules! empty {
    ($($type:ty, [$($generics:tt)*], $only:expr;)*) => {$(
        #[diagnostic::do_not_recommend]
        impl<$($generics)*> Checkpoint for $type {
            const KIND: Kind = Kind::Nothing;
            const KEYS: Keys = Keys::NONE;
            const RECORDED: Recorded = Recorded::Never;

            fn may_differ(_: &mut Types) -> bool {
                false
            }

            fn visit<'a>(&'a self, _: &mut Visitor<'a>) {}

            fn visit_mut<'a>(&'a mut self, _: &mut VisitorMut<'a>) {}

            fn to_value(&self, _: Sealed) -> Result<Value, ValueError> {
                Ok(Value::null())
            }

            fn from_value(value: &Value, _: Sealed) -> Result<Self, ValueError> {
                crate::state::variant::nothing(value).map(|()| $only)
            }
        }
    )*};
}

empty! {
    (), [], ();
    PhantomData<T>, [T: ?Sized], Self;
}
