//! A checkpoint in one file that rank 0 writes.

use std::sync::Arc;

use super::super::ranks::Ranks;
use super::Agreed;
use crate::entry::Row;
use crate::save::file::FileWriter;
use crate::save::publish::publish;
use crate::save::{Commit, Decided};

/// Assigns all rows to rank 0.
pub(super) fn decide(ranks: &Ranks, writing: Arc<Ranks>, agreed: Agreed) -> Decided {
    let (mut report, durability) = (agreed.report, agreed.durability);
    let manifest = agreed.plan.into_manifest(ranks.strategy.origin(), agreed.per_rank);
    let mut rows: Vec<_> = agreed.tensors.into_iter().map(|tensor| tensor.row).collect();
    if ranks.rank() != 0 {
        rows.clear();
    }
    let heads: Vec<_> = rows.iter().map(Row::head).collect();
    let commit: Commit = Box::new(move |target, contents| {
        let write = || {
            let mut file = FileWriter::new(&heads, manifest, target.path)?;
            publish(target, durability, file.len(), |into, path| {
                file.write(contents, into, path)
            })?;
            Ok(file.len().to_le_bytes().to_vec())
        };
        let bytes = writing.on_rank_zero("save: write", write)?;
        report.bytes = bytes.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
        Ok(report)
    });
    Decided {
        rows,
        progress: None,
        commit,
    }
}
