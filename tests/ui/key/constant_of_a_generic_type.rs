use fabric_core::Checkpoint;

#[derive(Checkpoint)]
struct Holder<T> {
    #[checkpoint(rename = Self::KEY)]
    part: T,
}

impl<T> Holder<T> {
    const KEY: &'static str = "layer";
}

fn main() {}
