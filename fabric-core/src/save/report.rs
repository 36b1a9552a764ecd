//! The report of a save.

/// The result of a save.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SaveReport {
    /// The number of entries in the checkpoint: tensors and values, each name counted.
    pub entries: usize,
    /// The length in bytes of all files, of all ranks together.
    pub bytes: u64,
    /// The names of the entries that filters excluded, sorted. The checkpoint records them.
    pub filtered: Vec<String>,
    /// The names of the tensors and values that differ between ranks, sorted: buffers, and with
    /// [`Replicas::RankZero`](crate::Replicas::RankZero) also others. The checkpoint has those of rank 0, or of the
    /// first rank that holds the part.
    pub differing: Vec<String>,
    /// The names of the tensors with finite numbers that became infinite, sorted: of a conversion with
    /// [`ReshardOptions::dtype`](crate::ReshardOptions::dtype).
    pub overflowed: Vec<String>,
    /// The names of the values that this library cannot read in the checkpoint that was copied (a sparse tensor, an object of a
    /// Python class), wholly or in part, sorted. The copy has a note in their places, and not their contents.
    pub not_read: Vec<String>,
    /// True if nothing was written, because an earlier save was on its way and the call asked for
    /// [`WhenBusy::Skip`](crate::WhenBusy::Skip).
    pub skipped: bool,
}
