//! Deltas with right checksums, whatever else is in them; `docs/format.md` describes them in section 8.

use std::sync::OnceLock;

use candle_core::{Device, Tensor};
use fabric_core::testing::Memory;
use fabric_core::{DeltaOptions, ExportOptions};

use crate::files::{on, read};

/// The bytes before the head.
const PREFIX: usize = 20;

/// The bytes of a frame before its payload.
const FRAME: usize = 21;

/// The delta with right checksums behind its head and its frames.
pub fn sealed(mut delta: Vec<u8>) -> Vec<u8> {
    let mut sum = crc_fast::Digest::new(crc_fast::CrcAlgorithm::Crc64Nvme);
    let number = |bytes: &[u8]| {
        bytes
            .iter()
            .rev()
            .fold(0usize, |all, byte| all << 8 | usize::from(*byte))
    };
    let mut start = 0;
    let mut end = delta
        .get(12..PREFIX)
        .map_or(usize::MAX, |head| number(head).saturating_add(PREFIX));
    while end <= delta.len() && delta.len() - end >= 8 {
        sum.update(&delta[start..end]);
        delta[end..end + 8].copy_from_slice(&sum.finalize().to_le_bytes());
        start = end + 8;
        end = delta
            .get(start + 1..start + 5)
            .map_or(usize::MAX, |len| start + FRAME + number(len));
    }
    delta
}

/// A small base, and a delta against it.
pub fn small() -> &'static (Vec<u8>, Vec<u8>) {
    static FILES: OnceLock<(Vec<u8>, Vec<u8>)> = OnceLock::new();
    FILES.get_or_init(|| {
        let tensor = |by: f64| {
            let start = Tensor::arange(0f32, 300., &Device::Cpu).expect("memory");
            start.sin().and_then(|sin| start + (sin * by)?).expect("memory")
        };
        let memory = Memory::new();
        let fabric = on(memory.clone());
        fabric.save("1.ckpt", &vec![tensor(0.), tensor(1.)]).expect("memory");
        let new = vec![tensor(0.001), tensor(1.), tensor(2.)];
        fabric.save("2.ckpt", &new).expect("memory");
        fabric
            .export("1.ckpt", "base.safetensors", ExportOptions::new())
            .expect("memory");
        let made = fabric.export_delta("2.ckpt", "base.safetensors", "delta", DeltaOptions::new());
        made.expect("memory");
        (read(&memory, "base.safetensors"), read(&memory, "delta"))
    })
}
