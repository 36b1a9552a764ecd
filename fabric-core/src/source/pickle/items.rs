//! The items of a tuple: a few in place, since most tuples are shapes and pairs, and an index has a dozen for each tensor.

use std::ops::Deref;

use super::Id;

/// As many as lie in place.
const FEW: usize = 3;

/// The items of a tuple.
#[derive(Clone, Debug)]
pub(crate) enum Items {
    Few { len: u8, ids: [Id; FEW] },
    Many(Box<[Id]>),
}

impl Default for Items {
    fn default() -> Self {
        Self::from(&[][..])
    }
}

impl From<&[Id]> for Items {
    fn from(items: &[Id]) -> Self {
        match u8::try_from(items.len()) {
            Ok(len) if items.len() <= FEW => {
                let mut ids = [Id::NONE; FEW];
                ids[..items.len()].copy_from_slice(items);
                Self::Few { len, ids }
            }
            _ => Self::Many(items.into()),
        }
    }
}

impl Deref for Items {
    type Target = [Id];

    fn deref(&self) -> &[Id] {
        match self {
            Self::Few { len, ids } => &ids[..usize::from(*len)],
            Self::Many(items) => items,
        }
    }
}

impl PartialEq for Items {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_are_what_they_were_however_many_there_are() {
        for count in [0, 1, 2, 3, 4, 255, 256, 1000] {
            let ids: Vec<Id> = (0..count).map(Id).collect();
            assert_eq!(*Items::from(&ids[..]), ids[..]);
        }
    }
}
