//! The rules of `ckpt prune`.

use std::time::Duration;

use fabric_core::run::{Keep, Metric};

/// The rules by which checkpoints stay.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = true)]
pub(super) struct Rules {
    /// Keeps the checkpoints that were saved last, so many.
    #[arg(long = "keep-last", value_name = "COUNT")]
    last: Option<usize>,
    /// Keeps the checkpoint with the lowest value of a metric, or so many of them. May be given more than once.
    #[arg(long = "keep-best", value_name = "METRIC[:COUNT]", value_parser = best)]
    best: Vec<(usize, String)>,
    /// As --keep-best, with the highest value.
    #[arg(long = "keep-highest", value_name = "METRIC[:COUNT]", value_parser = best)]
    highest: Vec<(usize, String)>,
    /// Keeps the first checkpoint at or after each multiple of so many steps.
    #[arg(long = "keep-every", value_name = "STEPS", value_parser = clap::value_parser!(u64).range(1..))]
    every: Vec<u64>,
    /// Keeps the checkpoints that are younger: 90s, 30min, 12h, 7d.
    #[arg(long = "keep-newer-than", value_name = "AGE", value_parser = age)]
    newer_than: Option<Duration>,
}

impl Rules {
    pub(super) fn keep(&self) -> Keep {
        let mut keep = Keep::last(self.last.unwrap_or(0));
        for (count, metric) in self.metrics() {
            keep = keep.best(count, metric);
        }
        for steps in &self.every {
            keep = keep.every(*steps);
        }
        match self.newer_than {
            Some(age) => keep.newer_than(age),
            None => keep,
        }
    }

    /// The metrics of the rules, and how many checkpoints each one keeps.
    pub(super) fn metrics(&self) -> impl Iterator<Item = (usize, Metric)> {
        let best = self.best.iter().map(|(count, name)| (*count, Metric::lowest(name)));
        let highest = self.highest.iter().map(|(count, name)| (*count, Metric::highest(name)));
        best.chain(highest)
    }
}

/// A metric, and how many checkpoints: `val_loss`, `val_loss:2`.
fn best(text: &str) -> Result<(usize, String), String> {
    let (name, count) = match text.rsplit_once(':') {
        Some((name, count)) => match count.parse() {
            Ok(count) => (name, count),
            Err(_) => return Err(format!("`{count}` is no number of checkpoints")),
        },
        None => (text, 1),
    };
    if name.is_empty() || count == 0 {
        return Err("name a metric, and at least one checkpoint: val_loss:2".to_owned());
    }
    Ok((count, name.to_owned()))
}

/// An age with its unit.
fn age(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let seconds = match &text[digits.len()..] {
        "s" => 1,
        "m" | "min" => 60,
        "h" => 60 * 60,
        "d" => 24 * 60 * 60,
        _ => return Err("give a number with its unit: 90s, 30min, 12h, 7d".to_owned()),
    };
    let number: u64 = digits.parse().map_err(|_| format!("`{digits}` is no whole number"))?;
    number
        .checked_mul(seconds)
        .map(Duration::from_secs)
        .ok_or_else(|| format!("`{text}` is too long"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_read_with_their_counts_and_units() {
        assert_eq!(best("val_loss"), Ok((1, "val_loss".to_owned())));
        assert_eq!(best("a:b:2"), Ok((2, "a:b".to_owned())));
        for wrong in ["", ":2", "loss:", "loss:0", "loss:-1", "a:b"] {
            assert!(best(wrong).is_err(), "{wrong}");
        }
        let ages = ["90s", "30min", "30m", "12h", "7d"].map(|text| age(text).unwrap().as_secs());
        assert_eq!(ages, [90, 1_800, 1_800, 43_200, 604_800]);
        for wrong in [
            "",
            "7",
            "d",
            "7w",
            "-1d",
            "1.5h",
            "99999999999999999999d",
            "9999999999999999d",
            "７d",
        ] {
            assert!(age(wrong).is_err(), "{wrong}");
        }
    }
}
