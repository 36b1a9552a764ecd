//! Whole weights of other programs, loaded into parts.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use candle_core::{Device, Tensor, Var};
use candle_nn::{Linear, ParamsAdamW};
use fabric_core::group::ThreadGroup;
use fabric_core::optim::AdamW;
use fabric_core::storage::{Local, Storage};
use fabric_core::{Checkpoint, Fabric, LoadOptions, Result, Strategy};

use super::files::{Files, holding};
use super::train::elements;
use super::world::{along, part, run_over};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../tests/fixtures/pytorch")
        .join(name)
}

fn expected(name: &str) -> HashMap<String, Tensor> {
    candle_core::safetensors::load(fixture(&format!("{name}.expected.safetensors")), &Device::Cpu).expect("a fixture")
}

/// A layer split along its outputs, and one along its inputs.
#[derive(Checkpoint)]
struct Parallel {
    #[checkpoint(shard(dim = 0, axis = "tp"))]
    fc1: Linear,
    #[checkpoint(shard(dim = 1, axis = "tp"))]
    fc2: Linear,
}

#[derive(Checkpoint)]
struct Train {
    model: Parallel,
    optimizer: AdamW,
}

/// The dimension that an entry is cut along.
fn cut(name: &str) -> Option<usize> {
    match name {
        name if name.contains("fc1.") => Some(0),
        name if name.contains("fc2.weight") => Some(1),
        _ => None,
    }
}

fn held(fabric: &Fabric, name: &str, whole: &Tensor) -> Tensor {
    let along = along(fabric.strategy(), fabric.world_size(), fabric.rank(), "tp");
    match cut(name).filter(|dim| *dim < whole.rank()) {
        Some(dim) => part(whole, dim, along),
        None => whole.clone(),
    }
}

impl Train {
    /// Zeros in the shapes that this rank holds of the tensors of a file, which are called after `prefix`.
    fn zeros(fabric: &Fabric, whole: &HashMap<String, Tensor>, prefix: &str) -> Self {
        let mut vars = Vec::new();
        let mut zeros = |name: &str| {
            let part = held(fabric, name, &whole[&format!("{prefix}{name}")]);
            let var = Var::from_tensor(&part.zeros_like().expect("zeros")).expect("a variable");
            vars.push(var.clone());
            var.into_inner()
        };
        let mut layer =
            |name: &str| Linear::new(zeros(&format!("{name}.weight")), Some(zeros(&format!("{name}.bias"))));
        let (fc1, fc2) = (layer("fc1"), layer("fc2"));
        Self {
            model: Parallel { fc1, fc2 },
            optimizer: AdamW::from_named(vars.into_iter().map(|var| (String::new(), var)), ParamsAdamW::default())
                .expect("an optimizer"),
        }
    }

    fn tensors(&self) -> [(&'static str, &Tensor); 4] {
        [
            ("fc1.weight", self.model.fc1.weight()),
            ("fc1.bias", self.model.fc1.bias().expect("a bias")),
            ("fc2.weight", self.model.fc2.weight()),
            ("fc2.bias", self.model.fc2.bias().expect("a bias")),
        ]
    }
}

fn worlds() -> Vec<(Strategy, usize)> {
    let mut worlds = vec![
        (Strategy::ddp(), 2),
        (Strategy::single_device(), 1),
        (Strategy::fsdp(), 3),
    ];
    worlds.extend([1, 2, 3, 5, 9].map(|size| (Strategy::mesh([("tp", size)]), size)));
    worlds.push((Strategy::mesh([("dp", 2), ("tp", 2)]).shard_axis("dp"), 4));
    worlds
}

fn on_all(strategy: &Strategy, ranks: usize, storage: impl Storage + Clone + 'static, work: impl Fn(&Fabric) + Sync) {
    for ended in run_over(strategy, &vec![storage; ranks], ThreadGroup::TIMEOUT, work) {
        ended.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    }
}

fn load_weights(fabric: &Fabric, path: &Path, state: &mut Train, verify: bool) -> Result<Vec<String>> {
    let options = LoadOptions::new().strict(false).verify_first(verify);
    let loaded = fabric.load_raw_with(path, &mut state.model, options)?;
    Ok(loaded.remainder.names().iter().map(ToString::to_string).collect())
}

#[test]
fn full_weights_of_every_container_load_into_parts() {
    for file in ["mlp.pt", "mlp_legacy.pt", "mlp_plain_dict.pt", "hub_sharded"] {
        let whole = expected(file);
        for (strategy, ranks) in worlds() {
            on_all(&strategy, ranks, Local::new(), |fabric| {
                let mut state = Train::zeros(fabric, &whole, "");
                let remainder = load_weights(fabric, &fixture(file), &mut state, false).expect("weights");
                assert_eq!(remainder, ["norm.bias", "norm.weight"], "{file}");
                for (name, tensor) in state.tensors() {
                    let part = held(fabric, name, &whole[name]);
                    assert_eq!(
                        elements(tensor),
                        elements(&part),
                        "{file}: {name}, {strategy:?}, rank {}",
                        fabric.rank()
                    );
                }
            });
        }
    }
}

#[test]
fn whole_states_of_distributed_checkpoints_load_into_parts_with_the_optimizer() {
    for file in ["dcp_fsdp2", "dcp_hsdp4"] {
        let whole = expected(file);
        for (strategy, ranks) in worlds() {
            let directory = tempfile::tempdir().expect("a directory");
            let again = directory.path().join("again");
            on_all(&strategy, ranks, Local::new(), |fabric| {
                let mut state = Train::zeros(fabric, &whole, "model.");
                let loaded = fabric.load(fixture(file), &mut state).expect("a state");
                assert!(loaded.report.is_complete(), "{}", loaded.report);
                for (name, tensor) in state.tensors() {
                    let part = held(fabric, name, &whole[&format!("model.{name}")]);
                    let when = format!("{file}: {name}, {strategy:?}, rank {}", fabric.rank());
                    assert_eq!(elements(tensor), elements(&part), "{when}");
                }
                fabric.save(&again, &state).expect("saved");
            });
            // Saved by these ranks, the moments are those of the file, whole again.
            let raw = Fabric::new().open(&again).expect("a checkpoint");
            let moments = raw.names().into_iter().filter(|name| name.contains("exp_avg"));
            let compared = moments.map(|name| {
                let stored = &whole[&name.replace("optimizer.state.model.", "optimizer.state.")];
                let moment = raw.tensor(name, &Device::Cpu).expect("a moment");
                assert_eq!(
                    (moment.dims(), elements(&moment)),
                    (stored.dims(), elements(stored)),
                    "{name}"
                );
            });
            assert_eq!(compared.count(), 8);
        }
    }
}

/// The CRC-32 of a member covers what no rank reads alone.
#[test]
fn a_flipped_bit_in_weights_of_pytorch_is_an_error_on_every_rank() {
    let whole = expected("mlp.pt");
    let good = std::fs::read(fixture("mlp.pt")).expect("a fixture");
    let weight = elements(&whole["fc1.weight"]);
    #[allow(clippy::cast_possible_truncation, reason = "they were f32")]
    let first: Vec<u8> = weight[..2]
        .iter()
        .flat_map(|number| (*number as f32).to_le_bytes())
        .collect();
    let at = good
        .windows(first.len())
        .position(|window| window == first)
        .expect("the weight is in the file");
    for (byte, verify) in [(at, false), (at + 40, false), (at + 127, false), (at + 64, true)] {
        let mut damaged = good.clone();
        damaged[byte] ^= 4;
        let storage = holding(&Files::from([(PathBuf::from("weights/mlp.pt"), damaged)]));
        for ranks in [1, 2, 3, 5] {
            on_all(&Strategy::mesh([("tp", ranks)]), ranks, storage.clone(), |fabric| {
                let mut state = Train::zeros(fabric, &whole, "");
                let error = load_weights(fabric, Path::new("weights/mlp.pt"), &mut state, verify);
                let error = error.expect_err("damage").to_string();
                assert!(
                    error.contains("mlp.pt") && error.contains("fc1.weight"),
                    "{ranks} ranks: {error}"
                );
                if verify {
                    assert!(
                        state
                            .tensors()
                            .iter()
                            .all(|(_, tensor)| elements(tensor).iter().all(|n| *n == 0.))
                    );
                }
            });
        }
    }
}
