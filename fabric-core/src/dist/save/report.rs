//! The report of a save as a message from rank 0.

use serde::{Deserialize, Serialize};

use super::agree::{decode, encode};
use crate::error::Result;
use crate::save::SaveReport;

#[derive(Serialize, Deserialize)]
struct Message {
    entries: usize,
    bytes: u64,
    filtered: Vec<String>,
    differing: Vec<String>,
}

/// A report as a message.
pub(crate) fn encode_report(report: SaveReport) -> Result<Vec<u8>> {
    encode(&Message {
        entries: report.entries,
        bytes: report.bytes,
        filtered: report.filtered,
        differing: report.differing,
    })
}

/// The report in a message.
pub(crate) fn decode_report(bytes: &[u8]) -> Result<SaveReport> {
    let Message {
        entries,
        bytes,
        filtered,
        differing,
    } = decode(bytes)?;
    Ok(SaveReport {
        entries,
        bytes,
        filtered,
        differing,
        ..SaveReport::default()
    })
}
