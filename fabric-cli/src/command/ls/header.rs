//! The lines above the entries: facts about the whole checkpoint.

use fabric_core::{Description, OptimizerSummary};

use super::table::Sizes;
use crate::entries::{Content, Entry, summary};
use crate::failure::Failure;
use crate::screen::{BOLD, Screen, styled};
use crate::text::{counted, cut, plain, plural};
use crate::time::utc;
use crate::versions;

/// The sums over the listed entries.
#[derive(Clone, Debug, Default, serde::Serialize)]
pub(crate) struct Totals {
    /// The stored tensors: names of one tensor count once.
    pub(crate) tensors: usize,
    /// The further names of stored tensors.
    pub(crate) tied_names: usize,
    pub(crate) values: usize,
    /// The elements of the stored tensors.
    pub(crate) elements: u64,
    pub(crate) bytes: u64,
}

impl Totals {
    pub(crate) fn of(entries: &[Entry<'_>]) -> Self {
        let mut totals = Self::default();
        for entry in entries {
            match &entry.content {
                Content::Tensor {
                    info, tied_to: None, ..
                } => {
                    totals.tensors += 1;
                    let elements = info.elements().unwrap_or_default() as u64;
                    totals.elements = totals.elements.saturating_add(elements);
                    totals.bytes = totals.bytes.saturating_add(entry.bytes());
                }
                Content::Tensor { .. } => totals.tied_names += 1,
                Content::Value(_) => totals.values += 1,
                Content::Optimizer { .. } => {}
            }
        }
        totals
    }
}

/// Prints the header, and an empty line.
///
/// # Errors
/// If the output cannot be written.
pub(crate) fn print(
    screen: &mut Screen,
    description: &Description,
    totals: &Totals,
    optimizers: &[OptimizerSummary],
    sizes: Sizes,
) -> Result<(), Failure> {
    let width = screen.width();
    screen.line(styled(BOLD, cut(&origin(description, sizes), width)))?;
    if let Some(run) = run(description) {
        screen.line(cut(&run, width))?;
    }
    screen.line(cut(&contents(totals, sizes), width))?;
    // An optimizer that is the whole file has no line among the entries.
    for optimizer in optimizers.iter().filter(|optimizer| optimizer.name.is_empty()) {
        screen.line(cut(&summary(optimizer), width))?;
    }
    screen.line("")
}

/// `Fabric directory · fabric-core 0.1.0 · fsdp (fsdp 4) · 5 files, 4.1 MiB`
fn origin(description: &Description, sizes: Sizes) -> String {
    let mut parts = vec![description.format.to_string()];
    parts.extend(description.writer.as_deref().map(|writer| plain(writer).into_owned()));
    if let Some(strategy) = &description.strategy {
        let axes = description.mesh.iter();
        let axes: Vec<String> = axes.map(|(axis, size)| format!("{} {size}", plain(axis))).collect();
        let strategy = plain(strategy);
        parts.push(match &axes[..] {
            [] => strategy.into_owned(),
            axes => format!("{strategy} ({})", axes.join(", ")),
        });
    }
    let outermost = description.structs.iter().filter(|found| found.path.is_empty());
    parts.extend(outermost.filter_map(versions::text));
    parts.push(format!(
        "{}, {}",
        plural(description.files, "file"),
        sizes.text(description.bytes)
    ));
    parts.join(" · ")
}

/// `step 1500 · val_loss 3.25 · 2026-11-30T20:15:00Z`
fn run(description: &Description) -> Option<String> {
    let run = description.run.as_ref()?;
    let mut parts = vec![format!("step {}", run.step)];
    let metrics = run.metrics.iter();
    parts.extend(metrics.map(|(name, value)| format!("{} {value:?}", plain(name))));
    parts.push(utc(run.time));
    parts.extend(run.host.as_deref().map(|host| format!("on {}", plain(host))));
    Some(parts.join(" · "))
}

/// `61 tensors, 345.1 K elements, 1.3 MiB · 1 more name of a tensor · 4 values`
fn contents(totals: &Totals, sizes: Sizes) -> String {
    let tensors = format!(
        "{}, {}, {}",
        plural(totals.tensors, "tensor"),
        counted(totals.elements, "element"),
        sizes.text(totals.bytes)
    );
    let mut parts = vec![tensors];
    if totals.tied_names > 0 {
        parts.push(plural(totals.tied_names, "tied name"));
    }
    if totals.values > 0 {
        parts.push(plural(totals.values, "value"));
    }
    parts.join(" · ")
}
