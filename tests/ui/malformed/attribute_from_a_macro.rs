use fabric_core::Checkpoint;

macro_rules! schema {
    ($name:ident, $key:literal) => {
        #[derive(Checkpoint)]
        struct $name {
            #[checkpoint(rename = $key)]
            step: u64,
        }
    };
}

schema!(Model, 3);

fn main() {}
