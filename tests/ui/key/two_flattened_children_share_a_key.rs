use fabric_core::Checkpoint;

#[derive(Checkpoint)]
struct Train {
    #[checkpoint(rename = "steps")]
    step: u64,
}

#[derive(Checkpoint)]
struct Validation {
    steps: u64,
}

#[derive(Checkpoint)]
struct Progress {
    #[checkpoint(flatten)]
    train: Option<Train>,
    #[checkpoint(flatten)]
    validation: Validation,
}

fn main() {}
