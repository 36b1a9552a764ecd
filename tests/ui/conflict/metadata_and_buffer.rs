use fabric_core::Checkpoint;

#[derive(Checkpoint)]
struct Model {
    #[checkpoint(metadata, buffer)]
    layer: Vec<String>,
}

fn main() {}
