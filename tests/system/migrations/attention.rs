//! Real training: attention whose three matrices become one, and whose output is stored turned, goes on as the new program would have
//! from the start.

use candle_core::{DType, Tensor, Var};
use candle_nn::ops::softmax;
use fabric_core::optim::{AdamW, Sgd};
use fabric_core::{Checkpoint, LoadOptions};
use testkit::kinds::Kind;

use crate::states::{PATH, fabric, tensor};

const WIDTH: usize = 4;

#[derive(Checkpoint)]
struct Old {
    wq: Var,
    wk: Var,
    wv: Var,
    proj: Var,
}

#[derive(Checkpoint)]
struct New {
    qkv: Var,
    out: Var,
}

#[derive(Checkpoint)]
struct Train<M, O> {
    model: M,
    optimizer: O,
}

/// In 64 bits, so that the two programs differ by the recipe alone, and not by the order of sums.
fn numbers(seed: u64, shape: (usize, usize)) -> Tensor {
    tensor(seed, shape).to_dtype(DType::F64).unwrap()
}

fn matrix(seed: u64) -> Tensor {
    (numbers(seed, (WIDTH, WIDTH)) * 0.5).unwrap()
}

fn variable(tensor: &Tensor) -> Var {
    Var::from_tensor(&tensor.contiguous().unwrap()).unwrap()
}

fn attention(q: &Tensor, k: &Tensor, v: &Tensor) -> Tensor {
    let scores = (q.matmul(&k.t().unwrap()).unwrap() * 0.5).unwrap();
    softmax(&scores, 1).unwrap().matmul(v).unwrap()
}

trait Model {
    fn named(&self) -> Vec<(String, Var)>;
    fn forward(&self, x: &Tensor) -> Tensor;
}

impl Model for Old {
    fn named(&self) -> Vec<(String, Var)> {
        let all = [
            ("wq", &self.wq),
            ("wk", &self.wk),
            ("wv", &self.wv),
            ("proj", &self.proj),
        ];
        all.map(|(name, var)| (format!("model.{name}"), var.clone())).into()
    }

    fn forward(&self, x: &Tensor) -> Tensor {
        let of = |w: &Var| x.matmul(&w.t().unwrap()).unwrap();
        attention(&of(&self.wq), &of(&self.wk), &of(&self.wv))
            .matmul(&self.proj)
            .unwrap()
    }
}

impl Model for New {
    fn named(&self) -> Vec<(String, Var)> {
        let all = [("qkv", &self.qkv), ("out", &self.out)];
        all.map(|(name, var)| (format!("model.{name}"), var.clone())).into()
    }

    fn forward(&self, x: &Tensor) -> Tensor {
        let all = x.matmul(&self.qkv.t().unwrap()).unwrap();
        let part = |number: usize| all.narrow(1, number * WIDTH, WIDTH).unwrap().contiguous().unwrap();
        let attended = attention(&part(0), &part(1), &part(2));
        attended.matmul(&self.out.t().unwrap()).unwrap()
    }
}

fn old() -> Old {
    Old {
        wq: variable(&matrix(1)),
        wk: variable(&matrix(2)),
        wv: variable(&matrix(3)),
        proj: variable(&matrix(4)),
    }
}

fn new(old: &Old) -> New {
    let all = [old.wq.as_tensor(), old.wk.as_tensor(), old.wv.as_tensor()];
    New {
        qkv: variable(&Tensor::cat(&all, 0).unwrap()),
        out: variable(&old.proj.t().unwrap()),
    }
}

impl<M: Model, O: Kind> Train<M, O> {
    fn of(model: M) -> Self {
        Self {
            optimizer: O::of(model.named()),
            model,
        }
    }

    /// The steps of a range, each on a batch of its own. Returns the last loss.
    fn train(&mut self, steps: std::ops::Range<u64>) -> f64 {
        let mut last = 0.;
        for step in steps {
            let (x, y) = (numbers(1000 + step, (6, WIDTH)), numbers(2000 + step, (6, WIDTH)));
            let loss = (self.model.forward(&x) - y).unwrap().sqr().unwrap().mean_all().unwrap();
            self.optimizer.backward_step(&loss).unwrap();
            last = loss.to_scalar().unwrap();
        }
        last
    }
}

fn goes_on<O: Kind>() {
    let fabric = fabric();
    let mut before = Train::<_, O>::of(old());
    before.train(0..20);
    fabric.save(PATH, &before).unwrap();
    let blank = Old {
        wq: variable(&matrix(51)),
        wk: variable(&matrix(52)),
        wv: variable(&matrix(53)),
        proj: variable(&matrix(54)),
    };
    let mut resumed = Train::<_, O>::of(new(&blank));
    let options = LoadOptions::new().migrations(|m| {
        m.concat(["model.wq", "model.wk", "model.wv"], "model.qkv", 0)
            .rename("model.proj", "model.out")
            .transpose("model.out", 0, 1);
    });
    let loaded = fabric.load_with(PATH, &mut resumed, options).unwrap();
    assert!(loaded.report.is_complete() && loaded.remainder.is_empty());
    let mut from_the_start = Train::<_, O>::of(new(&old()));
    from_the_start.train(0..20);
    let losses = (resumed.train(20..40), from_the_start.train(20..40));
    assert!((losses.0 - losses.1).abs() <= 1e-6, "{losses:?}");
    for ((name, own), (_, other)) in resumed.model.named().iter().zip(from_the_start.model.named()) {
        let distance = (own.as_tensor() - other.as_tensor()).unwrap().abs().unwrap();
        let distance: f64 = distance.flatten_all().unwrap().max(0).unwrap().to_scalar().unwrap();
        assert!(distance <= 1e-6, "{name}: {distance}");
    }
}

#[test]
fn a_training_with_adamw_goes_on_in_the_new_program() {
    goes_on::<AdamW>();
}

#[test]
fn a_training_with_sgd_goes_on_in_the_new_program() {
    goes_on::<Sgd>();
}
