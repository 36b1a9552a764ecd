use fabric_core::Checkpoint;

#[derive(Checkpoint)]
struct TrainState<'a> {
    #[checkpoint(metadata)]
    name: Box<&'a str>,
}

fn main() {}
