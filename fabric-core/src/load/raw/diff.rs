//! Compares two checkpoints: names, values, and the contents of tensors.

mod change;
mod norm;
mod options;
mod pieces;
mod tensors;
mod view;

use self::change::Comparison;
pub use self::options::DiffOptions;
use self::options::Rule;
use self::tensors::{Pair, changes};
use self::view::{View, one_sided_options};
use super::RawCheckpoint;
use crate::entry::TensorInfo;
use crate::error::Result;
use crate::progress::Meter;
use crate::value::{Value, is_same};

/// The differences between two checkpoints, the result of [`RawCheckpoint::diff`].
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Diff {
    /// The values that differ, in the order of their names.
    pub values: Vec<ValueDiff>,
    /// The tensors that differ: first those whose contents cannot be measured, then the others by
    /// [`relative`](TensorChange::relative) change, the largest first.
    pub tensors: Vec<TensorDiff>,
    /// The names of entries that only the first checkpoint has, sorted. A name that is a tensor in one checkpoint and a value in the
    /// other is in both lists.
    pub only_in_first: Vec<String>,
    /// The names of entries that only the second checkpoint has, sorted.
    pub only_in_second: Vec<String>,
    /// The number of values that are equal; with [`DiffOptions::names_only`], of those that both have.
    pub equal_values: usize,
    /// The number of tensors that are equal, or differ within the tolerance; with [`DiffOptions::names_only`], of those that have
    /// one element type and shape in both.
    pub equal_tensors: usize,
}

/// A value that differs between two checkpoints.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ValueDiff {
    /// The name of the entry. The keys of maps, and the numbers of items in lists of maps, follow it:
    /// `optimizer.param_groups.0.lr`.
    pub name: String,
    /// The value in the first checkpoint.
    pub first: Value,
    /// The value in the second checkpoint.
    pub second: Value,
}

/// A tensor that differs between two checkpoints.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TensorDiff {
    /// The name of the tensor. It is a parameter's name where PyTorch has a number and the file has the name.
    pub name: String,
    /// The element type and the shape in the first checkpoint.
    pub first: TensorInfo,
    /// The element type and the shape in the second checkpoint.
    pub second: TensorInfo,
    /// How the contents differ. `None` if the shapes differ, if one of the two has an element type without numbers (complex, packed,
    /// unknown), or with [`DiffOptions::names_only`].
    pub change: Option<TensorChange>,
}

/// How far the contents of a tensor have changed, from `a` in the first checkpoint to `b` in the second one.
///
/// Elements are compared as numbers, also if the element types differ: `0.0` and `-0.0` are equal, NaN is equal to NaN, and an
/// infinity to itself. Elements of types that have no numbers (complex, packed, unknown) are compared by their bytes.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct TensorChange {
    /// The number of elements that differ; of bytes, if elements are packed several to a byte, or their type is unknown.
    pub elements: u64,
    /// The largest `|b - a|` of an element. Infinite if an element changed from or to NaN or an infinity; `None` if elements are
    /// compared by their bytes.
    pub largest: Option<f64>,
    /// `|b - a| / |a|` in L2 norms over all elements, a ratio: 0.01 is one percent. Elements that are NaN or infinite in both are
    /// left out. It is 0 if no element differs, and infinite if [`largest`](Self::largest) is, or if one differs and all of `a` are
    /// 0; `None` if elements are compared by their bytes.
    pub relative: Option<f64>,
}

impl Diff {
    /// Returns true if there is no difference.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
            && self.tensors.is_empty()
            && self.only_in_first.is_empty()
            && self.only_in_second.is_empty()
    }
}

impl RawCheckpoint {
    /// Compares this checkpoint, the first, with another one, the second: names and contents, and not formats. A `.pt` file, a
    /// directory of any number of ranks, and a file of this library are equal if they hold the same state. To compare parts, take a
    /// [`subtree`](Self::subtree) of each first.
    ///
    /// Numbers are compared as numbers, whether a format has integers, floats, or tensors of one element for them; maps are compared
    /// key by key. An optimizer's state that PyTorch numbers is compared under the names of its parameters, if the file has them
    /// (`param_names`). The kind of an optimizer, and options that only one of the two forms has, are then no differences.
    ///
    /// The tensors of both checkpoints are read side by side, with several threads, a MiB of each at a time, and verified.
    /// Transposed tensors of a `.pt` file take 16 MiB at a time. Contents that checksums prove equal are not read, so two
    /// checkpoints of this library are compared in the time that reading their differences takes, and damage in equal contents is
    /// not found: [`Fabric::verify`](crate::Fabric::verify) finds it.
    ///
    /// ```no_run
    /// use fabric_core::{DiffOptions, Fabric};
    ///
    /// # fn main() -> fabric_core::Result<()> {
    /// let fabric = Fabric::new();
    /// let (before, after) = (fabric.open("step-11500.ckpt")?, fabric.open("step-12000.ckpt")?);
    /// let diff = before.diff(&after, DiffOptions::new())?;
    /// for tensor in &diff.tensors {
    ///     println!("{}: {:?}", tensor.name, tensor.change);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// If the tolerance is no ratio, or bytes cannot be read or are damaged. [`Error::Limit`](crate::Error::Limit) if views of the
    /// same bytes show far more bytes than a file has: see [`Builder::read_limit`](crate::Builder::read_limit).
    ///
    /// # Panics
    /// If the progress callback panics, with its panic.
    pub fn diff(&self, other: &Self, options: DiffOptions) -> Result<Diff> {
        options.rule.check()?;
        let meter = Meter::new(options.progress);
        let outcome = diff((self, other), options.rule, &meter);
        meter.unwind();
        outcome
    }
}

fn diff(checkpoints: (&RawCheckpoint, &RawCheckpoint), rule: Rule, meter: &Meter) -> Result<Diff> {
    let (mut first, mut second) = (View::of(checkpoints.0)?, View::of(checkpoints.1)?);
    first.take_numbers(checkpoints.0, &second, rule.names_only)?;
    second.take_numbers(checkpoints.1, &first, rule.names_only)?;
    let mut diff = Diff::default();
    diff.add_names(&first, &second);
    diff.add_values(&first, &second, rule);
    let pairs = first.tensors.iter().filter_map(|(name, first)| {
        let second = *second.tensors.get(name)?;
        Some((&**name, Pair { first: *first, second }))
    });
    let (names, pairs): (Vec<&str>, Vec<Pair<'_>>) = pairs.unzip();
    let changes = if rule.names_only {
        pairs.iter().map(Pair::unread).collect()
    } else {
        changes(checkpoints, &pairs, meter)?
    };
    for ((name, pair), change) in names.into_iter().zip(pairs).zip(changes) {
        diff.add_tensor(name, &pair, change, rule);
    }
    diff.sort();
    Ok(diff)
}

impl Diff {
    /// Adds the entries that one checkpoint has.
    fn add_names(&mut self, first: &View<'_>, second: &View<'_>) {
        let is_one_sided = one_sided_options(first, second);
        let only = |own: &View<'_>, other: &View<'_>| {
            let tensors = own.tensors.keys().filter(|name| !other.tensors.contains_key(*name));
            let values = own.values.keys().filter(|name| !other.values.contains_key(*name));
            let values = values.filter(|name| !is_one_sided(name));
            let names = tensors.chain(values).map(|name| name.clone().into_owned());
            let mut names: Vec<String> = names.collect();
            names.sort_unstable();
            names
        };
        self.only_in_first = only(first, second);
        self.only_in_second = only(second, first);
    }

    /// Compares the values that both checkpoints have.
    fn add_values(&mut self, first: &View<'_>, second: &View<'_>, rule: Rule) {
        for (name, first) in &first.values {
            let Some(second) = second.values.get(name) else {
                continue;
            };
            if rule.names_only || is_same(first, second, rule.tolerance) {
                self.equal_values += 1;
            } else {
                self.values.push(ValueDiff {
                    name: name.clone().into_owned(),
                    first: Value(first.clone().into_owned()),
                    second: Value(second.clone().into_owned()),
                });
            }
        }
    }

    /// Adds or counts a tensor that both checkpoints have.
    fn add_tensor(&mut self, name: &str, pair: &Pair<'_>, change: Option<TensorChange>, rule: Rule) {
        let (first, second) = (&pair.first.1.info, &pair.second.1.info);
        if first == second && change.is_some_and(|change| change.is_within(rule.tolerance)) {
            self.equal_tensors += 1;
            return;
        }
        self.tensors.push(TensorDiff {
            name: name.to_owned(),
            first: first.clone(),
            second: second.clone(),
            change: change.filter(|_| !rule.names_only),
        });
    }

    /// Sorts tensors by their changes. Until now they are in the order of their names.
    fn sort(&mut self) {
        let measure = |tensor: &TensorDiff| tensor.change.and_then(|change| change.relative);
        let key = |tensor: &TensorDiff| measure(tensor).unwrap_or(f64::INFINITY);
        self.tensors.sort_by(|a, b| {
            measure(a)
                .is_some()
                .cmp(&measure(b).is_some())
                .then(key(b).total_cmp(&key(a)))
        });
    }
}

impl TensorChange {
    /// The change of a tensor that stays as it is.
    fn none(info: &TensorInfo) -> Self {
        let zero = Comparison::of(info.dtype(), info.dtype()).is_some_and(Comparison::has_numbers);
        let zero = zero.then_some(0.);
        Self {
            elements: 0,
            largest: zero,
            relative: zero,
        }
    }

    fn is_within(self, tolerance: f64) -> bool {
        self.elements == 0 || self.relative.is_some_and(|relative| relative <= tolerance)
    }
}
