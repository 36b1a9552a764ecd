//! The words of a recipe, one after the other.

use std::collections::BTreeMap;

use candle_core::{CpuStorage, Device, Storage, Tensor};

use super::Problem;
use super::edit::{Edit, Taken};
use super::elements::{Move, Moved};
use crate::entry::{DType, TensorInfo, join, strip};
use crate::error::Error;
use crate::io::bytes;
use crate::load::raw::RawCheckpoint;
use crate::migrate::{Captures, Moments, Pattern, Verb, Word};
use crate::source::{Declared, Origin, StoredTensor};
use crate::value::Value;

impl Edit {
    /// Follows one word below the struct at `at`.
    pub(super) fn follow(&mut self, at: &str, word: &Word) -> Result<(), Problem> {
        let found = match &word.verb {
            Verb::Rename { from, to } => self.renamed(at, from, to, word.moments)?,
            Verb::Remove(name) => self.removed(at, name),
            Verb::Insert { name, value } => {
                return self.inserted(at, name, value.clone());
            }
            Verb::Zeros(_) | Verb::Keep(_) if !self.has_state => {
                return Err(Problem::Clause(
                    "the word needs the shapes of a state: load the file into the state, and save that".to_owned(),
                ));
            }
            Verb::Zeros(name) => {
                let declared = self.declared(at, name)?;
                self.index.edits.zeros.push(declared);
                return Ok(());
            }
            Verb::Keep(name) => {
                let declared = self.declared(at, name)?;
                self.index.edits.kept.push(declared);
                return Ok(());
            }
            Verb::Value { from, to, convert } => {
                self.each(at, from, to, |edit, old, new| edit.converted(old, new, &**convert))?
            }
            Verb::Tensor { from, to, convert } => {
                self.each(at, from, to, |edit, old, new| edit.computed(old, new, &**convert))?
            }
            Verb::Cast { name, dtype } => self.each(at, name, name, |edit, name, _| edit.cast(name, *dtype))?,
            moving => self.moved(at, moving, word.moments)?,
        };
        if found == 0 && !word.if_present {
            return Err(self.nothing(at, &word.verb));
        }
        Ok(())
    }

    /// Follows a word that moves elements. Returns the number of times that it found its entries.
    fn moved(&mut self, at: &str, verb: &Verb, moments: Moments) -> Result<usize, Problem> {
        match verb {
            Verb::Concat { from, to, dim } => {
                let make = |tensors: &[&StoredTensor]| Ok(vec![StoredTensor::concatenated(tensors, *dim)?]);
                self.joined(at, (from, to), moments, &make)
            }
            Verb::Stack { from, to, dim } => {
                let make = |tensors: &[&StoredTensor]| Ok(vec![StoredTensor::stacked(tensors, *dim)?]);
                match &from[..] {
                    [one] => self.stacked(at, (one, to), moments, &make),
                    _ => self.joined(at, (from, to), moments, &make),
                }
            }
            Verb::Split { from, to, dim } => self.split(at, from, to, *dim, moments),
            Verb::Unstack { from, to, dim } => self.unstacked(at, (from, to), *dim, moments),
            Verb::Transpose { name, dims: (a, b) } => {
                self.changed(at, name, moments, &|tensors| Ok(vec![tensors[0].transposed(*a, *b)?]))
            }
            Verb::Reshape { name, shape } => {
                self.changed(at, name, moments, &|tensors| Ok(vec![tensors[0].reshaped(shape)?]))
            }
            _ => Ok(0),
        }
    }

    fn renamed(&mut self, at: &str, from: &Pattern, to: &Pattern, moments: Moments) -> Result<usize, Problem> {
        check_stars(from, to, 0)?;
        let found = self.rename(at, from, to)?;
        if moments == Moments::Reset {
            for (_, _, name) in self.start(at, to) {
                self.reset(&name);
            }
        }
        Ok(found)
    }

    /// Lets an optimizer's state of a parameter begin anew.
    fn reset(&mut self, name: &str) {
        for at in 0..self.optimizers.len() {
            let optimizer = &self.optimizers[at];
            let level = optimizer.parameter(name).map(|parameter| optimizer.state_of(parameter));
            if let Some(level) = level {
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

    fn removed(&mut self, at: &str, pattern: &Pattern) -> usize {
        let found = self.start(at, pattern);
        for (_, _, name) in &found {
            for optimizer in 0..self.optimizers.len() {
                let own = &self.optimizers[optimizer];
                if let Some(level) = own.parameter(name).map(|parameter| own.state_of(parameter)) {
                    self.drop_below(&level);
                    self.optimizers[optimizer].replace(std::slice::from_ref(name), &[]);
                }
            }
            self.take_all(std::slice::from_ref(name));
        }
        let is_gone = |path: &str| strip(path, at).is_some_and(|below| pattern.start(below).is_some());
        self.index.structs.retain(|record| !is_gone(&record.path));
        found.len()
    }

    fn inserted(&mut self, at: &str, name: &Pattern, value: Result<Value, String>) -> Result<(), Problem> {
        let name = self.declared(at, name)?;
        let name = join(&name.at, name.name.as_str());
        let value = value.map_err(|error| format!("the value {error}"))?;
        self.put(&name, Taken::Value(value), Origin::default())
    }

    /// A name that the file must lack.
    fn declared(&self, at: &str, name: &Pattern) -> Result<Declared, Problem> {
        if let Some((_, _, there)) = self.start(at, name).first() {
            return Err(Problem::Clause(format!("the file has `{there}` already")));
        }
        Ok(Declared {
            at: at.to_owned(),
            name: name.clone(),
        })
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
        let found = self.whole(at, from);
        for (captures, old) in &found {
            let new = join(at, &to.with(captures));
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
        let Some(value) = self.index.values.get(old) else {
            return Err(Problem::Clause(format!("`{old}` is a tensor, and no value")));
        };
        let made = convert(value).map_err(|error| format!("`{old}` is {}: {error}", value.describe()))?;
        let origin = self.take_all(&[old.to_owned()]);
        self.put(new, Taken::Value(made), origin)
    }

    fn cast(&mut self, name: &str, dtype: DType) -> Result<(), Problem> {
        let [stored] = &self.located(&[name.to_owned()])?[..] else {
            return Ok(());
        };
        if dtype.to_candle().is_none() || stored.info.dtype().widened().is_none() {
            let from = stored.info.dtype();
            return Err(Problem::Clause(format!("no conversion from {from} to {dtype} exists")));
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
                "`{old}` is a value, {}, and no tensor",
                value.describe()
            )));
        }
        let now = RawCheckpoint {
            index: std::sync::Arc::new(self.index.clone()),
            source: self.reader(),
        };
        let tensor = now.tensor(old, &Device::Cpu)?;
        let made = convert(tensor).map_err(|error| format!("`{old}`: {error}"))?;
        let (info, bytes) = plain(new, &made)?;
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

    /// Several tensors become one.
    fn joined(
        &mut self,
        at: &str,
        (from, to): (&[Pattern], &Pattern),
        moments: Moments,
        make: &Move<'_>,
    ) -> Result<usize, Problem> {
        for pattern in from {
            check_stars(pattern, to, 0)?;
        }
        let found = self.together(at, from)?;
        for (captures, names) in &found {
            let moved = Moved {
                from: names.clone(),
                to: vec![join(at, &to.with(captures))],
            };
            self.move_elements(&moved, moments, make)?;
        }
        Ok(found.len())
    }

    /// The tensors whose names differ in a number become one.
    fn stacked(
        &mut self,
        at: &str,
        (from, to): (&Pattern, &Pattern),
        moments: Moments,
        make: &Move<'_>,
    ) -> Result<usize, Problem> {
        if from.stars() != to.stars() + 1 {
            return Err(Problem::Clause(format!(
                "{from:?} needs one `*` more than {to:?}, for the number"
            )));
        }
        let mut stacks: BTreeMap<Captures, Vec<(u64, String)>> = BTreeMap::new();
        for (mut captures, name) in self.whole(at, from) {
            let number = captures.pop().unwrap_or_default();
            let number: u64 = number.parse().map_err(|_| {
                format!("the last `*` of {from:?} stands for `{number}` in `{name}`, which is no number")
            })?;
            stacks.entry(captures).or_default().push((number, name));
        }
        for (captures, mut tensors) in stacks.clone() {
            tensors.sort();
            if let Some(gap) = (0..).zip(&tensors).find(|(wanted, (number, _))| wanted != number) {
                return Err(Problem::Clause(format!("the file has no number {} of {from:?}", gap.0)));
            }
            let moved = Moved {
                from: tensors.into_iter().map(|(_, name)| name).collect(),
                to: vec![join(at, &to.with(&captures))],
            };
            self.move_elements(&moved, moments, make)?;
        }
        Ok(stacks.len())
    }

    fn split(
        &mut self,
        at: &str,
        from: &Pattern,
        to: &[(Pattern, usize)],
        dim: usize,
        moments: Moments,
    ) -> Result<usize, Problem> {
        for (pattern, _) in to {
            check_stars(from, pattern, 0)?;
        }
        let make = |tensors: &[&StoredTensor]| {
            let whole = tensors[0];
            let own = whole.info.shape().get(dim).copied();
            let own =
                own.ok_or_else(|| format!("a tensor of shape {:?} has no dimension {dim}", whole.info.shape()))?;
            let sum = to.iter().fold(0usize, |sum, (_, len)| sum.saturating_add(*len));
            if sum != own {
                return Err(format!(
                    "the lengths are {sum} together, and dimension {dim} of {:?} has {own}",
                    whole.info.shape()
                ));
            }
            let mut start = 0;
            let part = |(_, len): &(Pattern, usize)| {
                start += len;
                whole.narrowed(dim, start - len, *len)
            };
            to.iter().map(part).collect()
        };
        let found = self.whole(at, from);
        for (captures, name) in &found {
            let moved = Moved {
                from: vec![name.clone()],
                to: to
                    .iter()
                    .map(|(pattern, _)| join(at, &pattern.with(captures)))
                    .collect(),
            };
            self.move_elements(&moved, moments, &make)?;
        }
        Ok(found.len())
    }

    fn unstacked(
        &mut self,
        at: &str,
        (from, to): (&Pattern, &Pattern),
        dim: usize,
        moments: Moments,
    ) -> Result<usize, Problem> {
        if to.stars() != from.stars() + 1 {
            return Err(Problem::Clause(format!(
                "{to:?} needs one `*` more than {from:?}, for the number"
            )));
        }
        let found = self.whole(at, from);
        for (captures, name) in &found {
            let shape = self.index.tensors.get(name).map(|stored| stored.info.shape().to_vec());
            let shape = shape.unwrap_or_default();
            let Some(&count) = shape.get(dim) else {
                return Err(Problem::Clause(format!(
                    "`{name}` of shape {shape:?} has no dimension {dim}"
                )));
            };
            let numbered = |number: usize| join(at, &to.with(&[captures.clone(), vec![number.to_string()]].concat()));
            let moved = Moved {
                from: vec![name.clone()],
                to: (0..count).map(numbered).collect(),
            };
            let make = |tensors: &[&StoredTensor]| (0..count).map(|index| tensors[0].selected(dim, index)).collect();
            self.move_elements(&moved, moments, &make)?;
        }
        Ok(found.len())
    }

    /// A tensor changes and keeps its name.
    fn changed(&mut self, at: &str, name: &Pattern, moments: Moments, make: &Move<'_>) -> Result<usize, Problem> {
        let found = self.whole(at, name);
        for (_, name) in &found {
            let moved = Moved {
                from: vec![name.clone()],
                to: vec![name.clone()],
            };
            self.move_elements(&moved, moments, make)?;
        }
        Ok(found.len())
    }

    /// The problem of a word that finds nothing.
    fn nothing(&self, at: &str, verb: &Verb) -> Problem {
        let wanted = verb.sources();
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
fn check_stars(from: &Pattern, to: &Pattern, more: usize) -> Result<(), Problem> {
    if to.stars() > from.stars() + more {
        return Err(Problem::Clause(format!("{to:?} has more `*` than {from:?}")));
    }
    Ok(())
}

/// The type, the shape and the elements of a tensor, in row-major order.
fn plain(name: &str, tensor: &Tensor) -> Result<(TensorInfo, Vec<u8>), Problem> {
    let candle = |error| Problem::Error(Error::candle(name)(error));
    let tensor = tensor
        .to_device(&Device::Cpu)
        .and_then(|tensor| tensor.force_contiguous())
        .map_err(candle)?;
    let (storage, layout) = tensor.storage_and_layout();
    let own: &CpuStorage = match &*storage {
        Storage::Cpu(own) => own,
        _ => return Err(Problem::Clause(format!("`{name}` is not in main memory"))),
    };
    let info = TensorInfo::from(&tensor);
    let window = crate::load::target::window(layout, info.dtype());
    let elements = window.and_then(|window| bytes::of(own).get(window));
    let elements = elements.ok_or_else(|| format!("`{name}` has elements that are no plain run of memory"))?;
    Ok((info, elements.to_vec()))
}
