use fabric_core::Checkpoint;
use fabric_core::candle_nn::Linear;

const RECORD: &str = "variant";
const OLD_RECORD: &str = "variant";
const LONG: &str = concat_long();

const fn concat_long() -> &'static str {
    const BYTES: [u8; 4097] = [b'x'; 4097];
    match std::str::from_utf8(&BYTES) {
        Ok(text) => text,
        Err(_) => "",
    }
}

#[derive(Checkpoint)]
enum Model {
    Dense {
        #[checkpoint(rename = RECORD)]
        inner: Linear,
    },
    Sparse {
        #[checkpoint(alias = OLD_RECORD)]
        inner: Linear,
    },
    Mixed {
        #[checkpoint(rename = LONG)]
        inner: Linear,
    },
}

fn main() {}
