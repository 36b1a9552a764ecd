use fabric_core::Checkpoint;

#[derive(Checkpoint)]
struct Model {
    __fabric__: u64,
}

fn main() {}
