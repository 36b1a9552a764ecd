use fabric_core::Checkpoint;

#[derive(Checkpoint)]
struct TrainState {
    iteration: u64,
    #[checkpoint(skip)]
    device: String,
}

const DEVICE: fabric_core::Field<TrainState, String> = TrainState::FIELDS.device;

fn main() {}
