//! A whole training state: sharded beside replicated models, an optimizer, ties, options, a map, values.

use std::collections::BTreeMap;

use candle_core::{DType, Tensor, Var};
use candle_nn::{Linear, Module, Optimizer, ParamsAdamW};
use fabric_core::optim::AdamW;
use fabric_core::{Checkpoint, Fabric, Strategy};

use super::world::{along, numbers, part};

#[derive(Checkpoint)]
pub(crate) struct Mlp {
    #[checkpoint(shard(dim = 0, axis = "tp"))]
    pub(crate) fc1: Linear,
    #[checkpoint(shard(dim = 1, axis = "tp"))]
    pub(crate) fc2: Linear,
    /// The weight of `fc1` under another name.
    #[checkpoint(shard(dim = 0, axis = "tp"))]
    pub(crate) tied: Tensor,
}

#[derive(Checkpoint)]
pub(crate) struct Train {
    pub(crate) model: Mlp,
    #[checkpoint(shard(dim = 0))]
    pub(crate) table: BTreeMap<String, Tensor>,
    pub(crate) head: Linear,
    pub(crate) optimizer: AdamW,
    #[checkpoint(shard(dim = 0))]
    pub(crate) extra: Option<Tensor>,
    pub(crate) iteration: u64,
    pub(crate) losses: Vec<f32>,
}

/// Which dimension of an entry is cut, over which axis; `None` for the strategy's own.
type Cut = Option<(usize, Option<&'static str>)>;

fn cut(name: &str) -> Cut {
    match name.trim_end_matches("/next") {
        "model.fc1.weight" | "model.fc1.bias" | "model.tied" | "fc1.weight" | "fc1.bias" | "tied" => {
            Some((0, Some("tp")))
        }
        "model.fc2.weight" | "fc2.weight" => Some((1, Some("tp"))),
        name if name.starts_with("table.") || name == "extra" => Some((0, None)),
        _ => None,
    }
}

/// The axis that `shard` means without a name, in these tests.
pub(crate) fn own_axis(strategy: &Strategy) -> Option<&str> {
    let axes: Vec<&str> = strategy.axes().map(|(name, _)| name).collect();
    let known = ["fsdp", "dp"]
        .into_iter()
        .find_map(|own| axes.iter().find(|axis| **axis == own));
    known.or(axes.first()).copied()
}

/// What a rank holds of a whole tensor of this name.
pub(crate) fn held(fabric: &Fabric, name: &str, whole: &Tensor) -> Tensor {
    let Some((dim, axis)) = cut(name) else {
        return whole.clone();
    };
    let axis = axis.or(own_axis(fabric.strategy()));
    match axis {
        Some(axis) if dim < whole.rank() => part(
            whole,
            dim,
            along(fabric.strategy(), fabric.world_size(), fabric.rank(), axis),
        ),
        _ => whole.clone(),
    }
}

fn variable(fabric: &Fabric, name: &str, shape: &[usize], start: f32) -> Var {
    let whole = (numbers(shape, start) / 100.).expect("floats");
    Var::from_tensor(&held(fabric, name, &whole)).expect("a variable")
}

/// A layer of variables.
fn linear(fabric: &Fabric, name: &str, (outputs, inputs): (usize, usize), start: f32) -> (Linear, Vec<Var>) {
    let weight = variable(fabric, &format!("{name}.weight"), &[outputs, inputs], start);
    let bias = variable(fabric, &format!("{name}.bias"), &[outputs], start + 500.);
    let layer = Linear::new(weight.as_tensor().clone(), Some(bias.as_tensor().clone()));
    (layer, vec![weight, bias])
}

impl Mlp {
    pub(crate) fn new(fabric: &Fabric, start: f32) -> (Self, Vec<Var>) {
        let (fc1, mut vars) = linear(fabric, "model.fc1", (7, 6), start);
        let (fc2, more) = linear(fabric, "model.fc2", (3, 7), start + 100.);
        vars.extend(more);
        let tied = fc1.weight().clone();
        (Self { fc1, fc2, tied }, vars)
    }

    pub(crate) fn tensors(&self, prefix: &str) -> Vec<(String, Tensor)> {
        let bias = |layer: &Linear| layer.bias().expect("a bias").clone();
        let all = [
            ("fc1.weight", self.fc1.weight().clone()),
            ("fc1.bias", bias(&self.fc1)),
            ("fc2.weight", self.fc2.weight().clone()),
            ("fc2.bias", bias(&self.fc2)),
            ("tied", self.tied.clone()),
        ];
        all.into_iter()
            .map(|(name, tensor)| (format!("{prefix}{name}"), tensor))
            .collect()
    }
}

impl Train {
    /// This rank's part of a state in which everything tells `seed`, after as many steps.
    pub(crate) fn new(fabric: &Fabric, seed: u16) -> Self {
        let start = f32::from(seed);
        let (model, mut vars) = Mlp::new(fabric, start);
        let (head, more) = linear(fabric, "head", (2, 3), start + 40.);
        vars.extend(more);
        let table = [("a", 5), ("b", 11)].map(|(name, rows)| {
            let whole = numbers(&[rows, 2], start + 7.);
            (name.to_owned(), held(fabric, &format!("table.{name}"), &whole))
        });
        let mut state = Self {
            optimizer: AdamW::new(
                vars,
                ParamsAdamW {
                    lr: f64::from(seed) / 1000.,
                    ..Default::default()
                },
            )
            .expect("an optimizer"),
            model,
            table: BTreeMap::from(table),
            head,
            extra: Some(held(fabric, "extra", &numbers(&[4], start))),
            iteration: u64::from(seed) << 33,
            losses: (0..seed % 7).map(f32::from).collect(),
        };
        (0..seed % 3).for_each(|_| state.step());
        state
    }

    /// A step whose gradients are those of each element by itself, so that it is the same however tensors are cut.
    pub(crate) fn step(&mut self) {
        let tensors = self.model.tensors("").into_iter().map(|(_, tensor)| tensor);
        let head = [self.head.weight().clone(), self.head.bias().expect("a bias").clone()];
        let squares = tensors.chain(head).filter(|tensor| tensor.elem_count() > 0);
        let sums: Vec<Tensor> = squares
            .map(|tensor| tensor.sqr().and_then(|s| s.sum_all()).expect("floats"))
            .collect();
        let loss = Tensor::stack(&sums, 0).and_then(|all| all.sum_all()).expect("floats");
        let gradients = loss.backward().expect("a loss");
        self.optimizer.step(&gradients).expect("a step");
    }

    /// Every tensor by its name, and again after one more step, which tells the optimizer's state.
    pub(crate) fn contents(&mut self) -> (BTreeMap<String, Tensor>, String) {
        let copies = |state: &Self| -> Vec<(String, Tensor)> {
            let mut all = state.model.tensors("model.");
            all.extend(
                state
                    .table
                    .iter()
                    .map(|(name, tensor)| (format!("table.{name}"), tensor.clone())),
            );
            all.push(("head.weight".into(), state.head.weight().clone()));
            all.push(("head.bias".into(), state.head.bias().expect("a bias").clone()));
            all.extend(state.extra.clone().map(|tensor| ("extra".into(), tensor)));
            all.into_iter()
                .map(|(name, tensor)| (name, tensor.copy().expect("a copy")))
                .collect()
        };
        let before = copies(self);
        let values = format!("{} {:?} {:?}", self.iteration, self.losses, self.optimizer.params());
        self.step();
        let next = copies(self)
            .into_iter()
            .map(|(name, tensor)| (format!("{name}/next"), tensor));
        (before.into_iter().chain(next).collect(), values)
    }
}

/// The elements of a tensor, whatever their type.
pub(crate) fn elements(tensor: &Tensor) -> Vec<f64> {
    let wide = tensor.to_dtype(DType::F64).and_then(|wide| wide.flatten_all());
    wide.and_then(|flat| flat.to_vec1()).expect("numbers")
}

/// Something to run the layers on, so that they are known to be usable.
pub(crate) fn forward(head: &Linear) -> Vec<f64> {
    elements(&head.forward(&numbers(&[1, 3], 1.)).expect("three inputs"))
}
