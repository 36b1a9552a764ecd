use fabric_core::Checkpoint;

struct Opaque;

#[derive(Checkpoint)]
struct Wrapper<T> {
    inner: T,
}

#[derive(Checkpoint)]
struct TrainState {
    wrapped: Wrapper<Opaque>,
}

fn main() {}
