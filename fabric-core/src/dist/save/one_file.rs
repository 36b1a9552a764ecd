//! A checkpoint in one file that rank 0 writes.

use std::sync::Arc;

use super::super::ranks::Ranks;
use super::{Agreed, Prepared, origin};
use crate::entry::Row;
use crate::error::Result;
use crate::save::file::FileWriter;
use crate::save::heading::heading;
use crate::save::publish::publish;
use crate::save::{Commit, Decided};

/// Gives all rows to rank 0, and none to the others.
pub(super) fn decide(ranks: &Ranks, writing: Arc<Ranks>, prepared: Prepared, agreed: Agreed) -> Result<Decided> {
    let Prepared {
        mut plan,
        state,
        durability,
        ..
    } = prepared;
    let mut report = plan.report(0, agreed.differing);
    let manifest = heading(&plan, origin(&ranks.strategy, &ranks.mesh), state, agreed.per_rank)?;
    if ranks.rank() != 0 {
        plan.tensors.clear();
    }
    let heads: Vec<_> = plan.tensors.iter().map(Row::head).collect();
    let commit: Commit = Box::new(move |destination, contents| {
        let write = || {
            let mut file = FileWriter::new(&heads, manifest, destination.path)?;
            publish(destination, durability, file.len(), |into, path| {
                file.write(contents, into, path)
            })?;
            Ok(file.len().to_le_bytes().to_vec())
        };
        let bytes = writing.first("save: write", write)?;
        report.bytes = bytes.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
        Ok(report)
    });
    Ok(Decided {
        rows: plan.tensors,
        progress: None,
        commit,
    })
}
