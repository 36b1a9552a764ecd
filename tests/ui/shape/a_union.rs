use fabric_core::Checkpoint;

#[derive(Checkpoint)]
union Bits {
    float: f32,
    integer: u32,
}

fn main() {}
