//! Checksums of blocks that no rank reads alone: the ranks exchange the partial CRCs of the bytes that each has read.
//!
//! Each rank reads only the bytes that it needs, and every byte is verified: the partial CRCs of all ranks make the
//! checksum of a block.

use std::collections::BTreeMap;
use std::io;

use crate::error::{Error, Result};
use crate::hash::HashMap;
use crate::io::pages;
use crate::source::Source;
use crate::source::read::{BlockKey, PartialSums, Share};

/// The number of this rank among the ranks that read the same box, for each entry of which it reads a box. Ranks that
/// hold the same boxes each have a partial CRC of the same bytes: only those of one replica complete each other.
pub(crate) type Replicas = HashMap<String, usize>;

/// The length of one partial CRC in a message.
const ENCODED: usize = 5 * size_of::<u64>();

/// The message with the partial CRCs of this rank.
///
/// # Errors
/// If there is no memory for the message.
pub(crate) fn encode(sums: &PartialSums, replicas: &Replicas) -> Result<Vec<u8>> {
    let mut count = 0;
    sums.each(|entry, _, _| count += usize::from(replicas.contains_key(entry)));
    let mut bytes = pages::reserved(count * ENCODED).map_err(no_memory)?;
    sums.each(|entry, (file, start), share| {
        // An entry that every rank reads as a whole needs no message.
        if let Some(replica) = replicas.get(entry) {
            for number in [file as u64, start, *replica as u64, share.crc, share.covered] {
                bytes.extend(number.to_le_bytes());
            }
        }
    });
    Ok(bytes)
}

fn no_memory(source: io::Error) -> Error {
    Error::Memory {
        purpose: "compare the checksums of blocks that were read in part".to_owned(),
        source,
    }
}

/// Verifies the checksums of entries that every rank reads as a whole.
///
/// # Errors
/// [`Error::Checksum`] if a block does not match its checksum.
pub(crate) fn verify_own(sums: &PartialSums, replicas: &Replicas, source: &dyn Source) -> Result<()> {
    sums.finish_with(source, |entry, _, own| (!replicas.contains_key(entry)).then_some(own))
}

/// Combines the partial CRCs of all ranks, and verifies the blocks that this rank has read a part of. A block that the
/// ranks together have not read as a whole is read again.
///
/// # Errors
/// [`Error::Checksum`] if a block does not match its checksum.
pub(crate) fn verify(sums: &PartialSums, replicas: &Replicas, source: &dyn Source, messages: &[Vec<u8>]) -> Result<()> {
    let mut count = 0;
    sums.each(|_, _, _| count += 1);
    pages::look(count * 2 * size_of::<((BlockKey, usize), Share)>()).map_err(no_memory)?;
    let mut totals: BTreeMap<(BlockKey, usize), Share> = BTreeMap::new();
    sums.each(|entry, block, _| {
        if let Some(replica) = replicas.get(entry) {
            totals.insert((block, *replica), Share::default());
        }
    });
    for message in messages {
        let (records, _) = message.as_chunks::<ENCODED>();
        for record in records {
            let (numbers, _) = record.as_chunks::<8>();
            let number = |at: usize| u64::from_le_bytes(numbers[at]);
            let index = |at: usize| usize::try_from(number(at)).unwrap_or(usize::MAX);
            if let Some(total) = totals.get_mut(&((index(0), number(1)), index(2))) {
                total.add(Share {
                    crc: number(3),
                    covered: number(4),
                });
            }
        }
    }
    sums.finish_with(source, |entry, block, _| {
        totals.get(&(block, *replicas.get(entry)?)).copied()
    })
}
