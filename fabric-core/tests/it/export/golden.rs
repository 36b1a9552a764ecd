//! Exported files that PyTorch itself has read: `tests/peers/check_export.py` loads them with
//! `torch.load(weights_only=True)`, into modules and optimizers, and takes a step. What it has verified is kept here as
//! checksums, so that these tests need no Python, and a change of the bytes is noticed and verified again:
//!
//! ```text
//! KEEP_EXPORTS=/tmp/exports cargo test --workspace --test it golden
//! python tests/peers/check_export.py /tmp/exports
//! ```

use std::path::Path;

use fabric_core::storage::Storage;
use fabric_core::testing::Memory;
use fabric_core::{Checkpoint, ExportOptions, Fabric};

use safetensors::Dtype;
use safetensors::tensor::{TensorView, serialize};

use super::states::{every_dtype, with_adamw, with_sgd};
use super::torch_files::{bytes, saved};

/// A checkpoint whose exports are compared, one after the other; all of them are written before anything fails.
struct Exports {
    fabric: Fabric,
    memory: Memory,
    found: Vec<(String, u64)>,
}

impl Exports {
    fn of<S: Checkpoint>(state: &S) -> Self {
        let (fabric, memory) = saved(state);
        Self {
            fabric,
            memory,
            found: Vec::new(),
        }
    }

    /// Of what lies there already.
    fn over(memory: Memory) -> Self {
        let fabric = Fabric::builder().storage(memory.clone()).build().unwrap();
        Self {
            fabric,
            memory,
            found: Vec::new(),
        }
    }

    fn export(mut self, name: &str, options: ExportOptions) -> Self {
        self.fabric.export("run/last.ckpt", name, options).unwrap();
        let bytes = bytes(&self.memory, name);
        if let Some(directory) = std::env::var_os("KEEP_EXPORTS") {
            std::fs::create_dir_all(&directory).unwrap();
            std::fs::write(Path::new(&directory).join(name), &bytes).unwrap();
        }
        let sum = crc_fast::checksum(crc_fast::CrcAlgorithm::Crc64Nvme, &bytes);
        self.found.push((name.to_owned(), sum));
        self
    }

    fn both(self, name: &str) -> Self {
        self.export(&format!("{name}.safetensors"), ExportOptions::new())
            .export(&format!("{name}.pt"), ExportOptions::new())
    }
}

fn check(found: &[Exports], expected: &[(&str, u64)]) {
    let line = |name: &str, sum: u64| format!("{name} {sum:#018x}\n");
    let found: String = found
        .iter()
        .flat_map(|exports| &exports.found)
        .map(|(name, sum)| line(name, *sum))
        .collect();
    let expected: String = expected.iter().map(|(name, sum)| line(name, *sum)).collect();
    assert_eq!(found, expected, "have tests/peers/check_export.py look at the files");
}

#[test]
fn golden_adamw_and_its_next_step() {
    let mut state = with_adamw();
    let now = Exports::of(&state)
        .both("adamw")
        .export("adamw_model.pt", ExportOptions::new().subtree("model"))
        .export("adamw_named.pt", ExportOptions::new().parameter_names(true));
    state.step(3);
    let after = Exports::of(&state).both("adamw_after");
    check(
        &[now, after],
        &[
            ("adamw.safetensors", 0x8b9f_90b5_ece1_6cc3),
            ("adamw.pt", 0x4c81_5846_72a6_883f),
            ("adamw_model.pt", 0xa371_6fc4_f64f_cc03),
            ("adamw_named.pt", 0x00ad_77e4_9bd3_1902),
            ("adamw_after.safetensors", 0xb7c2_b98b_6539_1685),
            ("adamw_after.pt", 0x0dec_835c_2c0b_b135),
        ],
    );
}

#[test]
fn golden_sgd_and_its_next_step() {
    let mut found = Vec::new();
    for (momentum, name) in [(0.9, "sgd_momentum"), (0., "sgd_plain")] {
        let mut state = with_sgd(momentum);
        found.push(Exports::of(&state).both(name));
        state.step(3);
        found.push(Exports::of(&state).both(&format!("{name}_after")));
    }
    check(
        &found,
        &[
            ("sgd_momentum.safetensors", 0xa2d0_421a_d6a8_7d04),
            ("sgd_momentum.pt", 0x807e_0cf2_9363_4e23),
            ("sgd_momentum_after.safetensors", 0xd6b2_6f92_ea99_cd48),
            ("sgd_momentum_after.pt", 0xf828_3ff5_d2c3_37e7),
            ("sgd_plain.safetensors", 0x8e43_0b3e_105b_8c68),
            ("sgd_plain.pt", 0x8db1_45a0_c8ec_5448),
            ("sgd_plain_after.safetensors", 0x2f05_f585_b26e_4368),
            ("sgd_plain_after.pt", 0x745d_9783_d3ac_211d),
        ],
    );
}

#[test]
fn golden_element_types() {
    check(
        &[Exports::of(&every_dtype()).both("dtypes")],
        &[
            ("dtypes.safetensors", 0xa6c5_965b_2029_841b),
            ("dtypes.pt", 0xbb3a_13ab_b776_7fc2),
        ],
    );
}

/// Twelve bytes of each element type that candle lacks and PyTorch has, in somebody else's file.
#[test]
fn golden_element_types_that_only_files_have() {
    let types = [
        ("bool", Dtype::BOOL),
        ("i8", Dtype::I8),
        ("u16", Dtype::U16),
        ("u64", Dtype::U64),
        ("f8_e5m2", Dtype::F8_E5M2),
        ("f8_e8m0", Dtype::F8_E8M0),
        ("c64", Dtype::C64),
        ("f8_e4m3fnuz", Dtype::F8_E4M3FNUZ),
        ("f8_e5m2fnuz", Dtype::F8_E5M2FNUZ),
    ];
    let bytes: Vec<u8> = (0..16).map(|n| n % 2).collect();
    let views = types.map(|(name, dtype)| {
        let shape = vec![2, 64 / dtype.bitsize()];
        (name, TensorView::new(dtype, shape, &bytes).unwrap())
    });
    let memory = Memory::new();
    memory.create_dir_all(Path::new("run")).unwrap();
    let mut file = memory.create(Path::new("run/last.ckpt")).unwrap();
    file.write_all(&serialize(views, None).unwrap()).unwrap();
    check(
        &[Exports::over(memory).both("more_dtypes")],
        &[
            ("more_dtypes.safetensors", 0xb2da_e2a2_6e9d_8c72),
            ("more_dtypes.pt", 0x3e89_0782_cf88_65d7),
        ],
    );
}

/// The tensors of several ranks, put together on the way.
#[test]
fn golden_shards() {
    let memory = Memory::new();
    memory.create_dir_all(Path::new("run/last.ckpt")).unwrap();
    let shards = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/pytorch/hf_hsdp4");
    for shard in std::fs::read_dir(shards).unwrap() {
        let shard = shard.unwrap();
        let mut file = memory
            .create(&Path::new("run/last.ckpt").join(shard.file_name()))
            .unwrap();
        file.write_all(&std::fs::read(shard.path()).unwrap()).unwrap();
    }
    check(
        &[Exports::over(memory).both("shards")],
        &[
            ("shards.safetensors", 0x2f01_7a9d_bdad_2932),
            ("shards.pt", 0xc3f6_e37f_4101_f8b4),
        ],
    );
}
