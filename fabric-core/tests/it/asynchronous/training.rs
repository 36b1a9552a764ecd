//! A loop written in the usual way, with a save after every step.

use candle_core::{DType, Device, Result, Tensor, Var};
use candle_nn::{Linear, Module, Optimizer, VarBuilder, VarMap, linear, loss};
use fabric_core::optim::AdamW;
use fabric_core::testing::Memory;
use fabric_core::{Checkpoint, Saving};

use super::state::on;

#[derive(Checkpoint)]
struct Mlp {
    fc1: Linear,
    fc2: Linear,
}

#[derive(Checkpoint)]
struct Run {
    model: Mlp,
    optimizer: AdamW,
    iteration: u32,
}

fn ramp(shape: (usize, usize), scale: f64) -> Result<Tensor> {
    let count = u32::try_from(shape.0 * shape.1).expect("small");
    let values = Tensor::arange(0, count, &Device::Cpu)?.to_dtype(DType::F32)?;
    (values * scale)?.sin()?.reshape(shape)
}

impl Run {
    /// Two layers of more than a MiB together, which begin as they always do.
    fn new() -> Result<Self> {
        let variables = VarMap::new();
        let builder = VarBuilder::from_varmap(&variables, DType::F32, &Device::Cpu);
        let model = Mlp {
            fc1: linear(64, 3000, builder.pp("fc1"))?,
            fc2: linear(3000, 8, builder.pp("fc2"))?,
        };
        let parameters: Vec<Var> = fabric_core::named_parameters(&model)
            .into_iter()
            .map(|(_, var)| var)
            .collect();
        for var in &parameters {
            let (rows, columns) = match var.dims() {
                [rows] => (1, *rows),
                dims => (dims[0], dims[1]),
            };
            var.set(&(ramp((rows, columns), 0.37)? * 0.05)?.reshape(var.shape())?)?;
        }
        Ok(Self {
            model,
            optimizer: AdamW::new_lr(parameters, 1e-2)?,
            iteration: 0,
        })
    }

    fn step(&mut self) -> Result<()> {
        let input = ramp((16, 64), 0.1 + f64::from(self.iteration))?;
        let hidden = self.model.fc1.forward(&input)?.relu()?;
        let loss = loss::mse(&self.model.fc2.forward(&hidden)?, &ramp((16, 8), 0.7)?)?;
        self.optimizer.backward_step(&loss)?;
        self.iteration += 1;
        Ok(())
    }

    fn contents(&self) -> Result<Vec<Vec<f32>>> {
        let tensors = fabric_core::named_parameters(&self.model);
        tensors.iter().map(|(_, var)| var.flatten_all()?.to_vec1()).collect()
    }
}

#[test]
fn training_with_a_save_after_every_step_goes_its_way_and_every_checkpoint_resumes() {
    const STEPS: u32 = 12;
    let mut alone = Run::new().expect("a model");
    let mut expected = Vec::new();
    for _ in 0..STEPS {
        alone.step().expect("a step");
        expected.push(alone.contents().expect("f32"));
    }
    for staging in [0, 1 << 30] {
        let memory = Memory::new();
        let fabric = on(memory.clone()).staging(staging).build().expect("one device");
        let mut run = Run::new().expect("a model");
        let mut last: Option<Saving> = None;
        for step in 0..STEPS {
            run.step().expect("a step");
            // The usual way: the handle of the save before is dropped by this assignment.
            last = Some(fabric.save_async(format!("step-{step}"), &run).expect("started"));
        }
        last.expect("there were steps").wait().expect("saved");
        assert!(
            Some(&run.contents().expect("f32")) == expected.last(),
            "saving changes nothing"
        );
        for (step, expected) in (0u32..).zip(&expected) {
            let mut resumed = Run::new().expect("a model");
            fabric.load(format!("step-{step}"), &mut resumed).expect("a checkpoint");
            assert!(
                resumed.contents().expect("f32") == *expected,
                "staging {staging}, step {step}"
            );
            assert_eq!(resumed.iteration, step + 1);
            if step == 3 {
                // Moments and step counts are of the same step too.
                for _ in step + 1..STEPS {
                    resumed.step().expect("a step");
                }
                assert!(resumed.contents().expect("f32") == alone.contents().expect("f32"));
            }
        }
    }
}

#[test]
fn many_threads_train_one_model_while_it_is_saved() {
    let memory = Memory::new();
    let fabric = on(memory.clone()).staging(0).build().expect("one device");
    let vars: Vec<Var> = (0..8)
        .map(|n| Var::from_tensor(&(Tensor::ones(100_000, DType::F32, &Device::Cpu)? * f64::from(n))?))
        .collect::<Result<_>>()
        .expect("variables");
    for _ in 0..10 {
        let saving = fabric.save_async("last", &vars).expect("started");
        std::thread::scope(|scope| {
            for first in 0..4 {
                let vars = &vars;
                scope.spawn(move || {
                    for n in 0..vars.len() {
                        // Reads one tensor while it writes to another, as optimizers do.
                        let (to, from) = (&vars[(first + n) % 8], &vars[(first + n + 3) % 8]);
                        let sum = (to.as_tensor() + from.as_tensor()).expect("a sum");
                        to.set(&sum).expect("it can be set");
                    }
                });
            }
        });
        saving.wait().expect("saved");
    }
}
