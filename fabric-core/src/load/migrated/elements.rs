//! The words that move the elements of tensors.

use std::borrow::Cow;
use std::collections::BTreeSet;

use super::Problem;
use super::edit::{Edit, Taken};
use crate::entry::{DType, TensorInfo, join};
use crate::migrate::{Captures, Moments, Pattern};
use crate::source::{Origin, StoredTensor};

/// Makes tensors of tensors. The error is a clause.
pub(super) type Move<'m> = dyn Fn(&[&StoredTensor]) -> Result<Vec<StoredTensor>, String> + 'm;

/// The entries that a word takes, and those that it makes.
pub(super) struct Moved {
    pub(super) from: Vec<String>,
    pub(super) to: Vec<String>,
}

impl Edit<'_> {
    /// For each text of the stars, the entries that several patterns name together. A word that takes several entries needs all of
    /// them.
    pub(super) fn together(&self, at: &str, patterns: &[Pattern]) -> Result<Vec<(Captures, Vec<String>)>, Problem> {
        let found = patterns.iter().flat_map(|pattern| self.whole(at, pattern));
        let captures: BTreeSet<Captures> = found.map(|(captures, _)| captures).collect();
        let group = |captures: Captures| {
            let names: Vec<String> = patterns
                .iter()
                .map(|pattern| join(at, &pattern.with(&captures)))
                .collect();
            let is_there = |name: &&String| self.index.contains(name) || self.is_filtered(name);
            match names.iter().find(|name| !is_there(name)) {
                Some(absent) => {
                    let present: Vec<_> = names.iter().filter(is_there).map(|name| format!("`{name}`")).collect();
                    let present = present.join(", ");
                    Err(Problem::Clause(format!(
                        "the file has {present}, and not `{absent}`; a word that joins tensors needs all of them"
                    )))
                }
                None => Ok((captures, names)),
            }
        };
        captures.into_iter().map(group).collect()
    }

    /// Takes tensors, makes others of them, and does the same to the optimizers' state of them.
    pub(super) fn move_elements(&mut self, moved: &Moved, moments: Moments, make: &Move<'_>) -> Result<(), Problem> {
        if self.are_filtered(moved)? {
            return Ok(());
        }
        let stored = self.located(&moved.from)?;
        let shapes: Vec<TensorInfo> = stored.iter().map(|tensor| tensor.info.clone()).collect();
        let casts: BTreeSet<Option<DType>> = moved.from.iter().map(|name| self.index.edits.dtype(name)).collect();
        let [cast] = Vec::from_iter(casts)[..] else {
            let names = quoted(&moved.from);
            return Err(Problem::Clause(format!(
                "{names} are converted to several element types, or some are not; write .cast behind the word that joins them"
            )));
        };
        let made = make(&stored.iter().collect::<Vec<_>>());
        let made = made.map_err(|what| format!("{}: {what}", quoted(&moved.from)))?;
        self.exchange(moved, made)?;
        if let Some(cast) = cast {
            for name in &moved.to {
                if let Some(info) = self.index.tensors.get(name).map(|tensor| tensor.info.clone()) {
                    let info = TensorInfo::of(cast, info.shape());
                    self.index.edits.casts.insert(name.clone(), info);
                }
            }
        }
        for optimizer in 0..self.optimizers.len() {
            self.follow_moments(optimizer, moved, &shapes, moments, make)?;
        }
        Ok(())
    }

    /// Filtered entries make filtered entries.
    fn are_filtered(&mut self, moved: &Moved) -> Result<bool, Problem> {
        let filtered: Vec<&String> = moved.from.iter().filter(|name| self.is_filtered(name)).collect();
        if filtered.is_empty() {
            return Ok(false);
        }
        if filtered.len() < moved.from.len() {
            let names: Vec<String> = filtered.into_iter().cloned().collect();
            return Err(Problem::Clause(format!(
                "a filter left {} out when the file was saved, and not the others: a word that joins tensors needs all of them",
                quoted(&names)
            )));
        }
        let origin = self.take_all(&moved.from);
        for name in &moved.to {
            self.put(name, Taken::Filtered, origin.clone())?;
        }
        Ok(true)
    }

    /// The tensors of these names, with the places of their own bytes.
    pub(super) fn located(&self, names: &[String]) -> Result<Vec<StoredTensor>, Problem> {
        let stored = names.iter().map(|name| {
            let stored = self.index.tensors.get(name).ok_or_else(|| {
                let value = self
                    .index
                    .values
                    .get(name)
                    .map(crate::value::Value::describe)
                    .unwrap_or_default();
                Problem::Clause(format!(
                    "`{name}` is a value, {value}, and no tensor; .value(..) changes values"
                ))
            })?;
            let located: Cow<'_, StoredTensor> = self.source.locate(name, stored, None)?;
            Ok(located.into_owned())
        });
        stored.collect()
    }

    /// Takes tensors out of the index, and puts others in.
    pub(super) fn exchange(&mut self, moved: &Moved, made: Vec<StoredTensor>) -> Result<(), Problem> {
        self.move_place(&moved.from, &moved.to);
        let origin = self.take_all(&moved.from);
        for (name, tensor) in moved.to.iter().zip(made) {
            self.put(name, Taken::Tensor(tensor), origin.clone())?;
        }
        Ok(())
    }

    /// Takes entries out of the index, with everything that is known of them.
    pub(super) fn take_all(&mut self, names: &[String]) -> Origin {
        let mut all = Origin::default();
        for name in names {
            self.index.edits.casts.remove(name);
            self.index.cuts.remove(name);
            if let Some((_, origin)) = self.take(name) {
                all.from.extend(origin.from);
                for word in origin.words {
                    if !all.words.contains(&word) {
                        all.words.push(word);
                    }
                }
            }
        }
        all
    }
}

/// Names for a message: `` `a`, `b` ``.
pub(super) fn quoted(names: &[String]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    quoted.join(", ")
}
