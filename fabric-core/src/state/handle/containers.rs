//! Handles to the parts of containers. A part has the name that a save gives it: an index or a key, and no name of its own in
//! an `Option`, a `Box` or a `&mut`.

use std::collections::{BTreeMap, HashMap, VecDeque};

use super::{Field, Segment};

impl<S: ?Sized, T> Field<S, Option<T>> {
    /// The handle to the content of the `Option`, which has the name of the `Option`.
    #[must_use]
    pub const fn some(self) -> Field<S, T> {
        self.retyped()
    }
}

impl<S: ?Sized, T: ?Sized> Field<S, Box<T>> {
    /// The handle to the content of the `Box`, which has the name of the `Box`.
    #[must_use]
    pub const fn boxed(self) -> Field<S, T> {
        self.retyped()
    }
}

impl<S: ?Sized, T: ?Sized> Field<S, &mut T> {
    /// The handle to the borrowed field, which has the name of the borrow.
    #[must_use]
    pub const fn borrowed(self) -> Field<S, T> {
        self.retyped()
    }
}

macro_rules! lists {
    ($($list:ty, [$($generics:tt)*];)*) => {$(
        impl<S: ?Sized, T, $($generics)*> Field<S, $list> {
            /// The handle to the item at an index, which counts from 0.
            ///
            /// The call that uses the handle refuses an index at which the state has no item. It also refuses the handle to an
            /// item of a list of plain values, since such a list is one entry.
            ///
            /// # Panics
            /// If the handle would have more than 16 levels; in a constant, this is a compile error. Give the name as a text
            /// then.
            #[must_use]
            pub const fn at(self, index: usize) -> Field<S, T> {
                self.below(Segment::Index(index))
            }
        }
    )*};
}

lists! {
    Vec<T>, [];
    VecDeque<T>, [];
    Box<[T]>, [];
    [T], [];
    [T; N], [const N: usize];
}

macro_rules! maps {
    ($($map:ty, [$($generics:tt)*];)*) => {$(
        impl<S: ?Sized, K, T, $($generics)*> Field<S, $map> {
            /// The handle to the part under a key.
            ///
            /// The call that uses the handle refuses a key that the map of the state lacks. A key that the program does not
            /// know before it runs is a part of a name as a text: `only(format!("heads.{task}"))`.
            ///
            /// # Panics
            /// If the handle would have more than 16 levels; in a constant, this is a compile error. Give the name as a text
            /// then.
            #[must_use]
            pub const fn key(self, key: &'static str) -> Field<S, T> {
                self.below(Segment::Name(key))
            }
        }
    )*};
}

maps! {
    BTreeMap<K, T>, [];
    HashMap<K, T, H>, [H];
}

/// A tuple with an element at the index `AT`.
pub trait Tuple<const AT: usize> {
    /// The type of the element.
    type Element;
}

impl<S: ?Sized, T: ?Sized> Field<S, T> {
    /// The handle to the element of a tuple at the index `AT`, which counts from 0: `State::FIELDS.pair.element::<1>()`.
    ///
    /// # Panics
    /// If the handle would have more than 16 levels; in a constant, this is a compile error. Give the name as a text then.
    #[must_use]
    pub const fn element<const AT: usize>(self) -> Field<S, T::Element>
    where
        T: Tuple<AT>,
    {
        self.below(Segment::Index(AT))
    }
}

macro_rules! tuples {
    ($(($($all:ident),+): $($at:literal $element:ident),+;)*) => {$(
        tuples!(@each ($($all),+), $($at $element),+);
    )*};
    (@each $all:tt, $($at:literal $element:ident),+) => {
        $(tuples!(@one $all, $at $element);)+
    };
    (@one ($($all:ident),+), $at:literal $element:ident) => {
        impl<$($all),+> Tuple<$at> for ($($all,)+) {
            type Element = $element;
        }
    };
}

tuples! {
    (A): 0 A;
    (A, B): 0 A, 1 B;
    (A, B, C): 0 A, 1 B, 2 C;
    (A, B, C, D): 0 A, 1 B, 2 C, 3 D;
    (A, B, C, D, E): 0 A, 1 B, 2 C, 3 D, 4 E;
    (A, B, C, D, E, F): 0 A, 1 B, 2 C, 3 D, 4 E, 5 F;
    (A, B, C, D, E, F, G): 0 A, 1 B, 2 C, 3 D, 4 E, 5 F, 6 G;
    (A, B, C, D, E, F, G, H): 0 A, 1 B, 2 C, 3 D, 4 E, 5 F, 6 G, 7 H;
    (A, B, C, D, E, F, G, H, I): 0 A, 1 B, 2 C, 3 D, 4 E, 5 F, 6 G, 7 H, 8 I;
    (A, B, C, D, E, F, G, H, I, J): 0 A, 1 B, 2 C, 3 D, 4 E, 5 F, 6 G, 7 H, 8 I, 9 J;
    (A, B, C, D, E, F, G, H, I, J, K): 0 A, 1 B, 2 C, 3 D, 4 E, 5 F, 6 G, 7 H, 8 I, 9 J, 10 K;
    (A, B, C, D, E, F, G, H, I, J, K, L): 0 A, 1 B, 2 C, 3 D, 4 E, 5 F, 6 G, 7 H, 8 I, 9 J, 10 K, 11 L;
}
