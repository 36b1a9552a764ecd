//! The report of a save.

/// What a save wrote.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SaveReport {
    /// The entries in the checkpoint, tensors and values, each name counted.
    pub entries: usize,
    /// The length in bytes of all files that were written, by all ranks together.
    pub bytes: u64,
    /// The entries that filters left out, sorted. The checkpoint records them.
    pub filtered: Vec<String>,
    /// The tensors and values that were not the same on all ranks, sorted: buffers, and with
    /// [`Replicas::RankZero`](crate::Replicas::RankZero) also others. The checkpoint has those of rank 0, or of the first rank that
    /// holds the part.
    pub differing: Vec<String>,
    /// Whether nothing was written, because an earlier save was on its way and the call asked for
    /// [`WhenBusy::Skip`](crate::WhenBusy::Skip).
    pub skipped: bool,
}
