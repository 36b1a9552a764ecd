//! An optimizer's state follows the elements of its parameters.

use std::collections::BTreeMap;

use super::Problem;
use super::edit::{Edit, Taken};
use super::elements::{Move, Moved, quoted};
use super::optimizers::FileParameter;
use crate::entry::{TensorInfo, join, strip};
use crate::migrate::Moments;
use crate::source::StoredTensor;
use crate::source::read::read_into;

/// The largest tensor, in bytes, that is compared as a count of steps.
const COUNT: usize = 16;

impl Edit {
    /// Does to the state of the parameters `moved.from` what a word has done to the parameters. `infos` are the types and shapes that
    /// they had.
    pub(super) fn follow_moments(
        &mut self,
        optimizer: usize,
        moved: &Moved,
        infos: &[TensorInfo],
        moments: Moments,
        make: &Move<'_>,
    ) -> Result<(), Problem> {
        let Some(parameters) = self.parameters(optimizer, moved, moments)? else {
            return Ok(());
        };
        let levels: Vec<String> = parameters
            .iter()
            .map(|parameter| self.optimizers[optimizer].state_of(parameter))
            .collect();
        let states: Vec<BTreeMap<String, String>> = levels.iter().map(|level| self.state(level)).collect();
        let made = self.optimizers[optimizer].replace(&moved.from, &moved.to);
        let targets: Vec<String> = made
            .iter()
            .map(|parameter| self.optimizers[optimizer].state_of(parameter))
            .collect();
        if moments == Moments::Reset {
            self.begin_anew(&states, targets);
            return Ok(());
        }
        if let Some(unlike) = states.iter().position(|state| !state.keys().eq(states[0].keys())) {
            return Err(Problem::Clause(format!(
                "the optimizer's state of `{}` and that of `{}` have other entries; .moments(Moments::Reset) behind the word lets \
                 the state begin anew",
                moved.from[0], moved.from[unlike]
            )));
        }
        let keys: Vec<String> = states[0].keys().cloned().collect();
        for key in keys {
            let from: Vec<String> = states.iter().map(|state| state[&key].clone()).collect();
            let to: Vec<String> = targets.iter().map(|level| join(level, &key)).collect();
            self.move_state(&key, &Moved { from, to }, (moved, infos), make)?;
        }
        Ok(())
    }

    /// The parameters of an optimizer that entries are; `None` if it has none of them.
    fn parameters(
        &self,
        optimizer: usize,
        moved: &Moved,
        moments: Moments,
    ) -> Result<Option<Vec<FileParameter>>, Problem> {
        let own = &self.optimizers[optimizer];
        let state = own.state();
        let is_restored = self.states.as_ref().is_none_or(|states| !states.is_empty());
        if own.is_nameless() && is_restored && !self.state(&state).is_empty() {
            return Err(Problem::Clause(format!(
                "the optimizer `{}` of the file numbers its parameters, so that its state cannot follow the elements of {}: leave \
                 it out with LoadOptions::exclude(..), or save it with the names of its parameters",
                own.root,
                quoted(&moved.from)
            )));
        }
        let found: Vec<Option<&FileParameter>> = moved.from.iter().map(|name| own.parameter(name)).collect();
        if found.iter().all(Option::is_none) {
            return Ok(None);
        }
        let known: Vec<FileParameter> = found.iter().flatten().map(|parameter| (*parameter).clone()).collect();
        if moments == Moments::Reset {
            return Ok(Some(known));
        }
        if let Some(absent) = found.iter().position(Option::is_none) {
            return Err(Problem::Clause(format!(
                "the optimizer `{}` has state of `{}` and none of `{}`; .moments(Moments::Reset) behind the word lets the state \
                 begin anew",
                own.root, known[0].name, moved.from[absent]
            )));
        }
        let options = |parameter: &FileParameter| &own.options[parameter.group];
        if let Some(other) = known.iter().find(|other| options(other) != options(&known[0])) {
            return Err(Problem::Clause(format!(
                "`{}` and `{}` lie in groups of the optimizer `{}` with other hyper-parameters; .moments(Moments::Reset) behind \
                 the word lets the state begin anew in the group of the first",
                known[0].name, other.name, own.root
            )));
        }
        Ok(Some(known))
    }

    /// Renames an optimizer's state of a parameter with the parameter.
    pub(super) fn rename_parameter(&mut self, old: &str, new: &str) -> Result<(), Problem> {
        for at in 0..self.optimizers.len() {
            let Some((before, after)) = self.optimizers[at].rename(old, new) else {
                continue;
            };
            let (from, to) = (
                self.optimizers[at].state_of(&before),
                self.optimizers[at].state_of(&after),
            );
            if from == to {
                continue;
            }
            let state: Vec<(String, String)> = self.state(&from).into_iter().collect();
            let mut taken = Vec::with_capacity(state.len());
            for (key, name) in state {
                taken.extend(self.take(&name).map(|(entry, origin)| (join(&to, &key), entry, origin)));
            }
            for (name, entry, origin) in taken {
                self.put(&name, entry, origin)?;
            }
        }
        Ok(())
    }

    /// Renames an optimizer with the entry that holds its groups.
    pub(super) fn rename_optimizer(&mut self, old: &str, new: &str) {
        for optimizer in &mut self.optimizers {
            if join(&optimizer.root, "param_groups") == old
                && let Some(root) = new.strip_suffix("param_groups")
            {
                root.trim_end_matches('.').clone_into(&mut optimizer.root);
                return;
            }
        }
    }

    /// The names of the entries of a parameter's state, by the text below its level.
    fn state(&self, level: &str) -> BTreeMap<String, String> {
        let names = self.index.names_below(level);
        let below = names.filter_map(|name| Some((strip(name, level)?.to_owned(), name.to_owned())));
        below.filter(|(key, _)| !key.is_empty()).collect()
    }

    /// Lets the state of parameters begin anew.
    pub(super) fn begin_anew(&mut self, states: &[BTreeMap<String, String>], levels: Vec<String>) {
        for name in states.iter().flat_map(BTreeMap::values) {
            drop(self.take(name));
        }
        self.index.edits.anew.extend(levels);
    }

    /// Moves one entry of the state of each parameter. A tensor of the parameter's shape moves as the parameter does; a count of steps
    /// must be equal for all.
    fn move_state(
        &mut self,
        key: &str,
        state: &Moved,
        (moved, infos): (&Moved, &[TensorInfo]),
        make: &Move<'_>,
    ) -> Result<(), Problem> {
        let values: Vec<_> = state
            .from
            .iter()
            .filter_map(|name| self.index.values.get(name))
            .collect();
        if values.len() == state.from.len() {
            let value = values[0].clone();
            if let Some(other) = values.iter().position(|other| **other != value) {
                return Err(unequal(key, moved, other, &value.describe(), &values[other].describe()));
            }
            return self.give_to_all(state, || Taken::Value(value.clone()));
        }
        let stored = self.located(&state.from)?;
        let follows = |(tensor, info): (&StoredTensor, &TensorInfo)| tensor.info.shape() == info.shape();
        if key != "step" && stored.iter().zip(infos).all(follows) {
            let made = make(&stored.iter().collect::<Vec<_>>())?;
            return self.exchange(state, made);
        }
        if stored.iter().all(|tensor| tensor.info.elements() == Some(1)) {
            let first = self.count(&state.from[0], &stored[0])?;
            for (at, tensor) in stored.iter().enumerate() {
                if tensor.info != stored[0].info || self.count(&state.from[at], tensor)? != first {
                    return Err(unequal(key, moved, at, "one count", "another"));
                }
            }
            let one = stored[0].clone();
            return self.give_to_all(state, || Taken::Tensor(one.clone()));
        }
        let at = stored.iter().zip(infos).position(|pair| !follows(pair)).unwrap_or(0);
        Err(Problem::Clause(format!(
            "the optimizer's state `{key}` of `{}` has the shape {:?}, and the parameter {:?}, so that the state cannot follow its \
             elements; .moments(Moments::Reset) behind the word lets the state begin anew",
            moved.from[at],
            stored[at].info.shape(),
            infos[at].shape()
        )))
    }

    /// Gives every new parameter what all old ones have.
    fn give_to_all(&mut self, state: &Moved, taken: impl Fn() -> Taken) -> Result<(), Problem> {
        let origin = self.take_all(&state.from);
        for name in &state.to {
            self.put(name, taken(), origin.clone())?;
        }
        Ok(())
    }

    /// The bytes of a tensor of one element.
    fn count(&self, name: &str, stored: &StoredTensor) -> Result<Vec<u8>, Problem> {
        let mut bytes = vec![0; stored.info.byte_len().unwrap_or(0).min(COUNT)];
        read_into(&*self.reader(), name, stored, &mut bytes, 1)?;
        Ok(bytes)
    }
}

fn unequal(key: &str, moved: &Moved, other: usize, first: &str, second: &str) -> Problem {
    Problem::Clause(format!(
        "the optimizer's `{key}` of `{}` is {first}, and that of `{}` is {second}; .moments(Moments::Reset) behind the word lets the \
         state begin anew",
        moved.from[0], moved.from[other]
    ))
}
