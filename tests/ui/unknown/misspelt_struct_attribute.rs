use fabric_core::Checkpoint;

#[derive(Checkpoint)]
#[checkpoint(rename_al = "camelCase")]
struct Model {
    step: u64,
}

fn main() {}
