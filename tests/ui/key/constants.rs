use fabric_core::Checkpoint;

const MODEL: &str = "model";
const NESTED: &str = "a.b";
const EMPTY: &str = "";

#[derive(Checkpoint)]
struct State {
    #[checkpoint(rename = MODEL)]
    a: u64,
    model: u64,
    #[checkpoint(alias = NESTED)]
    b: u64,
    #[checkpoint(rename = EMPTY)]
    c: u64,
}

fn main() {}
