use fabric_core::Checkpoint;

#[derive(serde::Serialize, serde::Deserialize)]
struct Names<'a> {
    model: &'a str,
}

#[derive(Checkpoint)]
struct TrainState<'a> {
    step: u64,
    #[checkpoint(metadata)]
    names: Names<'a>,
}

fn main() {}
