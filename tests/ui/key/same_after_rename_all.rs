use fabric_core::Checkpoint;

#[allow(non_snake_case)]
#[derive(Checkpoint)]
#[checkpoint(rename_all = "snake_case")]
struct Model {
    fooBar: u64,
    foo_bar: u64,
}

fn main() {}
