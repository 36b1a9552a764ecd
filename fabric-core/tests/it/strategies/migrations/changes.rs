//! Changes of a program: a training of the old program, saved by some ranks, goes on in the new one on others.

use std::collections::BTreeSet;

use candle_core::Tensor;
use fabric_core::optim::{AdamW, Sgd};
use fabric_core::testing::Memory;
use fabric_core::{Fabric, LoadOptions, Migrations, Strategy};
use testkit::kinds::Kind;
use testkit::states;

use super::training::{Columns, Contents, Rows, Sharded, Tensors, Training};
use crate::strategies::world::{alone, run};

pub(super) const PATH: &str = "run/last";

/// The steps of the old program before the save, and of both programs after it.
const STEPS: u64 = 3;

/// The names and shapes of parameters.
pub(super) type Shapes = &'static [(&'static str, &'static [usize])];

/// A parameter of every program, which no word takes.
const OTHER: Shapes = &[("other", &[5])];

/// The parameters before and after a change, the words, and the same change of a map of tensors.
pub(super) struct Change {
    pub(super) before: Shapes,
    pub(super) recipe: fn(&mut Migrations),
    pub(super) rearrange: fn(&Tensors) -> Tensors,
    /// Parameters that only the new program has.
    pub(super) new: Shapes,
    /// Those of them that begin at zero. The others stay as the new program has them.
    pub(super) zeros: &'static [&'static str],
    /// Parameters whose optimizer's state begins anew.
    pub(super) anew: &'static [&'static str],
}

impl Change {
    pub(super) fn of(before: Shapes, recipe: fn(&mut Migrations), rearrange: fn(&Tensors) -> Tensors) -> Self {
        Self {
            before,
            recipe,
            rearrange,
            new: &[],
            zeros: &[],
            anew: &[],
        }
    }

    /// A tensor for each parameter of the old program.
    fn old_tensors(&self, seed: u64) -> Tensors {
        let mut all = tensors(self.before, seed);
        all.extend(tensors(OTHER, seed + 200));
        all
    }

    /// A tensor for each parameter of the new program: those of the old one, rearranged, and more.
    fn new_tensors(&self, seed: u64) -> Tensors {
        let mut all = self.after(&self.old_tensors(seed));
        all.extend(tensors(self.new, seed + 500));
        all
    }

    /// Tensors of the old program as the new one has them.
    fn after(&self, old: &Tensors) -> Tensors {
        let mut after = (self.rearrange)(old);
        let other = old.get_key_value(OTHER[0].0);
        after.extend(other.map(|(name, tensor)| (name.clone(), tensor.clone())));
        let copy = |(name, tensor): (String, Tensor)| (name, tensor.force_contiguous().expect("a copy"));
        after.into_iter().map(copy).collect()
    }

    /// The parameters and the optimizer's state that a load restores in the new program.
    pub(super) fn restored(&self, old: &Contents) -> Contents {
        let (after, new) = (self.after(&old.model), tensors(self.new, 0));
        let zeros = |names: &[&str]| -> Tensors {
            let like = |name: &str| after.get(name).or_else(|| new.get(name)).expect("a parameter");
            let zero = |name: &&str| ((*name).to_owned(), like(name).zeros_like().expect("zeros"));
            names.iter().map(zero).collect()
        };
        let mut restored = Contents::default();
        for (key, moments) in &old.moments {
            let mut moments = self.after(moments);
            moments.extend(zeros(self.anew));
            restored.moments.insert(key.clone(), moments);
        }
        // The old program has taken as many steps for every parameter.
        let taken = old.steps.values().next().copied().flatten();
        restored.steps = after.keys().map(|name| (name.clone(), taken)).collect();
        let begun = self.anew.iter().map(|name| ((*name).to_owned(), taken.map(|_| 0)));
        restored.steps.extend(begun);
        restored.model = zeros(self.zeros);
        restored.model.extend(after);
        restored
    }

    /// The old program after its steps, saved.
    pub(super) fn saved<S: Sharded>(&self, strategy: &Strategy, ranks: usize) -> Memory {
        let storage = Memory::new();
        run(strategy, ranks, &storage, |fabric| {
            let training = self.trained::<S>(fabric);
            fabric.save(PATH, &training.state).expect("saved");
        });
        storage
    }

    /// The old program after its steps.
    pub(super) fn trained<S: Sharded>(&self, fabric: &Fabric) -> Training<S> {
        let mut training = Training::new(fabric, &self.old_tensors(1));
        for step in 0..STEPS {
            training.step(fabric, &self.old_tensors(gradients(step)));
        }
        training
    }

    /// The new program before the load. It has other elements, and has taken a step with other gradients.
    fn begun<S: Sharded>(&self, fabric: &Fabric) -> Training<S> {
        let mut training = Training::new(fabric, &self.new_tensors(100_000));
        training.step(fabric, &self.new_tensors(200_000));
        training
    }

    /// Loads into the new program, and goes on.
    fn check<S: Sharded>(&self, fabric: &Fabric, expected: &Expected, saved: &str) {
        let (ranks, optimizer) = (fabric.world_size(), std::any::type_name::<S::Optimizer>());
        let when = format!("{optimizer}, {saved}, loaded by {ranks} along {}", S::DIM);
        let mut training = self.begun::<S>(fabric);
        let options = LoadOptions::new().migrations(self.recipe);
        let loaded = fabric.load_with(PATH, &mut training.state, options);
        let loaded = loaded.unwrap_or_else(|error| panic!("{when}: {error}"));
        assert!(loaded.report.is_complete(), "{when}: {}", loaded.report);
        assert!(loaded.remainder.is_empty(), "{when}: {:?}", loaded.remainder);
        let begun: BTreeSet<&str> = loaded
            .report
            .begun_anew
            .iter()
            .map(|entry| of_parameter(entry))
            .collect();
        assert_eq!(begun, self.anew.iter().copied().collect::<BTreeSet<_>>(), "{when}");
        training.check(fabric, &expected.loaded, &when);
        for step in STEPS..2 * STEPS {
            training.step(fabric, &self.new_tensors(gradients(step)));
        }
        training.check(fabric, &expected.later, &format!("{when}, after more steps"));
    }

    /// Loads what some ranks saved, on two and three ranks and on one process.
    fn goes_on_with<O: Kind>(&self) {
        let expected = Expected::of::<O>(self);
        let fsdp = Strategy::fsdp();
        let rows = ("saved along 0", self.saved::<Rows<O>>(&fsdp, 4));
        let columns = ("saved along 1", self.saved::<Columns<O>>(&fsdp, 4));
        for (saved, storage) in [rows, columns] {
            for ranks in [2, 3] {
                run(&fsdp, ranks, &storage, |fabric| {
                    self.check_both::<O>(fabric, &expected, saved);
                });
            }
            self.check_both::<O>(&alone(&storage), &expected, saved);
        }
    }

    fn check_both<O: Kind>(&self, fabric: &Fabric, expected: &Expected, saved: &str) {
        self.check::<Rows<O>>(fabric, expected, saved);
        self.check::<Columns<O>>(fabric, expected, saved);
    }

    /// Four ranks save the old program, and others go on with the new one.
    pub(super) fn goes_on(&self) {
        self.goes_on_with::<AdamW>();
        self.goes_on_with::<Sgd>();
    }

    /// One process saves the old program, and four ranks go on with the new one.
    pub(super) fn goes_on_from_one_process<O: Kind>(&self) {
        let expected = Expected::of::<O>(self);
        let storage = self.saved::<Rows<O>>(&Strategy::single_device(), 1);
        run(&Strategy::fsdp(), 4, &storage, |fabric| {
            self.check_both::<O>(fabric, &expected, "saved by one");
        });
    }
}

/// The seed of the gradients of a step.
fn gradients(step: u64) -> u64 {
    1000 * (step + 1)
}

/// The parameter that an entry of the optimizer's state belongs to.
fn of_parameter(entry: &str) -> &str {
    let below = entry.strip_prefix("optimizer.state.model.");
    let (parameter, _) = below.and_then(|below| below.rsplit_once('.')).expect("a state");
    parameter
}

pub(super) fn tensors(shapes: Shapes, seed: u64) -> Tensors {
    let numbered = (seed..).zip(shapes);
    numbered
        .map(|(seed, (name, shape))| ((*name).to_owned(), states::tensor(seed, *shape)))
        .collect()
}

/// The new program as a whole, computed by one process without a load.
struct Expected {
    loaded: Contents,
    /// After more steps.
    later: Contents,
}

impl Expected {
    fn of<O: Kind>(change: &Change) -> Self {
        let fabric = Fabric::new();
        let mut old = change.trained::<Rows<O>>(&fabric);
        let mut new = change.begun::<Rows<O>>(&fabric);
        new.set(&change.restored(&old.contents()));
        let loaded = new.contents();
        for step in STEPS..2 * STEPS {
            old.step(&fabric, &change.old_tensors(gradients(step)));
            new.step(&fabric, &change.new_tensors(gradients(step)));
        }
        let later = new.contents();
        // A parameter whose state followed it is what the old program makes of it.
        for (name, tensor) in change.after(&old.contents().model) {
            if !change.anew.contains(&name.as_str()) {
                assert_eq!(states::bits(&tensor), states::bits(&later.model[&name]), "{name}");
            }
        }
        Self { loaded, later }
    }
}

pub(super) fn named<const N: usize>(tensors: [(&str, Tensor); N]) -> Tensors {
    tensors.map(|(name, tensor)| (name.to_owned(), tensor)).into()
}

/// Tensors of a map, one behind the other.
pub(super) fn joined(old: &Tensors, names: &[&str], dim: usize) -> Tensor {
    let parts: Vec<&Tensor> = names.iter().map(|name| &old[*name]).collect();
    Tensor::cat(&parts, dim).expect("shapes that fit")
}

/// Some indices of a tensor of a map.
pub(super) fn some(old: &Tensors, name: &str, dim: usize, from: usize, len: usize) -> Tensor {
    old[name].narrow(dim, from, len).expect("inside")
}

/// A tensor of a map with two dimensions exchanged.
pub(super) fn turned(old: &Tensors, name: &str, a: usize, b: usize) -> Tensor {
    old[name]
        .transpose(a, b)
        .and_then(|turned| turned.contiguous())
        .expect("dimensions")
}
