//! The table of a pickle's objects, in chunks. A single growing list holds three times its objects while it moves them,
//! so a large index would exceed the memory limit of a file of its length (`tests/bombs`).

use super::Object;

/// The number of objects in a chunk, as a power of two.
const BITS: u32 = 14;
const PIECE: usize = 1 << BITS;

/// Objects by their numbers.
#[derive(Clone, Debug, Default)]
pub(super) struct Table {
    /// All chunks but the last are full.
    pieces: Vec<Vec<Object>>,
    len: usize,
}

/// The error for an allocation that failed.
pub(crate) struct NoMemory;

impl Table {
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn push(&mut self, object: Object) -> Result<(), NoMemory> {
        if self.len.is_multiple_of(PIECE) {
            let mut piece = Vec::new();
            // Most pickles are small, so the first chunk grows with them.
            let room = if self.pieces.is_empty() { 64 } else { PIECE };
            piece.try_reserve_exact(room).map_err(|_| NoMemory)?;
            self.pieces.push(piece);
        }
        if let Some(piece) = self.pieces.last_mut() {
            piece.push(object);
            self.len += 1;
        }
        Ok(())
    }

    /// # Panics
    /// If no object has this number.
    pub(crate) fn get(&self, number: usize) -> &Object {
        &self.pieces[number >> BITS][number % PIECE]
    }

    /// # Panics
    /// If no object has this number.
    pub(crate) fn get_mut(&mut self, number: usize) -> &mut Object {
        &mut self.pieces[number >> BITS][number % PIECE]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_are_found_by_their_numbers_in_every_piece() {
        let mut table = Table::default();
        for number in 0..3 * PIECE + 5 {
            assert!(table.push(Object::Int(i128::try_from(number).unwrap())).is_ok());
        }
        assert_eq!(table.len(), 3 * PIECE + 5);
        for number in [0, 1, PIECE - 1, PIECE, 2 * PIECE, 3 * PIECE + 4] {
            assert_eq!(*table.get(number), Object::Int(i128::try_from(number).unwrap()));
        }
        *table.get_mut(PIECE) = Object::None;
        assert_eq!(*table.get(PIECE), Object::None);
    }
}
