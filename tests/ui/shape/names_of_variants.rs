use fabric_core::Checkpoint;

#[derive(Checkpoint)]
enum Phase {
    #[checkpoint(rename = "main")]
    Warmup,
    #[checkpoint(alias = "main", alias = "a.b")]
    Training,
    #[checkpoint(skip)]
    Rest,
    #[checkpoint(filter = "weight")]
    Other,
}

fn main() {}
