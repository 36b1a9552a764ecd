use fabric_core::Checkpoint;

#[derive(Checkpoint)]
struct Model {
    #[checkpoint(metadata, filter = "weight")]
    layer: Vec<String>,
}

fn main() {}
