use fabric_core::Checkpoint;

#[derive(Checkpoint)]
struct Handles {
    #[checkpoint(skip)]
    device: String,
}

fn main() {}
