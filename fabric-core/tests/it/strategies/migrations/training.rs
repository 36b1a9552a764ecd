//! Trainings of which each rank has a part.

use std::collections::BTreeMap;

use candle_core::{Tensor, Var};
use candle_nn::Optimizer;
use fabric_core::{Checkpoint, Fabric, named_optimizer_state, set_optimizer_steps};
use testkit::kinds::Kind;
use testkit::states;

use crate::strategies::world::{along, part};

pub(super) type Tensors = BTreeMap<String, Tensor>;

/// A state with a model that ranks cut along one dimension.
pub(super) trait Sharded: Checkpoint + Sized {
    type Optimizer: Kind;
    const DIM: usize;
    fn of(model: Tensors, optimizer: Self::Optimizer) -> Self;
    fn optimizer(&mut self) -> &mut Self::Optimizer;
}

#[derive(Checkpoint)]
pub(super) struct Rows<O> {
    #[checkpoint(shard(dim = 0))]
    model: Tensors,
    optimizer: O,
}

#[derive(Checkpoint)]
pub(super) struct Columns<O> {
    #[checkpoint(shard(dim = 1))]
    model: Tensors,
    optimizer: O,
}

impl<O: Kind> Sharded for Rows<O> {
    type Optimizer = O;
    const DIM: usize = 0;

    fn of(model: Tensors, optimizer: O) -> Self {
        Self { model, optimizer }
    }

    fn optimizer(&mut self) -> &mut O {
        &mut self.optimizer
    }
}

impl<O: Kind> Sharded for Columns<O> {
    type Optimizer = O;
    const DIM: usize = 1;

    fn of(model: Tensors, optimizer: O) -> Self {
        Self { model, optimizer }
    }

    fn optimizer(&mut self) -> &mut O {
        &mut self.optimizer
    }
}

/// The rank's part of a tensor. A tensor without the dimension is whole on every rank.
pub(super) fn held(fabric: &Fabric, whole: &Tensor, dim: usize) -> Tensor {
    if dim >= whole.rank() {
        return whole.force_contiguous().expect("a copy");
    }
    let along = along(fabric.strategy(), fabric.world_size(), fabric.rank(), "fsdp");
    part(whole, dim, along)
}

/// A rank's part of a training.
pub(super) struct Training<S> {
    vars: BTreeMap<String, Var>,
    pub(super) state: S,
}

impl<S: Sharded> Training<S> {
    /// A training that begins with the rank's part of these tensors.
    pub(super) fn new(fabric: &Fabric, whole: &Tensors) -> Self {
        let var = |tensor: &Tensor| Var::from_tensor(&held(fabric, tensor, S::DIM)).expect("a variable");
        let vars: BTreeMap<String, Var> = whole.iter().map(|(name, tensor)| (name.clone(), var(tensor))).collect();
        let named = vars.iter().map(|(name, var)| (name.clone(), var.clone())).collect();
        let model = vars
            .iter()
            .map(|(name, var)| (name.clone(), var.as_tensor().clone()))
            .collect();
        Self {
            state: S::of(model, S::Optimizer::of(named)),
            vars,
        }
    }

    /// One step in which each parameter has its part of this gradient.
    pub(super) fn step(&mut self, fabric: &Fabric, gradients: &Tensors) {
        let term = |(name, var): (&String, &Var)| {
            let gradient = held(fabric, &gradients[name], S::DIM);
            (var.as_tensor() * gradient)
                .and_then(|product| product.sum_all())
                .expect("a term")
        };
        // A rank may hold nothing of a short tensor.
        let some = self.vars.iter().filter(|(_, var)| var.elem_count() > 0);
        let loss = some.map(term).reduce(|a, b| (a + b).expect("a sum"));
        let loss = loss.expect("a parameter with elements");
        self.state.optimizer().backward_step(&loss).expect("a step");
    }

    /// A copy of everything that the rank has.
    pub(super) fn contents(&self) -> Contents {
        let copy = |tensor: &Tensor| tensor.force_contiguous().expect("a copy");
        let mut contents = Contents::default();
        for (name, var) in &self.vars {
            contents.model.insert(name.clone(), copy(var));
        }
        for own in named_optimizer_state(&self.state).expect("named") {
            let name = parameter(&own.parameter);
            for (key, tensor) in &own.tensors {
                let moments = contents.moments.entry(key.clone()).or_default();
                moments.insert(name.to_owned(), copy(tensor));
            }
            contents.steps.insert(name.to_owned(), own.step);
        }
        contents
    }

    /// Overwrites what `contents` has, without a load.
    pub(super) fn set(&mut self, contents: &Contents) {
        for (name, tensor) in &contents.model {
            self.vars[name].set(tensor).expect("one shape");
        }
        for own in named_optimizer_state(&self.state).expect("named") {
            for (key, tensors) in &contents.moments {
                if let Some(tensor) = tensors.get(parameter(&own.parameter)) {
                    own.set(key, tensor).expect("one shape");
                }
            }
        }
        let step = |name: &str, own| contents.steps.get(parameter(name)).copied().unwrap_or(own);
        set_optimizer_steps(&mut self.state, step).expect("named");
    }

    /// Checks that the rank has its part of `whole`, bit for bit.
    pub(super) fn check(&self, fabric: &Fabric, whole: &Contents, when: &str) {
        let own = self.contents();
        let found = own.bits(Tensor::clone);
        let expected = whole.bits(|tensor| held(fabric, tensor, S::DIM));
        assert!(found.keys().eq(expected.keys()), "{when}: {:?}", found.keys());
        let differ = expected.iter().filter(|(name, bits)| found[*name] != **bits);
        let differ: Vec<&String> = differ.map(|(name, _)| name).collect();
        assert!(differ.is_empty(), "{when}, rank {}: {differ:?}", fabric.rank());
        assert_eq!(own.steps, whole.steps, "{when}, rank {}", fabric.rank());
    }
}

/// The name of a parameter inside of the model.
fn parameter(name: &str) -> &str {
    name.strip_prefix("model.").expect("a parameter of the model")
}

/// Everything that a training has learned, by the names of the parameters.
#[derive(Default)]
pub(super) struct Contents {
    pub(super) model: Tensors,
    /// The tensors of the optimizer, by the optimizer's names of them.
    pub(super) moments: BTreeMap<String, Tensors>,
    /// None for an optimizer that does not count steps.
    pub(super) steps: BTreeMap<String, Option<u64>>,
}

impl Contents {
    /// The bits of what `part` gives of each tensor.
    fn bits(&self, part: impl Fn(&Tensor) -> Tensor) -> BTreeMap<String, Vec<u8>> {
        let moments = self.moments.iter().map(|(key, tensors)| (key.as_str(), tensors));
        let mut bits = BTreeMap::new();
        for (key, tensors) in std::iter::once(("elements", &self.model)).chain(moments) {
            for (name, tensor) in tensors {
                bits.insert(format!("{key} of {name}"), states::bits(&part(tensor)));
            }
        }
        bits
    }
}
