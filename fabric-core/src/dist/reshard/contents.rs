//! The bytes of pieces of a stored checkpoint.

use std::sync::Arc;

use crate::entry::Region;
use crate::error::Result;
use crate::save::image::{Contents, Run};
use crate::source::read::{Shares, stream};
use crate::source::{Reader, Source, StoredTensor};

/// A tensor's name, where it is stored, and the box of it that is wanted; `None`: all of it.
type StoredPiece<'s> = (&'s str, &'s StoredTensor, Option<Region>);

/// Boxes of stored tensors, read when they are written.
pub(crate) struct Stored<'s> {
    source: &'s dyn Source,
    pieces: Vec<StoredPiece<'s>>,
    /// Of blocks that boxes share. When all boxes have been read, they are complete.
    shares: Arc<Shares>,
}

impl<'s> Stored<'s> {
    pub(crate) fn new(source: &'s dyn Source, pieces: impl IntoIterator<Item = StoredPiece<'s>>) -> Self {
        Self {
            source,
            pieces: pieces.into_iter().collect(),
            shares: Arc::default(),
        }
    }

    /// Goes on with the pieces of another file.
    pub(crate) fn turn_to(&mut self, pieces: Vec<StoredPiece<'s>>) {
        self.pieces = pieces;
    }

    /// Compares the checksums of blocks that were read in parts.
    pub(crate) fn settle(&self) -> Result<()> {
        self.shares.settle(self.source, &[self.shares.encode()])
    }
}

impl Contents for Stored<'_> {
    fn read(&self, piece: usize, take: &mut dyn FnMut(Run<'_>) -> Result<()>) -> Result<()> {
        let take = |bytes: &[u8]| take(Run::of(bytes));
        let (name, stored, region) = &self.pieces[piece];
        let located = self.source.locate(name, stored, region.as_ref())?;
        match region {
            None => stream(self.source, name, &located, take),
            Some(region) => {
                let reader = Reader {
                    replica: 0,
                    shares: self.shares.clone(),
                };
                stream(self.source, name, &located.cut_out(region, &reader), take)
            }
        }
    }
}
