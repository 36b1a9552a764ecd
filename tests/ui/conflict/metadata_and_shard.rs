use fabric_core::Checkpoint;

#[derive(Checkpoint)]
struct Model {
    #[checkpoint(metadata, shard(dim = 0))]
    layer: Vec<String>,
}

fn main() {}
