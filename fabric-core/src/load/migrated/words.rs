//! The words of a recipe, one after the other.

use std::collections::BTreeSet;

use candle_core::{Device, Tensor};

use super::Problem;
use super::edit::{Edit, Taken};
use super::elements::Moved;
use crate::entry::{DType, TensorInfo, join, strip};
use crate::hash::HashMap;
use crate::load::raw::read_tensor;
use crate::load::target::with_plain;
use crate::migrate::{Moments, Pattern, Verb, Word};
use crate::source::{Declared, Origin, StoredTensor};
use crate::value::Value;

impl Edit<'_> {
    /// Follows one word below the struct at `at`.
    pub(super) fn follow(&mut self, at: &str, word: &Word) -> Result<(), Problem> {
        let found = match &word.verb {
            Verb::Rename { from, to } => self.renamed(at, from, to, word.moments)?,
            Verb::Version { name, version } => self.declare_version(at, name, *version),
            Verb::Remove(name) => self.removed(at, name)?,
            Verb::Value { .. } | Verb::Insert { .. } if word.moments == Moments::Reset => {
                let what = "the word makes a value, which has no optimizer's state; remove .moments(Moments::Reset)";
                return Err(Problem::Clause(what.to_owned()));
            }
            Verb::Insert { name, value } => {
                return self.inserted(at, name, value.clone());
            }
            Verb::Zeros(_) | Verb::Keep(_) if !self.due.has_state => {
                return Err(Problem::Clause(
                    "the word needs the shapes of a state: load the file into the state, and save that".to_owned(),
                ));
            }
            Verb::Zeros(name) => {
                let declared = self.declared(at, name, word)?;
                self.index.edits.zeros.push(declared);
                return Ok(());
            }
            Verb::Keep(name) => {
                let declared = self.declared(at, name, word)?;
                self.index.edits.kept.push(declared);
                return Ok(());
            }
            Verb::Value { from, to, convert } => {
                self.each(at, from, to, |edit, old, new| edit.converted(old, new, &**convert))?
            }
            Verb::Tensor { from, to, convert } => {
                self.each(at, from, to, |edit, old, new| edit.computed(old, new, &**convert))?
            }
            Verb::Cast { name, dtype } => self.each(at, name, name, |edit, name, _| {
                edit.cast(name, *dtype)?;
                if word.moments == Moments::Reset {
                    edit.reset(name);
                }
                Ok(())
            })?,
            moving => self.moved(at, moving, word.moments)?,
        };
        if found == 0 && !word.if_present {
            return Err(self.nothing(at, &word.verb));
        }
        Ok(())
    }

    fn renamed(&mut self, at: &str, from: &Pattern, to: &Pattern, moments: Moments) -> Result<usize, Problem> {
        check_stars(from, to, 0)?;
        let renamed = self.rename(at, from, to)?;
        if moments == Moments::Reset {
            for name in &renamed {
                self.reset(name);
            }
        }
        Ok(renamed.len())
    }

    /// Lets an optimizer's state of a parameter begin anew.
    fn reset(&mut self, name: &str) {
        for at in 0..self.optimizers.len() {
            let optimizer = &self.optimizers[at];
            let level = optimizer.parameter(name).map(|parameter| optimizer.state_of(parameter));
            if let Some(level) = level {
                self.has_dropped_state |= self.index.names_below(&level).next().is_some();
                self.drop_below(&level);
                self.index.edits.anew.insert(level);
            }
        }
    }

    fn drop_below(&mut self, level: &str) {
        let names: Vec<String> = self.index.names_below(level).map(str::to_owned).collect();
        for name in names {
            drop(self.take(&name));
        }
    }

    fn removed(&mut self, at: &str, pattern: &Pattern) -> Result<usize, Problem> {
        let found = self.start(at, pattern);
        let declared = self.index.edits.remove_declared(at, pattern);
        let is_gone = |path: &str| strip(path, at).is_some_and(|below| pattern.start(below).is_some());
        for optimizer in &mut self.optimizers {
            optimizer.forget_module(&self.index, is_gone);
        }
        let names: Vec<String> = found.into_iter().map(|(_, _, name)| name).collect();
        self.keep_tied_parameters(&names)?;
        for name in &names {
            for optimizer in 0..self.optimizers.len() {
                self.check_certain(optimizer, std::slice::from_ref(name))?;
                let own = &self.optimizers[optimizer];
                if let Some(level) = own.parameter(name).map(|parameter| own.state_of(parameter)) {
                    self.drop_below(&level);
                    self.optimizers[optimizer].replace(std::slice::from_ref(name), &[]);
                }
            }
            self.take_all(std::slice::from_ref(name));
            self.read_groups(name);
        }
        if self
            .paths
            .below(at)
            .any(|number| is_gone(&self.index.structs[number].path))
        {
            self.index.structs.retain(|record| !is_gone(&record.path));
            self.restructured();
        }
        Ok(names.len() + declared)
    }

    /// A parameter with another name in the file is that one, once the first is removed.
    fn keep_tied_parameters(&mut self, gone: &[String]) -> Result<(), Problem> {
        let is_parameter = |name: &&String| self.optimizers.iter().any(|own| own.parameter(name).is_some());
        let parameters: Vec<&String> = gone.iter().filter(is_parameter).collect();
        if parameters.is_empty() {
            return Ok(());
        }
        let gone: BTreeSet<&String> = gone.iter().collect();
        let has_bytes = |stored: &StoredTensor| stored.info.byte_len() != Some(0) && !stored.is_framed();
        let others = self.index.tensors.iter();
        let others = others.filter(|(name, stored)| !gone.contains(name) && has_bytes(stored));
        let others: HashMap<_, &String> = others.map(|(name, stored)| (stored.extents(), name)).collect();
        let other = |name: &String| {
            let stored = self.index.tensors.get(name).filter(|stored| has_bytes(stored))?;
            let other = *others.get(&stored.extents())?;
            (self.index.tensors[other].info == stored.info).then(|| (name.clone(), other.clone()))
        };
        let pairs: Vec<(String, String)> = parameters.into_iter().filter_map(other).collect();
        self.rename_parameters(&pairs)
    }

    fn inserted(&mut self, at: &str, name: &Pattern, value: Result<Value, String>) -> Result<(), Problem> {
        if name.stars() > 0 {
            return Err(Problem::Clause("the name of a new value has no `*`".to_owned()));
        }
        self.check_absent(at, name)?;
        let name = join(at, name.as_str());
        let value = value.map_err(|error| format!("the value for `{name}` cannot be stored: {error}"))?;
        self.put(&name, Taken::Value(value), Origin::default())?;
        self.read_groups(&name);
        Ok(())
    }

    /// Entries of the state that the file must lack.
    fn declared(&self, at: &str, name: &Pattern, word: &Word) -> Result<Declared, Problem> {
        self.check_absent(at, name)?;
        Ok(Declared {
            at: at.to_owned(),
            name: name.clone(),
            begins_anew: word.moments == Moments::Reset,
            if_present: word.if_present,
            refusal: self.refusal.clone(),
        })
    }

    fn check_absent(&self, at: &str, name: &Pattern) -> Result<(), Problem> {
        match self.start(at, name).first() {
            Some((_, _, there)) => Err(Problem::Clause(format!(
                "the file has `{there}` already, after the words before: remove the word"
            ))),
            None => Ok(()),
        }
    }

    /// Calls `make` for each entry that a pattern finds, with its new name. A filtered entry gets its new name alone.
    fn each(
        &mut self,
        at: &str,
        from: &Pattern,
        to: &Pattern,
        make: impl Fn(&mut Self, &str, &str) -> Result<(), Problem>,
    ) -> Result<usize, Problem> {
        check_stars(from, to, 0)?;
        let found = self.whole_of_ranks(at, from);
        for (captures, rank, old) in &found {
            let new = join(at, &format!("{}{rank}", to.with(captures)));
            if !self.is_filtered(old) {
                make(self, old, &new)?;
            } else if let Some((taken, origin)) = self.take(old) {
                self.put(&new, taken, origin)?;
            }
        }
        Ok(found.len())
    }

    fn converted(
        &mut self,
        old: &str,
        new: &str,
        convert: &dyn Fn(&Value) -> Result<Value, String>,
    ) -> Result<(), Problem> {
        self.write_groups(old);
        let Some(value) = self.index.values.get(old) else {
            return Err(Problem::Clause(format!(
                "`{old}` is a tensor, and no value; .tensor(..) changes tensors"
            )));
        };
        let made = convert(value).map_err(|error| format!("`{old}` is {}: {error}", value.describe()))?;
        let origin = self.take_all(&[old.to_owned()]);
        self.put(new, Taken::Value(made), origin)?;
        self.read_groups(old);
        self.read_groups(new);
        Ok(())
    }

    fn cast(&mut self, name: &str, dtype: DType) -> Result<(), Problem> {
        let [stored] = &self.located(&[name.to_owned()])?[..] else {
            return Ok(());
        };
        if dtype.to_candle().is_none() || stored.info.dtype().widened().is_none() {
            let from = stored.info.dtype();
            return Err(Problem::Clause(format!(
                "no conversion of `{name}` from {from} to {dtype} exists; .tensor(..) takes any function"
            )));
        }
        let info = TensorInfo::of(dtype, stored.info.shape());
        let Some((taken, origin)) = self.take(name) else {
            return Ok(());
        };
        self.put(name, taken, origin)?;
        self.index.edits.casts.insert(name.to_owned(), info);
        Ok(())
    }

    /// Reads a tensor, and puts the tensor that the program makes of it in its place.
    fn computed(
        &mut self,
        old: &str,
        new: &str,
        convert: &dyn Fn(Tensor) -> Result<Tensor, String>,
    ) -> Result<(), Problem> {
        if let Some(value) = self.index.values.get(old) {
            return Err(Problem::Clause(format!(
                "`{old}` is a value, {}, and no tensor; .value(..) changes values",
                value.describe()
            )));
        }
        let Some(stored) = self.index.tensors.get(old) else {
            return Ok(());
        };
        let info = self.index.edits.casts.get(old).unwrap_or(&stored.info);
        let tensor = read_tensor(&*self.reader(), old, (stored, info), &Device::Cpu)?;
        let made = convert(tensor).map_err(|error| format!("`{old}`: {error}"))?;
        let info = TensorInfo::from(&made);
        let bytes = with_plain(new, &made, <[u8]>::to_vec)?;
        let stored = self.memory.add(new, info.clone(), bytes);
        let moved = Moved {
            from: vec![old.to_owned()],
            to: vec![new.to_owned()],
        };
        let infos = [self.index.tensors.get(old).map_or(info, |stored| stored.info.clone())];
        self.exchange(&moved, vec![stored])?;
        for optimizer in 0..self.optimizers.len() {
            self.follow_moments(optimizer, &moved, &infos, Moments::Reset, &|_| Ok(Vec::new()))?;
        }
        Ok(())
    }

    /// The problem of a word that finds nothing.
    fn nothing(&self, at: &str, verb: &Verb) -> Problem {
        let wanted = verb.sources();
        if wanted.is_empty() {
            return Problem::Clause("the list of names is empty".to_owned());
        }
        let near = wanted.first().and_then(|pattern| self.near(at, pattern.as_str()));
        let near = near.map_or_else(String::new, |near| format!("; did you mean {near:?}?"));
        let names: Vec<String> = wanted.iter().map(|pattern| format!("`{}`", pattern.as_str())).collect();
        let below = if at.is_empty() {
            String::new()
        } else {
            format!(" below `{at}`")
        };
        Problem::Clause(format!(
            "the file has no {}{below}{near}; .if_present() behind the word allows that",
            names.join(", ")
        ))
    }
}

/// Refuses a new name with stars that stand for nothing.
pub(super) fn check_stars(from: &Pattern, to: &Pattern, more: usize) -> Result<(), Problem> {
    if to.stars() > from.stars() + more {
        return Err(Problem::Clause(format!(
            "{to:?} has more `*` than {from:?}: each `*` of the new name takes the text of one in the old name"
        )));
    }
    Ok(())
}
