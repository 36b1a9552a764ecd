//! An optimizer's state follows the elements of its parameters.

use std::collections::BTreeMap;

use super::Problem;
use super::edit::{Edit, Taken};
use super::elements::{Move, Moved, quoted};
use super::optimizers::{FileOptimizer, FileParameter};
use crate::entry::{TensorInfo, join, strip};
use crate::load::raw::optimizers::root;
use crate::migrate::Moments;
use crate::source::StoredTensor;
use crate::source::read::read_into;
use crate::value::Value;

/// The largest tensor, in bytes, that is compared as a count of steps.
const COUNT: usize = 16;

/// The decision about the state of parameters that a word takes.
enum Plan {
    /// The names of the entries of each state, and the levels of the states.
    Anew {
        states: Vec<BTreeMap<String, String>>,
        levels: Vec<String>,
    },
    /// For each key of the state, the old entries, and the new ones.
    Moved(Vec<(String, Vec<String>, Made)>),
}

/// The new entries of one key of a state.
enum Made {
    Tensors(Vec<StoredTensor>),
    /// One value, or one count, for every new parameter.
    Value(Value),
    Count(StoredTensor),
}

impl Edit<'_> {
    /// Does to the state of the parameters `moved.from` what a word has done to the parameters. `infos` are the types and shapes that
    /// they had. If the load restores no optimizer's state, a state that cannot follow stays.
    pub(super) fn follow_moments(
        &mut self,
        optimizer: usize,
        moved: &Moved,
        infos: &[TensorInfo],
        moments: Moments,
        make: &Move<'_>,
    ) -> Result<(), Problem> {
        match self.plan_moments(optimizer, moved, infos, moments, make) {
            Ok(Some(plan)) => self.take_moments(optimizer, moved, plan),
            Ok(None) => Ok(()),
            Err(Problem::Clause(_)) if !self.due.restores_optimizers => Ok(()),
            Err(problem) => Err(problem),
        }
    }

    /// Decides about the state of parameters, and changes nothing; `None` if the optimizer has none of them.
    fn plan_moments(
        &self,
        optimizer: usize,
        moved: &Moved,
        infos: &[TensorInfo],
        moments: Moments,
        make: &Move<'_>,
    ) -> Result<Option<Plan>, Problem> {
        let Some(parameters) = self.parameters(optimizer, moved, moments)? else {
            return Ok(None);
        };
        let own = &self.optimizers[optimizer];
        let levels: Vec<String> = parameters.iter().map(|parameter| own.state_of(parameter)).collect();
        let states: Vec<BTreeMap<String, String>> = levels.iter().map(|level| self.state(level)).collect();
        let anew = levels
            .iter()
            .filter(|level| self.index.edits.anew.contains(*level))
            .count();
        if moments == Moments::Reset || anew == levels.len() {
            return Ok(Some(Plan::Anew { states, levels }));
        }
        let unlike = states.iter().position(|state| !state.keys().eq(states[0].keys()));
        if let Some(unlike) = unlike {
            return Err(Problem::Clause(format!(
                "the optimizer's state of `{}` and that of `{}` have other entries; .moments(Moments::Reset) behind the word lets \
                 the state begin anew",
                moved.from[0], moved.from[unlike]
            )));
        }
        let mut entries = Vec::new();
        for key in states[0].keys() {
            let from: Vec<String> = states.iter().map(|state| state[key].clone()).collect();
            let made = self.moved_state(key, &from, (moved, infos), make)?;
            entries.push((key.clone(), from, made));
        }
        Ok(Some(Plan::Moved(entries)))
    }

    /// Does as planned.
    fn take_moments(&mut self, optimizer: usize, moved: &Moved, plan: Plan) -> Result<(), Problem> {
        let made = self.optimizers[optimizer].replace(&moved.from, &moved.to);
        let own = &self.optimizers[optimizer];
        let targets: Vec<String> = made.iter().map(|parameter| own.state_of(parameter)).collect();
        let entries = match plan {
            Plan::Moved(entries) => entries,
            Plan::Anew { states, levels } => {
                for level in &levels {
                    self.index.edits.anew.remove(level);
                }
                self.begin_anew(&states, targets);
                return Ok(());
            }
        };
        for (key, from, made) in entries {
            let to = targets.iter().map(|level| join(level, &key)).collect();
            let state = Moved { from, to };
            match made {
                Made::Tensors(tensors) => self.exchange(&state, tensors)?,
                Made::Value(value) => self.give_to_all(&state, || Taken::Value(value.clone()))?,
                Made::Count(count) => self.give_to_all(&state, || Taken::Tensor(count.clone()))?,
            }
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
        if own.is_nameless() && self.due.restores_optimizers && !self.state(&state).is_empty() {
            return Err(Problem::Clause(format!(
                "the optimizer `{}` of the file numbers its parameters, so that its state cannot follow the elements of {}: leave \
                 it out with LoadOptions::exclude(..), or save it with the names of its parameters",
                own.root,
                quoted(&moved.from)
            )));
        }
        self.check_certain(optimizer, &moved.from)?;
        let found: Vec<Option<&FileParameter>> = moved.from.iter().map(|name| own.parameter(name)).collect();
        if found.iter().all(Option::is_none) {
            let lost = moved.from.iter().find_map(|name| Some((name, own.lost(name)?)));
            return match lost {
                Some((name, parameter)) if !self.state(&state).is_empty() => Err(Problem::Clause(format!(
                    "the optimizer `{}` of the file has the parameter `{parameter}`, which is no tensor of the file and may be \
                     `{name}`: leave the optimizer out with LoadOptions::exclude(..), or save it with the names of its tensors",
                    own.root
                ))),
                _ => Ok(None),
            };
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
        let unlike = known.iter().find(|other| options(other) != options(&known[0]));
        if let Some(other) = unlike.filter(|_| !self.due.keeps_hyperparameters) {
            return Err(Problem::Clause(format!(
                "`{}` and `{}` lie in groups of the optimizer `{}` with other hyper-parameters; .moments(Moments::Reset) behind \
                 the word lets the state begin anew in the group of the first",
                known[0].name, other.name, own.root
            )));
        }
        Ok(Some(known))
    }

    /// Refuses a word that takes tensors which may be the parameters of an optimizer, and may not.
    pub(super) fn check_certain(&self, optimizer: usize, names: &[String]) -> Result<(), Problem> {
        let own = &self.optimizers[optimizer];
        if !self.due.restores_optimizers {
            return Ok(());
        }
        let Some(module) = names.iter().find_map(|name| own.uncertain(name)) else {
            return Ok(());
        };
        Err(Problem::Clause(format!(
            "the optimizer `{}` of the file may be that of each of {}, so that nobody knows whether its state follows `{module}`: \
             before this word, .remove(..) the level that the optimizer does not train, or leave the optimizer out with \
             LoadOptions::exclude(..)",
            own.root,
            quoted(&own.modules)
        )))
    }

    /// Renames the optimizers' state of parameters with the parameters, all at once.
    pub(super) fn rename_parameters(&mut self, pairs: &[(String, String)]) -> Result<(), Problem> {
        for at in 0..self.optimizers.len() {
            if !self.optimizers[at].rename_modules(pairs) {
                let names: Vec<String> = pairs.iter().map(|(old, _)| old.clone()).collect();
                self.check_certain(at, &names)?;
            }
            let renamed = self.optimizers[at].rename(pairs);
            let mut taken = Vec::new();
            for (before, after) in &renamed {
                let own = &self.optimizers[at];
                let (from, to) = (own.state_of(before), own.state_of(after));
                if from == to {
                    continue;
                }
                if self.index.edits.anew.remove(&from) {
                    self.index.edits.anew.insert(to.clone());
                }
                for (key, name) in self.state(&from) {
                    taken.extend(self.take(&name).map(|(entry, origin)| (join(&to, &key), entry, origin)));
                }
            }
            for (name, entry, origin) in taken {
                self.put(&name, entry, origin)?;
            }
        }
        Ok(())
    }

    /// Renames an optimizer with the entry that holds its groups.
    pub(super) fn rename_optimizer(&mut self, old: &str, new: &str) {
        let is_renamed = |optimizer: &&mut FileOptimizer| root(old) == Some(&optimizer.root);
        let Some((optimizer, root)) = self.optimizers.iter_mut().find(is_renamed).zip(root(new)) else {
            return;
        };
        let before = optimizer.state();
        root.clone_into(&mut optimizer.root);
        let after = optimizer.state();
        let anew = std::mem::take(&mut self.index.edits.anew).into_iter();
        let renamed = anew.map(|level| match strip(&level, &before) {
            Some(below) => join(&after, below),
            None => level,
        });
        self.index.edits.anew = renamed.collect();
    }

    /// Writes the groups of an optimizer into the index, for a word that takes the value of this name.
    pub(super) fn write_groups(&mut self, name: &str) {
        let Some(root) = root(name) else { return };
        for optimizer in self.optimizers.iter().filter(|optimizer| optimizer.root == root) {
            optimizer.write(&mut self.index);
        }
    }

    /// Reads the groups of an optimizer from the index again, after a word that made or took the value of this name.
    pub(super) fn read_groups(&mut self, name: &str) {
        let Some(root) = root(name) else { return };
        self.optimizers.retain(|optimizer| optimizer.root != root);
        let read = |value| FileOptimizer::of(&self.index, root, value, &self.due.parameters);
        let made = self.index.values.get(name).and_then(read);
        self.optimizers.extend(made);
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
            self.has_dropped_state = true;
            drop(self.take(name));
        }
        self.index.edits.anew.extend(levels);
    }

    /// One entry of the state of each parameter after a word. A tensor of the parameter's shape moves as the parameter does; a count
    /// of steps must be equal for all.
    fn moved_state(
        &self,
        key: &str,
        from: &[String],
        (moved, infos): (&Moved, &[TensorInfo]),
        make: &Move<'_>,
    ) -> Result<Made, Problem> {
        let values: Vec<_> = from.iter().filter_map(|name| self.index.values.get(name)).collect();
        if values.len() == from.len() {
            let value = values[0];
            if let Some(other) = values.iter().position(|other| *other != value) {
                return Err(unequal(key, moved, other, &value.describe(), &values[other].describe()));
            }
            return Ok(Made::Value(value.clone()));
        }
        let stored = self.located(from)?;
        let follows = |(tensor, info): (&StoredTensor, &TensorInfo)| tensor.info.shape() == info.shape();
        if key != "step" && stored.iter().zip(infos).all(follows) {
            return Ok(Made::Tensors(make(&stored.iter().collect::<Vec<_>>())?));
        }
        if stored.iter().all(|tensor| tensor.info.elements() == Some(1)) {
            let first = self.count(&from[0], &stored[0])?;
            for (at, tensor) in stored.iter().enumerate() {
                if tensor.info != stored[0].info || self.count(&from[at], tensor)? != first {
                    return Err(unequal(key, moved, at, "one count", "another"));
                }
            }
            return Ok(Made::Count(stored[0].clone()));
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
