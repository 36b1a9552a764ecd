use fabric_core::Checkpoint;

#[derive(Checkpoint)]
struct Model {
    #[checkpoint(metadata, flatten)]
    layer: Vec<String>,
}

fn main() {}
