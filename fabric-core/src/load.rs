//! Loads a checkpoint on one process: matches names, decodes every value, and then copies bytes straight into the live
//! tensors.
//!
//! A load is a [`Loading`] until its match is accepted, and an [`Accepted`](accepted::Accepted) afterwards. When
//! several processes load together, `dist::load` runs the same phases, and gives the box of each tensor that its
//! process holds.

mod accepted;
pub(crate) mod cast;
mod classes;
mod counted;
pub(crate) mod entries;
mod groups;
mod left_out;
pub(crate) mod loading;
mod matching;
pub(crate) mod migrated;
mod new_rows;
pub(crate) mod optimizer_state;
mod overlaps;
pub(crate) mod own;
pub(crate) mod raw;
mod scalar;
mod stage;
pub(crate) mod statistics;
pub(crate) mod target;
mod ties;
mod transfer;
mod verify;

use self::entries::Selections;
use self::loading::Loading;
use self::own::OwnNames;
use crate::error::Result;
use crate::load::raw::RawCheckpoint;
use crate::options::LoadOptions;
use crate::phases::Phases;
use crate::progress::Meter;
use crate::report::LoadReport;
use crate::source::read::PartialSums;
use crate::state::{AnySlot, AnyStateMut, OptimizerState, Resolved};

/// The result of a load.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Loaded {
    /// The entries that the load did not use, readable lazily.
    pub remainder: RawCheckpoint,
    /// The findings: restored, missing, unexpected and other entries.
    pub report: LoadReport,
}

/// The named entries of a state, with their places in it.
pub(crate) type LoadSlots<'a> = Resolved<AnySlot<'a>, &'a mut dyn OptimizerState>;

/// The request of a load.
pub(crate) struct Request {
    pub(crate) options: LoadOptions,
    /// All entries belong to the state, which is one module or optimizer: bare weights.
    pub(crate) whole: bool,
    /// The call is one of a `RawCheckpoint`, and not of a `Fabric`.
    pub(crate) by_reader: bool,
}

/// The listeners of a load: the progress meter and the spans.
#[derive(Clone, Copy)]
pub(crate) struct Watch<'w> {
    pub(crate) phases: &'w Phases,
    pub(crate) meter: Option<&'w Meter>,
}

/// Loads on one process.
pub(crate) fn load(
    file: &RawCheckpoint,
    state: &mut dyn AnyStateMut,
    request: Request,
    phases: &Phases,
) -> Result<Loaded> {
    watched(request, phases, |request, watch| {
        let whole = Selections::default();
        let mut loading = Loading::begin(file, state, request, watch, OwnNames::alone)?;
        let mut accepted = loading.find(&whole)?;
        let sums = PartialSums::default();
        let read = accepted.read(&sums).and_then(|()| sums.finish(accepted.source()));
        read.map_err(|error| accepted.interrupted(error))?;
        Ok(accepted.commit())
    })
}

/// Runs a load with its progress callback and its tracing spans.
pub(crate) fn watched(
    mut request: Request,
    phases: &Phases,
    load: impl FnOnce(Request, Watch<'_>) -> Result<Loaded>,
) -> Result<Loaded> {
    let callback = request.options.progress.take();
    let meter = callback.map(|callback| Meter::new(Some(callback)));
    let watch = Watch {
        phases,
        meter: meter.as_ref(),
    };
    let outcome = phases.within(|| load(request, watch));
    if let Some(meter) = &meter {
        meter.unwind();
    }
    outcome.inspect_err(|error| phases.failed(error))
}
