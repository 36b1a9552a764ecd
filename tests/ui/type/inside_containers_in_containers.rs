use std::collections::BTreeMap;

use fabric_core::Checkpoint;

struct Mlp;

#[derive(Checkpoint)]
struct TrainState {
    models: Option<BTreeMap<String, Box<[Mlp; 3]>>>,
}

fn main() {}
