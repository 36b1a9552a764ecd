//! Data-parallel training with an optimizer whose state is split: every rank has all parameters, and updates some rows.

use std::collections::BTreeMap;

use candle_core::{Device, Tensor, Var};
use candle_nn::{Optimizer, ParamsAdamW};
use fabric_core::optim::AdamW;
use fabric_core::testing::Memory;
use fabric_core::{Checkpoint, Fabric, LoadOptions, Strategy};

use super::train::elements;
use super::world::{alone, along, numbers, part, run};

const PATH: &str = "run/last";
const NAMES: [&str; 3] = ["embedding", "weight", "bias"];

/// The parameters are the same on all ranks; `optimizer` has variables of its own for the rows that this one updates.
#[derive(Checkpoint)]
struct Zero {
    parameters: BTreeMap<String, Tensor>,
    #[checkpoint(shard(dim = 0))]
    optimizer: AdamW,
    #[checkpoint(skip)]
    parts: Vec<Var>,
}

fn whole(name: &str, seed: u16) -> Tensor {
    let shape: &[usize] = match name {
        "embedding" => &[7, 2],
        "weight" => &[4, 3],
        _ => &[4],
    };
    (numbers(shape, f32::from(seed)) / 10.).expect("floats")
}

impl Zero {
    fn new(fabric: &Fabric, seed: u16) -> Self {
        let place = along(fabric.strategy(), fabric.world_size(), fabric.rank(), "fsdp");
        let parameters: BTreeMap<_, _> = NAMES
            .iter()
            .map(|name| ((*name).to_owned(), whole(name, seed)))
            .collect();
        let named: Vec<(String, Var)> = parameters
            .iter()
            .map(|(name, tensor)| {
                let own = Var::from_tensor(&part(tensor, 0, place)).expect("a variable");
                (format!("parameters.{name}"), own)
            })
            .collect();
        let parts = named.iter().map(|(_, var)| var.clone()).collect();
        let optimizer = AdamW::from_named(
            named,
            ParamsAdamW {
                lr: 0.1,
                ..ParamsAdamW::default()
            },
        )
        .expect("an optimizer");
        Self {
            parameters,
            optimizer,
            parts,
        }
    }

    /// Each rank updates its rows. (Gathering them is the program's.)
    fn step(&mut self) {
        let squares = self.parts.iter().filter(|part| part.elem_count() > 0);
        let sums: Vec<Tensor> = squares
            .map(|part| part.sqr().and_then(|s| s.sum_all()).expect("floats"))
            .collect();
        if sums.is_empty() {
            self.optimizer
                .step(&numbers(&[], 1.).backward().expect("no gradients"))
                .expect("a step");
            return;
        }
        let loss = Tensor::stack(&sums, 0).and_then(|all| all.sum_all()).expect("floats");
        self.optimizer.step(&loss.backward().expect("a loss")).expect("a step");
    }
}

/// The optimizer's state on one device after two steps, by its names in the checkpoint.
fn expected() -> BTreeMap<String, (Vec<usize>, Vec<f64>)> {
    let storage = Memory::new();
    let one = alone(&storage);
    let mut state = Zero::new(&one, 3);
    state.step();
    state.step();
    one.save(PATH, &state).expect("saved");
    read(&storage)
}

fn read(storage: &Memory) -> BTreeMap<String, (Vec<usize>, Vec<f64>)> {
    let raw = alone(storage).open(PATH).expect("a checkpoint");
    let tensors = raw.names().into_iter().filter(|name| raw.info(name).is_some());
    let tensors = tensors.map(|name| {
        let tensor = raw.tensor(name, &Device::Cpu).expect("it is there");
        (name.to_owned(), (tensor.dims().to_vec(), elements(&tensor)))
    });
    tensors.collect()
}

#[test]
fn the_parts_of_the_state_are_a_whole_that_any_world_takes_apart_again() {
    let expected = expected();
    assert_eq!(expected["optimizer.state.parameters.embedding.exp_avg"].0, [7, 2]);
    for writers in [1, 2, 3, 5, 8] {
        let storage = Memory::new();
        run(&Strategy::fsdp(), writers, &storage, |fabric| {
            let mut state = Zero::new(fabric, 3);
            state.step();
            state.step();
            fabric.save(PATH, &state).expect("saved");
        });
        assert_eq!(read(&storage), expected, "{writers} ranks");
        for readers in [1, 2, 4] {
            run(&Strategy::fsdp(), readers, &storage, |fabric| {
                let mut state = Zero::new(fabric, 3);
                let loaded = fabric.load(PATH, &mut state).expect("any world");
                assert!(loaded.report.is_complete());
                // The next step is that of a run that was never interrupted.
                let mut other = Zero::new(fabric, 3);
                other.step();
                other.step();
                for (own, other) in state.parts.iter().zip(&other.parts) {
                    own.set(other.as_tensor()).expect("the same shape");
                }
                state.step();
                other.step();
                for (own, other) in state.parts.iter().zip(&other.parts) {
                    assert_eq!(
                        elements(own),
                        elements(other),
                        "{writers} to {readers}, rank {}",
                        fabric.rank()
                    );
                }
            });
        }
    }
}

#[test]
fn only_the_optimizer_is_restored_where_only_that_is_asked_for() {
    let storage = Memory::new();
    run(&Strategy::fsdp(), 3, &storage, |fabric| {
        fabric.save(PATH, &Zero::new(fabric, 3)).expect("saved");
    });
    run(&Strategy::fsdp(), 2, &storage, |fabric| {
        let mut state = Zero::new(fabric, 9);
        let only = LoadOptions::new().only(Zero::FIELDS.optimizer);
        let loaded = fabric.load_with(PATH, &mut state, only).expect("the optimizer");
        let left: Vec<String> = NAMES.iter().map(|name| format!("parameters.{name}")).collect();
        let mut found = loaded.remainder.names();
        found.sort_unstable_by_key(|name| left.iter().position(|left| left == name));
        assert_eq!(found, left);
        assert_eq!(elements(&state.parameters["bias"]), elements(&whole("bias", 9)));
    });
}
