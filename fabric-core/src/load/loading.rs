//! The phases of a load that change nothing: walking the state, and matching it with the file.

use super::accepted::Accepted;
use super::entries::{Selections, entries};
use super::matching::numbered::{Names, accept_numbers};
use super::matching::{LoadPlan, Policy, check_declared, check_not_empty, plan};
use super::migrated::{Due, StructOfState, migrated};
use super::own::{OwnNames, OwnValue};
use super::transfer::{Transfer, locate};
use super::{LoadSlots, Request, Watch, left_out, overlaps, scalar, stage, ties, verify};
use crate::error::{Error, Result, StateError};
use crate::hash::HashMap;
use crate::load::raw::RawCheckpoint;
use crate::options::LoadOptions;
use crate::phases::{Phase, Timed, is_anybody_listening};
use crate::source::Index;
use crate::source::names::{Renamed, unfold};
use crate::state::{AnyStateMut, Content, FileNames, StructPlace, both_ways, resolve};
use crate::value::memory::look_for;

/// A load with a walked state.
pub(crate) struct Loading<'l> {
    /// The entries under the file's names, or under those that a migration gave them.
    pub(crate) file: RawCheckpoint,
    /// The entries of the file outside of the root, where a migration has edited those below it.
    beside: Option<Index>,
    /// The new names; `None` if the options change no name, or a migration has changed them since.
    renamed: Option<Renamed>,
    /// The entries under the state's names.
    named: RawCheckpoint,
    pub(crate) places: LoadSlots<'l>,
    /// The values that differ between processes, by their positions.
    pub(crate) own: HashMap<usize, OwnValue>,
    pub(crate) policy: Policy,
    watch: Watch<'l>,
    matching: Option<Timed<'l>>,
}

impl<'l> Loading<'l> {
    /// Walks the state, and finds the names of its entries in the file. `own` gives the names in the file of a value
    /// that differs between processes.
    ///
    /// # Errors
    /// If the state is invalid, or an option does not fit the state and the file.
    pub(crate) fn begin(
        file: &'l RawCheckpoint,
        state: &'l mut dyn AnyStateMut,
        request: Request,
        watch: Watch<'l>,
        own: impl Fn(&[String]) -> OwnNames,
    ) -> Result<Self> {
        let matching = watch.phases.begin(Phase::Match);
        let Request {
            options,
            whole,
            by_reader,
        } = request;
        let keys = state.keys();
        let mut places = resolve(both_ways::places(state)?)?;
        for part in options.only.iter().chain(&options.exclude) {
            places.check_part(part)?;
        }
        let renamed = Renamed::by(&options, &file.index)?;
        let idle_prefixes = renamed
            .as_ref()
            .map_or_else(Vec::new, |renamed| renamed.idle_prefixes.clone());
        let recipes = Due {
            call: &options.recipe,
            structs: structs(&places, &options),
            parameters: parameters(&places),
            keeps_hyperparameters: options.keep_hyperparameters,
            restores_optimizers: restores_optimizers(&places, &options),
            has_state: true,
        };
        let named = renamed.as_ref().map(|renamed| file.under(renamed));
        let (file, renamed, beside) = match migrated(named.as_ref().unwrap_or(file), &recipes)? {
            Some(migrated) => match renamed {
                Some(names) => (migrated.of_file(&names), None, Some(names.rest(&file.index))),
                None => (migrated, None, None),
            },
            None => (file.clone(), renamed, None),
        };
        let names = Names {
            index: renamed.as_ref().map_or(&*file.index, |renamed| &renamed.index),
            renamed: renamed.as_ref(),
        };
        let fields = places.find_names(|| file_names(names.index), &options.only, &options.exclude);
        let assumed = accept_numbers(&mut places, names);
        let own = name_own_values(&mut places, own, |name| file.index.edits.is_new(name));
        let renamed = unfold(renamed, &file.index, all_names(&places));
        let named = renamed
            .as_ref()
            .map_or_else(|| file.clone(), |renamed| file.under(renamed));
        let states = places.optimizers.iter().map(|optimizer| optimizer.state.clone());
        let policy = Policy {
            options,
            whole,
            by_reader,
            assumed,
            empty: places.empty(),
            none: places.fields.none(),
            states: states.collect(),
            kinds: places.optimizers.iter().map(|optimizer| optimizer.kind).collect(),
            keys,
            fields,
            idle_prefixes,
        };
        Ok(Self {
            file,
            beside,
            renamed,
            named,
            places,
            own,
            policy,
            watch,
            matching: Some(matching),
        })
    }

    /// Matches all entries, decodes the values, and finds the bytes of the tensors. `selections` are the boxes of whole
    /// tensors that entries hold.
    ///
    /// # Errors
    /// [`Error::Mismatch`] with all findings, if the load is refused.
    pub(crate) fn find<'a>(&'a mut self, selections: &'a Selections) -> Result<Accepted<'a, 'l>> {
        let (file, policy, watch) = (&self.named, &self.policy, self.watch);
        let places = &mut self.places;
        places.ask(|at| selections.get(&at).map(|selection| &selection.whole));
        let mut entries = entries(
            &mut places.items,
            &places.optimizers,
            &self.own,
            selections,
            &file.index,
        );
        let components = || places.fields.components(entries.iter().map(|entry| entry.name));
        check_not_empty(&entries, &policy.options)?;
        check_declared(&entries, &policy.states, &file.index.edits)?;
        let mut plan = plan(&entries, components, &places.optionals, &file.index, policy);
        ties::compare(file, &entries, &mut plan)?;
        overlaps::compare(file, &mut plan)?;
        let values = plan.values.iter().filter_map(|(_, name)| file.index.values.get(*name));
        look_for(values).map_err(|source| Error::Memory {
            purpose: "decode the values of the checkpoint".to_owned(),
            source,
        })?;
        let scalars = scalar::read(file, &plan)?;
        let keeps = policy.options.keep_hyperparameters;
        let staged = stage::stage(file, &scalars, (&mut entries, &places.optimizers), keeps, &mut plan);
        plan.report.note_variants(&places.fields.enums);
        if !plan.report.is_acceptable() {
            left_out::advise(&places.fields, policy, &mut plan.report);
            return Err(Error::Mismatch(Box::new(plan.report)));
        }
        // A state that takes a part of the saved one is another struct.
        let options = &policy.options;
        let is_whole = options.strict && options.only.is_empty() && options.exclude.is_empty();
        if let Some(doubt) = file.index.edits.doubts.first().filter(|_| is_whole) {
            return Err(Error::Migration(Box::new(doubt.clone())));
        }
        check_writable(&plan)?;
        locate(&*file.source, &mut plan.transfers)?;
        let is_counted = watch.meter.is_some() || is_anybody_listening();
        let transfers = plan.transfers.iter().filter(|_| is_counted);
        let bytes = transfers.map(Transfer::bytes).sum();
        if let Some(matching) = self.matching.take() {
            matching.bytes(bytes);
        }
        verify_first(file, policy, &plan, bytes, watch)?;
        Ok(Accepted {
            file: &self.file,
            beside: self.beside.as_ref(),
            named: file,
            renamed: self.renamed.as_ref(),
            entries,
            optimizers: &mut places.optimizers,
            plan,
            staged,
            bytes,
            watch,
        })
    }
}

/// The structs of the state that the options ask for, outer ones first.
fn structs(places: &LoadSlots<'_>, options: &LoadOptions) -> Vec<StructOfState<'static>> {
    // The recipes of parts that are left out move the moments too.
    let moves_moments = restores_optimizers(places, options);
    let is_due = |place: &&StructPlace| moves_moments || options.touches(&place.names.own);
    let mut structs = StructOfState::all(places.structs.iter().filter(is_due));
    for own in &mut structs {
        own.is_asked_for = options.touches(own.path());
    }
    structs
}

/// Returns true if the options ask for an optimizer's state.
fn restores_optimizers(places: &LoadSlots<'_>, options: &LoadOptions) -> bool {
    let mut states = places.optimizers.iter().flat_map(|optimizer| &optimizer.state);
    states.any(|state| options.asks_for(state))
}

/// The names of the parameters of all optimizers.
fn parameters(places: &LoadSlots<'_>) -> Vec<String> {
    let optimizers = places.optimizers.iter();
    let parameters = optimizers.flat_map(|optimizer| &optimizer.parameters);
    parameters.map(|parameter| parameter.name.clone()).collect()
}

/// The names that the aliases of a state may lead to.
fn file_names(index: &Index) -> FileNames<'_> {
    let names = index.names().chain(index.filtered.iter().map(String::as_str));
    let values = index.values.iter().map(|(name, value)| (name.as_str(), value));
    FileNames::new(names, values)
}

/// Gives each value that differs between processes its names in the file.
///
/// A value that a recipe inserts belongs to all of them.
fn name_own_values(
    places: &mut LoadSlots<'_>,
    own: impl Fn(&[String]) -> OwnNames,
    is_inserted: impl Fn(&str) -> bool,
) -> HashMap<usize, OwnValue> {
    let items = places.items.iter_mut().enumerate();
    let values = items.filter(|(_, item)| item.scope.per_rank && matches!(item.content, Content::Value(_)));
    let named = values.map(|(at, item)| {
        let scope = &mut item.scope;
        let declared: Vec<String> = std::iter::once(&scope.name)
            .chain(&scope.alternatives)
            .cloned()
            .collect();
        let OwnNames { mut here, taken } = own(&declared);
        let inserted: Vec<String> = declared
            .iter()
            .filter(|name| is_inserted(name) && !here.contains(name))
            .cloned()
            .collect();
        here.extend(inserted);
        scope.name = here.remove(0);
        scope.alternatives = here;
        (at, OwnValue { declared, taken })
    });
    named.collect()
}

/// All names that the entries of a state may have.
fn all_names<'p>(places: &'p LoadSlots<'_>) -> impl Iterator<Item = &'p str> {
    let scopes = places.items.iter().map(|item| &item.scope);
    scopes.flat_map(|scope| {
        std::iter::once(&scope.name)
            .chain(&scope.alternatives)
            .map(String::as_str)
    })
}

/// Refuses tensors whose elements share memory, since no such element can have a value of its own. Only tensors that
/// the load would overwrite are checked.
fn check_writable(plan: &LoadPlan<'_>) -> Result<(), StateError> {
    for transfer in &plan.transfers {
        let (name, tensor) = (transfer.name, &*transfer.tensor);
        // Candle makes this check before every write. Making it here refuses the load before anything has changed.
        if tensor.elem_count() > 0 && tensor.layout().has_internal_overlap() {
            return Err(StateError::Tensor {
                name: name.to_owned(),
                what: "is expanded: its elements share memory and cannot be restored; keep the tensor it was expanded \
                       from in the state"
                    .to_owned(),
            });
        }
    }
    Ok(())
}

/// Reads and verifies all bytes if [`LoadOptions::verify_first`](crate::LoadOptions::verify_first) is set. Announces
/// the number of bytes to the meter.
fn verify_first(
    file: &RawCheckpoint,
    policy: &Policy,
    plan: &LoadPlan<'_>,
    bytes: u64,
    watch: Watch<'_>,
) -> Result<()> {
    let is_asked = policy.options.verify_first;
    if let Some(meter) = watch.meter {
        meter.announce(bytes + if is_asked { verify::bytes(&plan.transfers) } else { 0 });
    }
    if is_asked {
        let _verifying = watch.phases.begin(Phase::Verify);
        verify::verify(file, &plan.transfers, watch.meter)?;
    }
    Ok(())
}
