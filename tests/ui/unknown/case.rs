use fabric_core::Checkpoint;

#[derive(Checkpoint)]
#[checkpoint(rename_all = "Camel")]
struct Model {
    step: u64,
}

fn main() {}
