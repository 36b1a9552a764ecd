//! The words that move elements: they join, divide, transpose and reshape tensors.

use std::collections::BTreeMap;

use super::Problem;
use super::edit::Edit;
use super::elements::{Move, Moved};
use super::words::check_stars;
use crate::entry::join;
use crate::migrate::{Captures, Moments, Pattern, Verb};
use crate::source::StoredTensor;

/// The most tensors that `unstack` makes of one.
const MOST_PARTS: usize = 1 << 16;

impl Edit<'_> {
    /// Follows a word that moves elements. Returns the number of times that it found its entries.
    pub(super) fn moved(&mut self, at: &str, verb: &Verb, moments: Moments) -> Result<usize, Problem> {
        match verb {
            Verb::Concat { from, to, dim } => {
                let make = |tensors: &[&StoredTensor]| Ok(vec![StoredTensor::concatenated(tensors, *dim)?]);
                self.joined(at, (from, to), moments, &make)
            }
            Verb::Stack { from, to, dim } => {
                let make = |tensors: &[&StoredTensor]| Ok(vec![StoredTensor::stacked(tensors, *dim)?]);
                match &from[..] {
                    [one] if one.stars() != to.stars() => self.stacked(at, (one, to), moments, &make),
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
                return Err(Problem::Clause(format!(
                    "the file has no number {} of {from:?}; numbers begin at 0 and have no gap",
                    gap.0
                )));
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
            if self.is_filtered(name) {
                return Err(Problem::Clause(format!(
                    "a filter left `{name}` out when the file was saved, so that the number of its parts is unknown"
                )));
            }
            let located = self.located(std::slice::from_ref(name))?;
            let shape = located[0].info.shape();
            let Some(&count) = shape.get(dim) else {
                return Err(Problem::Clause(format!(
                    "`{name}` of shape {shape:?} has no dimension {dim}"
                )));
            };
            if count > MOST_PARTS {
                return Err(Problem::Clause(format!(
                    "`{name}` of shape {shape:?} would be {count} tensors, and {MOST_PARTS} are the most"
                )));
            }
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
}
