use fabric_core::Checkpoint;

#[derive(Checkpoint)]
enum Phase {
    Warmup,
    Training,
}

fn main() {}
