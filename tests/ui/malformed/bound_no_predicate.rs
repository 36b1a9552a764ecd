use fabric_core::Checkpoint;

#[derive(Checkpoint)]
#[checkpoint(bound = "T Foo")]
struct Model<T> {
    inner: T,
}

fn main() {}
