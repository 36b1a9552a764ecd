use fabric_core::Checkpoint;

#[derive(Checkpoint)]
enum Phase {
    #[checkpoint(rename = "main")]
    Warmup,
    #[checkpoint(alias = "main")]
    Training,
    #[checkpoint(skip)]
    Rest,
    #[checkpoint(filter = "weight")]
    Other,
}

fn main() {}
