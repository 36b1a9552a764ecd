use fabric_core::LoadOptions;

mod state {
    #[derive(fabric_core::Checkpoint)]
    pub struct TrainState {
        pub iteration: u64,
        progress: u64,
    }
}

fn main() {
    let _ = LoadOptions::new().only(state::TrainState::FIELDS.iteration);
    let _ = LoadOptions::new().only(state::TrainState::FIELDS.progress);
}
