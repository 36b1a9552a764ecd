#[derive(Checkpoint)]
struct Counters {
    step: u64,
    epoch: u64,
}

#[derive(Checkpoint)]
struct Losses {
    last: f32,
    history: Vec<f32>,
}

#[derive(Checkpoint)]
struct Run {
    name: String,
    #[checkpoint(flatten)]
    counters: Counters,
    #[checkpoint(flatten)]
    losses: Losses,
}
