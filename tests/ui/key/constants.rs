use fabric_core::Checkpoint;

const MODEL: &str = "model";
const NESTED: &str = "a.b";
const EMPTY: &str = "";
const NO_PATH: &str = "a..b";

#[derive(Checkpoint)]
struct State {
    #[checkpoint(rename = MODEL)]
    a: u64,
    model: u64,
    #[checkpoint(rename = NESTED, alias = NO_PATH)]
    b: u64,
    #[checkpoint(rename = EMPTY)]
    c: u64,
}

fn main() {}
