//! One process of the tests about runs: `run-tool DIRECTORY STEPS` trains from the newest checkpoint on, until the last step or a
//! signal. It prints `resumed STEP`, `at STEP` after each step and its save, and `ended STEP`. With a third argument, `wait`, each
//! save is durable before the next step.

use std::time::Duration;

use candle_core::{DType, Device, Var};
use fabric_core::run::{Every, Keep, Run};
use fabric_core::{Checkpoint, Fabric, Result};

#[derive(Checkpoint)]
struct State {
    weight: Var,
    step: u64,
}

impl State {
    fn new() -> Self {
        Self {
            weight: Var::zeros(1000, DType::F64, &Device::Cpu).expect("memory for the state"),
            step: 0,
        }
    }

    /// A step whose result depends on every step before it, to the last bit.
    fn train(&mut self, step: u64) {
        let number = f64::from(u32::try_from(step).expect("few steps"));
        let next = self.weight.affine(0.99, 1. / number).expect("memory for the state");
        self.weight.set(&next).expect("the same shape");
        self.step = step;
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn train(directory: &str, steps: u64, waits: bool) -> Result<()> {
    let fabric = Fabric::new();
    let mut run = Run::at(directory)
        .keep(Keep::last(2).every(100))
        .save_every(Every::steps(10))
        .stop_on_signals()
        .open(&fabric)?;
    let mut state = State::new();
    let resumed = run.resume(&mut state)?;
    let mut step = resumed.map_or(0, |resumed| resumed.step);
    println!("resumed {step}");
    while step < steps {
        step += 1;
        state.train(step);
        let stop = run.stop_requested()?;
        if run.due(step) || stop {
            if waits {
                run.save(step, &state, &[("loss", 1.)])?;
            } else {
                run.save_async(step, &state, &[("loss", 1.)])?;
            }
        }
        println!("at {step}");
        if stop {
            break;
        }
    }
    run.wait()?;
    println!("ended {step}");
    Ok(())
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let steps = arguments[2].parse().expect("a number of steps");
    let waits = arguments.get(3).is_some_and(|word| word == "wait");
    if let Err(error) = train(&arguments[1], steps, waits) {
        println!("error {error}");
        std::process::exit(1);
    }
}
