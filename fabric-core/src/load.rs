//! Carries out a load: match, stage every value, and only then move bytes, straight into the live tensors.

mod apply;
mod groups;
mod parts;
mod scalar;
mod stage;

use std::borrow::Cow;
use std::sync::Arc;

use self::parts::{AgreedParts, Parts};
use self::stage::Staged;
use crate::error::{Error, Result, StateError};
use crate::options::LoadOptions;
use crate::plan::load::{Absence, LoadPlan, Policy, Wanted, WantedKind, plan};
use crate::ranks::Ranks;
use crate::raw::RawCheckpoint;
use crate::report::LoadReport;
use crate::source::StoredTensor;
use crate::source::names::{Renamed, unfold};
use crate::source::read::Shares;
use crate::state::{
    Checkpoint, Content, Item, OptimizerPart, OptimizerState, Resolved, StorageKey, ValueSlot, VisitorMut, resolve,
};

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
        carry_out(self, state, options, false)
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
        carry_out(self, object, options, true)
    }
}

/// What was found fit to be loaded.
struct Matched<'r> {
    plan: LoadPlan<'r>,
    staged: Staged,
    /// The stored tensors of the plan, in its order.
    located: Vec<Cow<'r, StoredTensor>>,
}

fn carry_out<S: Checkpoint + ?Sized>(
    file: &RawCheckpoint,
    state: &mut S,
    options: LoadOptions,
    whole: bool,
) -> Result<Loaded> {
    let ranks = &*file.ranks;
    let (prepared, said) = ranks.step("load: plan", || {
        let mut visitor = VisitorMut::new();
        state.visit_mut(&mut visitor);
        let mut places = resolve(visitor.finish())?;
        check_only(&places, &options)?;
        let renamed = Renamed::by(&options, &file.index)?;
        let index = renamed.as_ref().map_or(&*file.index, |renamed| &renamed.index);
        places.accept_pytorch_names(|name| index.contains(name));
        let parts = Parts::of(ranks, &mut places)?;
        let renamed = unfold(renamed, &file.index, names(&places));
        let said = parts.message(file, &places, &options);
        Ok(((places, renamed, parts), said))
    })?;
    let (mut places, renamed, parts) = prepared;
    let parts = parts.agree(file, &places, &options, &said)?;
    let other_names = renamed.as_ref().map(|renamed| file.under(renamed));
    let raw = other_names.as_ref().unwrap_or(file);
    let shares = Arc::default();
    let matched = ranks.together("load: match", || {
        find(raw, &mut places, &parts, options, whole, &shares)
    })?;
    let Matched { plan, staged, located } = matched;
    let moved = ranks.step("load: read", || {
        apply::move_tensors(raw, &places, &plan, &located)?;
        apply::begin_at_zero(&places, &plan)?;
        Ok(((), shares.encode()))
    });
    let settled = moved.and_then(|((), said)| settle(ranks, raw, &shares, &said));
    settled.map_err(|error| apply::interrupted(&places, &plan, error))?;
    staged.commit(places);
    let remainder = match &renamed {
        Some(renamed) => file.left(renamed, &plan.consumed),
        None => file.without(&plan.consumed),
    };
    Ok(Loaded {
        remainder,
        report: plan.report,
    })
}

/// Matches everything, decodes the values, and finds the bytes of the tensors; changes nothing.
fn find<'r>(
    raw: &'r RawCheckpoint,
    places: &mut Places<'_>,
    parts: &AgreedParts<'_>,
    options: LoadOptions,
    whole: bool,
    shares: &Arc<Shares>,
) -> Result<Matched<'r>> {
    let wanted = wanted(places, parts, raw);
    let foreign = places.optimizers.iter().map(|optimizer| optimizer.state.clone());
    let policy = Policy {
        options,
        whole,
        foreign: foreign.collect(),
    };
    let mut plan = plan(&wanted, &places.components, &raw.index, &policy);
    apply::compare_ties(raw, &wanted, &mut plan)?;
    let scalars = scalar::read(raw, &plan)?;
    let staged = stage::stage(raw, &scalars, places, &mut plan);
    if !plan.report.is_acceptable() {
        return Err(Error::Mismatch(Box::new(plan.report)));
    }
    check_writable(places, &plan)?;
    let located = apply::locate(raw, &plan, parts, shares)?;
    if policy.options.verify_first {
        apply::verify(raw, &plan, &located)?;
    }
    Ok(Matched { plan, staged, located })
}

/// Puts together the checksums of blocks of which every rank has read a part.
fn settle(ranks: &Ranks, raw: &RawCheckpoint, shares: &Shares, said: &[Vec<u8>]) -> Result<()> {
    if said.iter().all(Vec::is_empty) {
        return Ok(());
    }
    ranks.together("load: verify", || shares.settle(&*raw.source, said))
}

/// Everything that the entries of a state may be called.
fn names<'p>(places: &'p Places<'_>) -> impl Iterator<Item = &'p str> {
    let scopes = places.items.iter().map(|item| &item.scope);
    scopes.flat_map(|scope| {
        std::iter::once(&scope.name)
            .chain(&scope.alternatives)
            .map(String::as_str)
    })
}

/// A handle that names nothing of this state is a handle of another type.
fn check_only(places: &Places<'_>, options: &LoadOptions) -> Result<(), StateError> {
    for name in &options.only {
        let known = places.components.iter().any(|component| component == name)
            || places
                .items
                .iter()
                .any(|item| crate::entry::strip(&item.scope.name, name).is_some());
        if name.is_empty() || !known {
            return Err(StateError::NoSuchComponent {
                name: name.clone(),
                components: places.components.join(", "),
            });
        }
    }
    Ok(())
}

/// The state's entries as matching sees them.
fn wanted<'w>(places: &'w Places<'_>, parts: &'w AgreedParts<'_>, raw: &RawCheckpoint) -> Vec<Wanted<'w>> {
    let describe = |(at, item): (usize, &'w Item<Box<dyn ValueSlot + '_>>)| {
        let kind = match &item.content {
            Content::Tensor(tensor, _) => WantedKind::Tensor {
                info: parts
                    .whole(at)
                    .map_or_else(|| tensor.into(), |whole| whole.info.clone()),
                memory: StorageKey::of(tensor),
            },
            Content::Value(slot) => WantedKind::Value {
                absence: stage::absence(&**slot),
                optimizer: false,
            },
            Content::Optimizer { part, .. } => WantedKind::Value {
                absence: if *part == OptimizerPart::Kind {
                    Absence::Fine
                } else {
                    Absence::Missing
                },
                optimizer: true,
            },
        };
        Wanted {
            name: &item.scope.name,
            alternatives: &item.scope.alternatives,
            kind,
            filtered: item.filtered,
            optional: item.scope.optional,
            fresh: None,
            per_rank: parts.per_rank(at),
        }
    };
    let mut wanted: Vec<Wanted<'w>> = places.items.iter().enumerate().map(describe).collect();
    for (number, optimizer) in places.optimizers.iter().enumerate() {
        // The groups stand behind the kind.
        let groups = &wanted[optimizer.kind_item + 1];
        if optimizer.foreign && groups.names().any(|name| raw.index.contains(name)) {
            for (parameter, at) in optimizer.parameters.iter().enumerate() {
                for entry in &mut wanted[at.items.clone()] {
                    entry.fresh = Some((number, parameter));
                }
            }
        }
    }
    wanted
}

/// Elements that share memory cannot each get a value of their own. Asked only of tensors that will be written.
fn check_writable(places: &Places<'_>, plan: &LoadPlan<'_>) -> Result<(), StateError> {
    for filling in &plan.tensors {
        let item = &places.items[filling.wanted];
        let Content::Tensor(tensor, _) = &item.content else {
            continue;
        };
        // The question that candle asks before it lets anybody write: better here, where nothing has changed.
        if tensor.elem_count() > 0 && tensor.layout().has_internal_overlap() {
            return Err(StateError::Tensor {
                name: item.scope.name.clone(),
                what: "is expanded: its elements share memory and cannot be restored; keep the tensor it was expanded \
                       from in the state"
                    .to_owned(),
            });
        }
    }
    Ok(())
}
