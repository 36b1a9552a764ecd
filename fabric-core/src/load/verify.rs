//! Reads and verifies all bytes of a load before the load changes a tensor.

use crate::error::Result;
use crate::hash::HashSet;
use crate::load::counted::Counted;
use crate::load::raw::RawCheckpoint;
use crate::load::transfer::Transfer;
use crate::progress::Meter;
use crate::source::read::{Marked, read_each, verify_run};
use crate::source::{Check, Extent, Part};

/// Compares the checksums of all bytes that the load will read.
pub(crate) fn verify(raw: &RawCheckpoint, transfers: &[Transfer<'_>], meter: Option<&Meter>) -> Result<()> {
    let parts = transfers.iter().flat_map(|transfer| {
        let (name, stored) = (transfer.stored_name, &transfer.stored);
        let item = stored.info.dtype().bits() / 8;
        stored.parts.iter().map(move |part| (name, item, part))
    });
    let (in_runs, others): (Vec<_>, Vec<_>) = parts.partition(|(.., part)| is_run(part));
    let mut verified: HashSet<Extent> = HashSet::default();
    for (name, _, part) in in_runs {
        let Check::Run(run) = &part.check else { continue };
        let is_first = verified.insert(run.place);
        match meter {
            Some(meter) => {
                let counted = Counted::new(&*raw.source, meter, name, part.place.len);
                if is_first {
                    verify_run(&counted, name, run)?;
                }
                counted.finish()?;
            }
            None if is_first => verify_run(&*raw.source, name, run)?,
            None => {}
        }
    }
    let blocks = others.iter().flat_map(|(entry, item, part)| {
        let blocks = part.blocks_read(*item);
        blocks.map(move |block| Marked { entry, block, mark: () })
    });
    read_each(&*raw.source, blocks, |marked, read| {
        let len = read?.len() as u64;
        meter.map_or(Ok(()), |meter| meter.add(marked.entry, len))
    })
}

/// The number of bytes that [`verify`] reports to the meter.
pub(crate) fn bytes(transfers: &[Transfer<'_>]) -> u64 {
    let of_part = |item: usize, part: &Part| -> u64 {
        if is_run(part) {
            return part.place.len;
        }
        part.blocks_read(item).map(|block| block.len as u64).sum()
    };
    let of_tensor = |transfer: &Transfer<'_>| -> u64 {
        let item = transfer.stored.info.dtype().bits() / 8;
        transfer.stored.parts.iter().map(|part| of_part(item, part)).sum()
    };
    transfers.iter().map(of_tensor).sum()
}

/// Returns true if the checksum of the part covers a run of bytes that other parts may share.
fn is_run(part: &Part) -> bool {
    matches!(part.check, Check::Run(_))
}
