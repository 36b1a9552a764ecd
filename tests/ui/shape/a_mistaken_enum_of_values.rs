// The enum has one mistake, and its uses as a key, in a set and with a default have none.
use std::collections::{BTreeMap, BTreeSet};

use fabric_core::Checkpoint;

#[derive(Checkpoint, PartialEq, Eq, PartialOrd, Ord, Default)]
enum Phase {
    #[default]
    #[checkpoint(raname = "w")]
    Warmup,
    Main,
}

#[derive(Checkpoint, PartialEq, Eq, PartialOrd, Ord)]
struct Id(#[checkpoint(fliter = "a")] u32);

#[derive(Checkpoint)]
struct State {
    heads: BTreeMap<Phase, u64>,
    seen: BTreeSet<Phase>,
    ids: BTreeSet<Id>,
    #[checkpoint(default)]
    phase: Phase,
}

fn main() {
    fabric_core::named_parameters(&BTreeMap::<Phase, u64>::new());
}
