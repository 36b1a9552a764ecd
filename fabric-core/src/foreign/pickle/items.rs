//! The items of a tuple.

use std::ops::Deref;

use super::Id;

/// As many as a storage has in its reference.
const FEW: usize = 5;

/// A few are in place, since most tuples are shapes and pairs, and an index has a dozen for each tensor.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Items {
    /// How many there are; the others are `None`, and are no items.
    Few(u8, [Id; FEW]),
    Many(Box<[Id]>),
}

impl Items {
    pub(crate) const EMPTY: Self = Self::Few(0, [Id::NONE; FEW]);
}

impl From<&[Id]> for Items {
    fn from(items: &[Id]) -> Self {
        match u8::try_from(items.len()) {
            Ok(len) if items.len() <= FEW => {
                let mut few = [Id::NONE; FEW];
                few.iter_mut().zip(items).for_each(|(place, id)| *place = *id);
                Self::Few(len, few)
            }
            _ => Self::Many(items.into()),
        }
    }
}

impl Deref for Items {
    type Target = [Id];

    fn deref(&self) -> &[Id] {
        match self {
            Self::Few(len, few) => few.get(..usize::from(*len)).unwrap_or_default(),
            Self::Many(items) => items,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tuples_of_every_length_hold_what_they_are_made_of() {
        for len in [0, 1, 2, 4, 5, 6, 7, 255, 256, 300] {
            let ids: Vec<Id> = (0..len).map(Id).collect();
            assert_eq!(*Items::from(&ids[..]), ids[..]);
        }
    }
}
