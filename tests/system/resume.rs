//! A run that was stopped and resumed in another process ends bit for bit where an uninterrupted one does.

use std::process::Command;

use candle_core::{DType, Tensor, Var};
use candle_nn::{Linear, Module, Optimizer, ParamsAdamW, VarBuilder, VarMap};
use fabric_core::optim::{AdamW, ParamsSgd, Sgd};
use fabric_core::{Checkpoint, Fabric};

use crate::states::{CPU, bits, tensor};

/// In the resumed process: which run to resume, as `optimizer:element type:path`.
const RUN: &str = "FABRIC_TESTS_RESUME";

const BEFORE: u64 = 7;
const AFTER: u64 = 5;

#[derive(Checkpoint)]
struct State<O> {
    variables: VarMap,
    optimizer: O,
    step: u64,
}

struct Run<O> {
    layers: [Linear; 3],
    state: State<O>,
}

impl<O: Optimizer + Checkpoint> Run<O> {
    /// The variables are handed to the optimizer in the order that `order` makes of them.
    fn new(dtype: DType, order: fn(&mut Vec<Var>), optimizer: fn(Vec<Var>) -> O) -> Self {
        let variables = VarMap::new();
        let builder = VarBuilder::from_varmap(&variables, dtype, &CPU);
        let layers = [("a", 4, 16), ("b", 16, 16), ("c", 16, 1)]
            .map(|(name, input, output)| candle_nn::linear(input, output, builder.pp(name)).unwrap());
        let mut named: Vec<(String, Var)> = fabric_core::named_parameters(&variables);
        for (at, (_, var)) in (0u64..).zip(&named) {
            var.set(&tensor(at, var.shape()).to_dtype(dtype).unwrap()).unwrap();
        }
        named.sort_by(|a, b| a.0.cmp(&b.0));
        let mut vars: Vec<Var> = named.into_iter().map(|(_, var)| var).collect();
        order(&mut vars);
        let state = State {
            optimizer: optimizer(vars),
            variables,
            step: 0,
        };
        Self { layers, state }
    }

    /// Every step has a batch of its own, drawn from the step's number.
    fn train(&mut self, steps: u64) {
        for _ in 0..steps {
            let x = tensor(1000 + self.state.step, (8, 4))
                .to_dtype(self.layers[0].weight().dtype())
                .unwrap();
            let [a, b, c] = &self.layers;
            let hidden = b
                .forward(&a.forward(&x).unwrap().tanh().unwrap())
                .unwrap()
                .relu()
                .unwrap();
            let target = x.sum_keepdim(1).unwrap();
            let loss = (c.forward(&hidden).unwrap() - target)
                .unwrap()
                .sqr()
                .unwrap()
                .mean_all()
                .unwrap();
            self.state.optimizer.backward_step(&loss).unwrap();
            self.state.step += 1;
        }
    }

    /// All variables, as text that fits through a pipe.
    fn end(&self) -> String {
        let named = fabric_core::named_parameters(&self.state.variables);
        let all = named.iter().flat_map(|(_, var)| bits(var));
        format!("{} {:x?}", self.state.step, all.collect::<Vec<u8>>())
    }
}

fn adamw(vars: Vec<Var>) -> AdamW {
    AdamW::new(
        vars,
        ParamsAdamW {
            lr: 0.05,
            ..ParamsAdamW::default()
        },
    )
    .unwrap()
}

fn sgd(vars: Vec<Var>) -> Sgd {
    Sgd::new(
        vars,
        ParamsSgd {
            lr: 0.05,
            momentum: 0.9,
            nesterov: true,
            weight_decay: 0.01,
        },
    )
    .unwrap()
}

/// What the second process does: build everything anew in another order, load, and go on.
fn resume<O: Optimizer + Checkpoint>(dtype: DType, optimizer: fn(Vec<Var>) -> O, path: &str) -> String {
    let mut run = Run::new(dtype, |vars| vars.reverse(), optimizer);
    let loaded = Fabric::new().load(path, &mut run.state).unwrap();
    assert!(loaded.report.is_complete() && loaded.remainder.is_empty());
    run.train(AFTER);
    run.end()
}

/// The second process of the tests below, which judge what it prints. Started as a test of its own it has no run to
/// resume, and checks that it says so.
#[test]
fn second_process() {
    let Ok(run) = std::env::var(RUN) else {
        assert!(in_second_process("").is_none());
        return;
    };
    let parts: Vec<&str> = run.splitn(3, ':').collect();
    let &[optimizer, dtype, path] = &parts[..] else {
        return;
    };
    let dtype = if dtype == "f64" { DType::F64 } else { DType::F32 };
    let end = match optimizer {
        "adamw" => resume(dtype, adamw, path),
        _ => resume(dtype, sgd, path),
    };
    println!("\nend: {end}");
}

/// Runs this program again, as a process that has only the checkpoint in common with this one.
fn in_second_process(run: &str) -> Option<String> {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "resume::second_process", "--nocapture"])
        .env(RUN, run)
        .output()
        .unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    assert!(
        output.status.success(),
        "{printed}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    printed
        .lines()
        .find_map(|line| line.strip_prefix("end: "))
        .map(str::to_owned)
}

/// The three runs: resumed equals uninterrupted, and neither equals one whose optimizer starts cold.
fn resumed_equals_uninterrupted<O: Optimizer + Checkpoint>(name: &str, dtype: DType, optimizer: fn(Vec<Var>) -> O) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("run/last.ckpt");
    let mut uninterrupted = Run::new(dtype, |_| (), optimizer);
    uninterrupted.train(BEFORE + AFTER);

    let mut stopped = Run::new(dtype, |vars| vars.rotate_left(2), optimizer);
    stopped.train(BEFORE);
    Fabric::new().save(&path, &stopped.state).unwrap();
    let element = if dtype == DType::F64 { "f64" } else { "f32" };
    let resumed = in_second_process(&format!("{name}:{element}:{}", path.display()));
    assert_eq!(resumed.as_deref(), Some(uninterrupted.end().as_str()));

    let mut cold = Run::new(dtype, |_| (), optimizer);
    let only = fabric_core::LoadOptions::new()
        .only(State::<O>::FIELDS.variables)
        .only(State::<O>::FIELDS.step);
    Fabric::new().load_with(&path, &mut cold.state, only).unwrap();
    cold.train(AFTER);
    assert_eq!(cold.state.step, BEFORE + AFTER);
    assert_ne!(
        cold.end(),
        uninterrupted.end(),
        "the optimizer's state makes no difference: the test proves nothing"
    );
}

#[test]
fn adamw_in_f32() {
    resumed_equals_uninterrupted("adamw", DType::F32, adamw);
}

#[test]
fn adamw_in_f64() {
    resumed_equals_uninterrupted("adamw", DType::F64, adamw);
}

#[test]
fn sgd_with_nesterov_momentum() {
    resumed_equals_uninterrupted("sgd", DType::F32, sgd);
}

#[test]
fn the_order_of_registration_makes_no_difference_to_the_file() {
    let directory = tempfile::tempdir().unwrap();
    let states: Vec<Tensor> = [|_: &mut Vec<Var>| (), |vars: &mut Vec<Var>| vars.reverse()]
        .into_iter()
        .map(|order| {
            let path = directory.path().join("last.ckpt");
            let mut run = Run::new(DType::F32, order, adamw);
            run.train(2);
            Fabric::new().save(&path, &run.state).unwrap();
            let raw = Fabric::new().open(&path).unwrap();
            raw.tensor("optimizer.state.variables.b.weight.exp_avg", &CPU).unwrap()
        })
        .collect();
    assert_eq!(bits(&states[0]), bits(&states[1]));
}
