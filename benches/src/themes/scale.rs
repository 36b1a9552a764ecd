//! Many ranks.

use std::process::Command;

use serde::Deserialize;

use super::Bench;
use crate::Outcome;
use crate::figures::{Kind, Theme};
use crate::measured::{Measured, Timed};
use crate::peers;
use crate::timing::Summary;

/// A line of `dcp_4_ranks.py`.
#[derive(Deserialize)]
struct Line {
    #[serde(rename = "do")]
    work: String,
    seconds: f64,
}

pub(super) fn measure(bench: &Bench) -> Outcome<Theme> {
    let mut theme = Theme::new("Many ranks");
    let bytes = bench.scaled(2 << 30);
    if let Some(measured) = dcp(bench, bytes)? {
        let caption = "Two GiB of f32 in 64 tensors, dealt out to four ranks on this machine";
        theme.tables.push(measured.table(caption, bytes, SAVE));
    }
    Ok(theme)
}

const SAVE: &str = "dcp.save, synced";
const LOAD: &str = "dcp.load";

/// The distributed checkpoint of `PyTorch` on four ranks; nothing where it is not installed.
fn dcp(bench: &Bench, bytes: usize) -> Outcome<Option<Measured>> {
    if !bench.options.peers {
        return Ok(None);
    }
    let output = Command::new("python3")
        .arg(peers::folder().join("dcp_4_ranks.py"))
        .arg(bench.path(""))
        .args(["--mib", &(bytes >> 20).to_string(), "--runs", &bench.runs().to_string()])
        .output()?;
    let text = String::from_utf8(output.stdout)?;
    let lines: Vec<Line> = text
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect();
    if lines.is_empty() {
        eprintln!("peers: four ranks of DCP skipped ({})", text.trim());
        return Ok(None);
    }
    let times = |work: &str| {
        lines
            .iter()
            .filter(|line| line.work == work)
            .map(|line| line.seconds)
            .collect()
    };
    let timed = |name: &str, work: &str| Timed {
        name: name.to_owned(),
        kind: Kind::Peer,
        seconds: Summary::of(times(work)),
    };
    Ok(Some(Measured(vec![timed(SAVE, "save"), timed(LOAD, "load")])))
}
