//! Carries out a load: match, stage every value, and only then move bytes, straight into the live tensors.

mod apply;
mod classes;
mod groups;
mod matching;
pub(crate) mod plan;
mod scalar;
mod stage;
pub(crate) mod target;
mod verify;

use std::sync::Arc;

use self::matching::{Matched, find};
use crate::dist::load::Parts;
use crate::dist::ranks::Ranks;
use crate::error::{Error, Result};
use crate::load::plan::Policy;
use crate::load::plan::numbered::{Names, accept_numbers};
use crate::options::LoadOptions;
use crate::phases::{Phase, Phases};
use crate::progress::Meter;
use crate::raw::RawCheckpoint;
use crate::report::LoadReport;
use crate::source::names::{Renamed, unfold};
use crate::source::read::Shares;
use crate::state::{Checkpoint, OptimizerState, Resolved, ValueSlot, VisitorMut, resolve};
use crate::threads::calls::{self, Within};

/// What a load did.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Loaded {
    /// The entries that the load did not use, readable lazily.
    pub remainder: RawCheckpoint,
    /// What came from where.
    pub report: LoadReport,
}

/// Places of a state, named.
pub(crate) type Places<'a> = Resolved<Box<dyn ValueSlot + 'a>, &'a mut dyn OptimizerState>;

impl RawCheckpoint {
    /// Restores `state` from these entries, in place and strictly, as [`Fabric::load`](crate::Fabric::load) does:
    /// for a component left in the remainder, or a subtree of a foreign file.
    ///
    /// # Errors
    /// As [`Fabric::load`](crate::Fabric::load).
    pub fn load<S: Checkpoint + ?Sized>(&self, state: &mut S) -> Result<Loaded> {
        self.load_with(state, LoadOptions::new())
    }

    /// The same with options.
    ///
    /// # Errors
    /// As [`Fabric::load_with`](crate::Fabric::load_with).
    pub fn load_with<S: Checkpoint + ?Sized>(&self, state: &mut S, options: LoadOptions) -> Result<Loaded> {
        let _within = self.enter("RawCheckpoint::load")?;
        carry_out(self, state, options, false, &self.phases())
    }

    /// Restores one module or optimizer from these entries, all of which are meant for it, as
    /// [`Fabric::load_raw`](crate::Fabric::load_raw) does.
    ///
    /// # Errors
    /// As [`Fabric::load_raw`](crate::Fabric::load_raw).
    pub fn load_raw<S: Checkpoint + ?Sized>(&self, object: &mut S) -> Result<Loaded> {
        self.load_raw_with(object, LoadOptions::new())
    }

    /// The same with options.
    ///
    /// # Errors
    /// As [`Fabric::load_raw_with`](crate::Fabric::load_raw_with).
    pub fn load_raw_with<S: Checkpoint + ?Sized>(&self, object: &mut S, options: LoadOptions) -> Result<Loaded> {
        let _within = self.enter("RawCheckpoint::load_raw")?;
        carry_out(self, object, options, true, &self.phases())
    }

    /// A load from what is open waits for nobody but other ranks.
    fn enter(&self, call: &'static str) -> Result<Within> {
        let id = self.ranks.id();
        if !self.ranks.alone() && calls::is_within(id) {
            return Err(Error::Nested { call });
        }
        Ok(calls::enter(id))
    }

    /// Of a load from what is open already.
    fn phases(&self) -> Phases {
        Phases::of_load(self.origin(), self.ranks.rank())
    }
}

/// Loads, and tells whoever wants to know what happens on the way. If `whole`, all entries are meant for this state.
pub(crate) fn carry_out<S: Checkpoint + ?Sized>(
    file: &RawCheckpoint,
    state: &mut S,
    mut options: LoadOptions,
    whole: bool,
    phases: &Phases,
) -> Result<Loaded> {
    // Not one of the options that ranks compare: one of them may ask where others do not.
    let meter = options.progress.take().map(|callback| Meter::new(Some(callback)));
    let watch = Watch {
        phases,
        meter: meter.as_ref(),
    };
    let outcome = phases.within(|| restore(file, state, options, whole, watch));
    if let Some(meter) = &meter {
        meter.unwind();
    }
    outcome.inspect_err(|error| phases.failed(error))
}

/// Who is told what a load does.
#[derive(Clone, Copy)]
struct Watch<'w> {
    phases: &'w Phases,
    meter: Option<&'w Meter>,
}

fn restore<S: Checkpoint + ?Sized>(
    file: &RawCheckpoint,
    state: &mut S,
    options: LoadOptions,
    whole: bool,
    watch: Watch<'_>,
) -> Result<Loaded> {
    let ranks = &*file.ranks;
    let matching = watch.phases.begin(Phase::Match);
    let (prepared, said) = ranks.step("load: plan", || {
        let mut visitor = VisitorMut::new();
        state.visit_mut(&mut visitor);
        let mut places = resolve(visitor.finish())?;
        for handle in options.only.iter().chain(&options.exclude) {
            places.check_handle(handle)?;
        }
        let renamed = Renamed::by(&options, &file.index)?;
        let index = renamed.as_ref().map_or(&*file.index, |renamed| &renamed.index);
        let names = Names {
            index,
            renamed: renamed.as_ref(),
        };
        let assumed = accept_numbers(&mut places, names);
        let parts = Parts::of(ranks, &mut places)?;
        let renamed = unfold(renamed, &file.index, all_names(&places));
        let said = parts.message(file, &places, &options);
        Ok(((places, renamed, parts, assumed), said))
    })?;
    let (mut places, renamed, parts, assumed) = prepared;
    let parts = parts.agree(file, &places, &options, &said)?;
    let other_names = renamed.as_ref().map(|renamed| file.under(renamed));
    let raw = other_names.as_ref().unwrap_or(file);
    let shares = Arc::default();
    let policy = Policy {
        options,
        whole,
        assumed,
        empty: places.empty(),
        none: places.fields.none.clone(),
        states: places
            .optimizers
            .iter()
            .map(|optimizer| optimizer.state.clone())
            .collect(),
        keys: S::KEYS,
    };
    let matched = ranks.together("load: match", || {
        find(raw, &mut places, &parts, &policy, &shares, watch, matching)
    })?;
    let Matched {
        plan,
        staged,
        located,
        bytes,
    } = matched;
    let moved = ranks.step("load: read", || {
        let reading = watch.phases.begin(Phase::Read);
        reading.bytes(bytes);
        apply::move_tensors(raw, &places, &plan, &located, watch.meter)?;
        apply::begin_at_zero(&places, &plan)?;
        Ok(((), shares.encode()?))
    });
    let settled = moved.and_then(|((), said)| settle(ranks, raw, &shares, &said, watch.phases));
    settled.map_err(|error| apply::interrupted(&places, &plan, error))?;
    staged.commit(places);
    watch.phases.loaded(bytes);
    let remainder = match &renamed {
        Some(renamed) => file.left(renamed, &plan.consumed),
        None => file.without(&plan.consumed),
    };
    Ok(Loaded {
        remainder,
        report: plan.report,
    })
}

/// Puts together the checksums of blocks of which every rank has read a part.
fn settle(ranks: &Ranks, raw: &RawCheckpoint, shares: &Shares, said: &[Vec<u8>], phases: &Phases) -> Result<()> {
    if said.iter().all(Vec::is_empty) {
        return Ok(());
    }
    let settle = || phases.time(Phase::Verify, || shares.settle(&*raw.source, said));
    ranks.together("load: verify", settle)
}

/// Everything that the entries of a state may be called.
fn all_names<'p>(places: &'p Places<'_>) -> impl Iterator<Item = &'p str> {
    let scopes = places.items.iter().map(|item| &item.scope);
    scopes.flat_map(|scope| {
        std::iter::once(&scope.name)
            .chain(&scope.alternatives)
            .map(String::as_str)
    })
}
