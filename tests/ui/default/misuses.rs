use fabric_core::Checkpoint;

fn of_another_type() -> String {
    String::new()
}

#[derive(Checkpoint)]
struct State {
    #[checkpoint(default = 3)]
    literal: u64,
    #[checkpoint(default(3))]
    list: u64,
    #[checkpoint(default, optional)]
    both: u64,
    #[checkpoint(default, skip)]
    skipped: u64,
}

#[derive(Checkpoint)]
struct Typed {
    #[checkpoint(default = of_another_type)]
    step: u64,
}

fn main() {}
