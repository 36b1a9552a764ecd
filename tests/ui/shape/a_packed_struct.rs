use fabric_core::Checkpoint;

#[derive(Checkpoint)]
#[repr(C, packed)]
struct Header {
    step: u64,
}

fn main() {}
