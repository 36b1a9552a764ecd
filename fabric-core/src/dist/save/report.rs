//! The report of a save as a message from rank 0.

use serde::{Deserialize, Serialize};

use super::agree::{decode, encode};
use crate::error::Result;
use crate::save::SaveReport;

#[derive(Serialize, Deserialize)]
struct ReportMessage {
    entries: usize,
    bytes: u64,
    filtered: Vec<String>,
    differing: Vec<String>,
    overflowed: Vec<String>,
}

/// Encodes a report.
pub(crate) fn encode_report(report: SaveReport) -> Result<Vec<u8>> {
    encode(&ReportMessage {
        entries: report.entries,
        bytes: report.bytes,
        filtered: report.filtered,
        differing: report.differing,
        overflowed: report.overflowed,
    })
}

/// Decodes a report.
pub(crate) fn decode_report(bytes: &[u8]) -> Result<SaveReport> {
    let ReportMessage {
        entries,
        bytes,
        filtered,
        differing,
        overflowed,
    } = decode(bytes)?;
    Ok(SaveReport {
        entries,
        bytes,
        filtered,
        differing,
        overflowed,
        ..SaveReport::default()
    })
}
