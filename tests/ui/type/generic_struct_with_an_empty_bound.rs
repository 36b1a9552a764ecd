use fabric_core::Checkpoint;

#[derive(Checkpoint)]
#[checkpoint(bound = "")]
struct Wrapper<T> {
    inner: T,
}

fn main() {}
