//! Reads parts in another order: some blocks at a time into memory, and from there to the elements' places.

use std::sync::{Mutex, PoisonError};

use super::cut::{Buffers, Reading};
use super::elements::Elements;
use super::in_blocks::InBlocks;
use super::runs::CopyRun;
use super::{in_parallel, no_less};
use crate::error::Result;
use crate::io::checksum::BLOCK;
use crate::io::pages;

/// The most blocks that are in memory. Rows that are shorter than these blocks give runs in each column.
const MOST: usize = 4;

/// A block in memory.
struct Held<'h> {
    number: usize,
    /// The runs that are needed, with their places in the memory of the block.
    runs: &'h [CopyRun],
    bytes: &'h mut [u8],
}

/// Reads elements of a part into their places in `into`.
pub(super) fn read(reading: &Reading<'_>, elements: &Elements, into: &mut [u8], threads: usize) -> Result<()> {
    let mut blocks = InBlocks::new(elements.file_runs());
    let mut memory = Vec::new();
    loop {
        let mut group: Vec<(usize, Vec<CopyRun>)> = Vec::with_capacity(MOST);
        while group.len() < MOST
            && let Some((number, mut runs)) = blocks.next()
        {
            for run in &mut runs {
                run.to = run.from - number * BLOCK;
            }
            group.push((number, runs));
        }
        if group.is_empty() {
            return Ok(());
        }
        let len = group.iter().map(|(number, _)| reading.whole(*number).len).sum();
        if memory.len() < len {
            no_less(reading.source, pages::resize(&mut memory, len))?;
        }
        fill(reading, &group, &mut memory[..len], threads)?;
        scatter(&group, &memory[..len], elements, into, threads)?;
    }
}

/// Fills the memory of blocks, and verifies them.
fn fill(reading: &Reading<'_>, group: &[(usize, Vec<CopyRun>)], memory: &mut [u8], threads: usize) -> Result<()> {
    let blocks = group.iter().zip(memory.chunks_mut(BLOCK));
    let work = Mutex::new(blocks.map(|((number, runs), bytes)| Held {
        number: *number,
        runs,
        bytes,
    }));
    in_parallel(threads, || {
        let held = work.lock().unwrap_or_else(PoisonError::into_inner).next()?;
        Some(match held.runs {
            [run] if run.len == held.bytes.len() => reading.stretch(held.number * BLOCK, held.bytes),
            runs => reading.block(held.number, runs, held.bytes, &mut Buffers::default()),
        })
    })
}

/// Copies the elements of blocks in memory to their places; each thread has the places of some of them.
fn scatter(
    group: &[(usize, Vec<CopyRun>)],
    memory: &[u8],
    elements: &Elements,
    into: &mut [u8],
    threads: usize,
) -> Result<()> {
    // Neighbours are one window.
    let mut windows: Vec<(usize, std::ops::Range<usize>)> = Vec::with_capacity(group.len());
    for (at, (number, _)) in group.iter().enumerate() {
        let bytes = at * BLOCK..memory.len().min((at + 1) * BLOCK);
        match windows.last_mut() {
            Some((first, before)) if *first * BLOCK + before.len() == number * BLOCK => before.end = bytes.end,
            _ => windows.push((*number, bytes)),
        }
    }
    let work = Mutex::new(elements.stripes(into, threads).into_iter());
    in_parallel(threads, || {
        let (elements, into) = work.lock().unwrap_or_else(PoisonError::into_inner).next()?;
        for (number, bytes) in &windows {
            elements.scatter(number * BLOCK, &memory[bytes.clone()], into);
        }
        Some(Ok(()))
    })
}
