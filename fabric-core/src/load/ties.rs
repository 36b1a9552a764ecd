//! Compares tensors of a file that one tensor of the state is tied to.

use super::entries::StateEntry;
use super::matching::{LoadPlan, Named};
use crate::error::{Error, Result};
use crate::io::checksum;
use crate::load::raw::RawCheckpoint;
use crate::report::{Mismatch, MismatchKind};
use crate::source::read::stream;

/// Reads the pairs of tensors that must be equal and that the index could not compare, and reports those that differ.
pub(crate) fn compare(raw: &RawCheckpoint, entries: &[StateEntry<'_>], plan: &mut LoadPlan<'_>) -> Result<()> {
    for (at, one, other) in std::mem::take(&mut plan.equal) {
        if digest(raw, one)? != digest(raw, other)? {
            let name = entries[at].name.to_owned();
            plan.report.restored.retain(|restored| *restored != name);
            plan.report.mismatched.push(Mismatch {
                name,
                kind: MismatchKind::Tied,
                found: "contents".into(),
                expected: format!("`{}`", one.0),
                skipped: false,
            });
        }
    }
    Ok(())
}

fn digest(raw: &RawCheckpoint, (name, stored): Named<'_>) -> Result<u64, Error> {
    let mut running = checksum::Running::new();
    stream(&*raw.source, name, stored, |bytes| {
        running.update(bytes);
        Ok(())
    })?;
    Ok(running.finish())
}
