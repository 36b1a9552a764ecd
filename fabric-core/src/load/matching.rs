//! Finds out whether a state can be loaded, and from which bytes; changes nothing.

use std::borrow::Cow;
use std::sync::Arc;

use super::stage::{self, Staged};
use super::{Places, Watch, apply, scalar, verify};
use crate::dist::load::AgreedParts;
use crate::error::{Error, Result, StateError};
use crate::load::plan::{Absence, LoadPlan, Policy, StateOf, Wanted, WantedKind, plan};
use crate::phases::{Phase, Timed, is_anybody_listening};
use crate::raw::RawCheckpoint;
use crate::source::StoredTensor;
use crate::source::read::Shares;
use crate::state::{Content, Item, OptimizerPart, StorageKey, ValueSlot};
use crate::value::memory::look_for;

/// What was found fit to be loaded.
pub(crate) struct Matched<'r> {
    pub(crate) plan: LoadPlan<'r>,
    pub(crate) staged: Staged,
    /// The stored tensors of the plan, in its order.
    pub(crate) located: Vec<Cow<'r, StoredTensor>>,
    /// How long they are; 0 if nobody wants to know.
    pub(crate) bytes: u64,
}

/// Matches everything, decodes the values, and finds the bytes of the tensors; changes nothing.
pub(crate) fn find<'r>(
    raw: &'r RawCheckpoint,
    places: &mut Places<'_>,
    parts: &AgreedParts<'_>,
    policy: &Policy,
    shares: &Arc<Shares>,
    watch: Watch<'_>,
    matching: Timed<'_>,
) -> Result<Matched<'r>> {
    places.ask(|at| parts.whole(at).map(|whole| &whole.info));
    let wanted = wanted(places, parts, raw);
    let mut plan = plan(&wanted, || places.components(), &places.optionals, &raw.index, policy);
    apply::compare_ties(raw, &wanted, &mut plan)?;
    let scalars = scalar::read(raw, &plan)?;
    let values = plan.values.iter();
    look_for(values.filter_map(|(_, name)| raw.index.values.get(*name))).map_err(|source| Error::Memory {
        purpose: "decode the values of the checkpoint".to_owned(),
        source,
    })?;
    let staged = stage::stage(raw, &scalars, places, &mut plan);
    if !plan.report.is_acceptable() {
        return Err(Error::Mismatch(Box::new(plan.report)));
    }
    check_writable(places, &plan)?;
    let located = apply::locate(raw, &plan, parts, shares)?;
    let is_counted = watch.meter.is_some() || is_anybody_listening();
    let bytes = if is_counted { apply::bytes(&located) } else { 0 };
    matching.bytes(bytes);
    drop(matching);
    let verify_first = policy.options.verify_first;
    if let Some(meter) = watch.meter {
        meter.announce(bytes + if verify_first { verify::bytes(&located) } else { 0 });
    }
    if verify_first {
        let _verifying = watch.phases.begin(Phase::Verify);
        verify::verify(raw, &plan, &located, watch.meter)?;
    }
    Ok(Matched {
        plan,
        staged,
        located,
        bytes,
    })
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
            state_of: None,
            per_rank: parts.per_rank(at),
        }
    };
    let mut wanted: Vec<Wanted<'w>> = places.items.iter().enumerate().map(describe).collect();
    for (number, optimizer) in places.optimizers.iter().enumerate() {
        // The groups stand behind the kind.
        let groups = &wanted[optimizer.kind_item + 1];
        let may_be_fresh = optimizer.foreign && groups.names().any(|name| raw.index.contains(name));
        for (parameter, at) in optimizer.parameters.iter().enumerate() {
            let state = StateOf {
                optimizer: number,
                parameter,
                may_be_fresh,
            };
            wanted[at.items.clone()]
                .iter_mut()
                .for_each(|entry| entry.state_of = Some(state));
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
