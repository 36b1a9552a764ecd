use fabric_core::Checkpoint;
use fabric_core::candle_nn::kv_cache::KvCache;

#[derive(Checkpoint)]
struct TrainState {
    part: KvCache,
}

fn main() {}
