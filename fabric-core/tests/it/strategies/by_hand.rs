//! A tensor-parallel layer whose implementation is written by hand: `shard` and `per_rank` take effect as in a derived one.

use candle_core::Tensor;
use fabric_core::testing::Memory;
use fabric_core::{Checkpoint, Fabric, Strategy, Visitor, VisitorMut};

use super::world::{alone, along, numbers, part, run};

const PATH: &str = "run/last";

/// The rows of a matrix that this rank holds, and a number of its own.
struct Rows {
    weight: Tensor,
    seed: u64,
}

impl Rows {
    fn new(fabric: &Fabric, start: f32) -> Self {
        let along = along(fabric.strategy(), fabric.world_size(), fabric.rank(), "tp");
        Self {
            weight: part(&numbers(&[6, 2], start), 0, along),
            seed: 100 + fabric.rank() as u64,
        }
    }
}

impl Checkpoint for Rows {
    fn visit<'a>(&'a self, entries: &mut Visitor<'a>) {
        entries.field("weight").shard_over(0, "tp").tensor(&self.weight);
        entries.field("seed").per_rank().value(&self.seed);
    }

    fn visit_mut<'a>(&'a mut self, entries: &mut VisitorMut<'a>) {
        entries.field("weight").shard_over(0, "tp").tensor(&self.weight);
        entries.field("seed").per_rank().value(&mut self.seed);
    }
}

#[test]
fn parts_are_saved_as_one_tensor_and_given_back_to_their_ranks() {
    let storage = Memory::new();
    let strategy = Strategy::mesh([("tp", 2)]);
    run(&strategy, 2, &storage, |fabric| {
        fabric.save(PATH, &Rows::new(fabric, 1.)).expect("saved");
        let mut state = Rows::new(fabric, 500.);
        state.seed = 0;
        fabric.load(PATH, &mut state).expect("the same world");
        let expected = Rows::new(fabric, 1.);
        assert_eq!(
            state.weight.to_vec2::<f32>().unwrap(),
            expected.weight.to_vec2::<f32>().unwrap()
        );
        assert_eq!(state.seed, expected.seed);
    });
    let raw = alone(&storage).open(PATH).expect("a checkpoint");
    let whole = raw.tensor("weight", &candle_core::Device::Cpu).expect("all rows");
    assert_eq!(
        whole.to_vec2::<f32>().unwrap(),
        numbers(&[6, 2], 1.).to_vec2::<f32>().unwrap()
    );
}
