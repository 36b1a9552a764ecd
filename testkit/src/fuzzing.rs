//! What the fuzzer and the smoke test do with bytes from anywhere: open them as a checkpoint and read all that is in it.
//! Whatever the bytes are, the outcome is a typed error or a readable checkpoint; everything else is a finding.

pub mod mutation;
pub mod seeds;

use std::path::Path;
use std::sync::OnceLock;

use candle_core::{DType, Device, Tensor};
use fabric_core::storage::Storage;
use fabric_core::testing::Memory;
use fabric_core::{DiffOptions, Fabric, LoadOptions, RawCheckpoint};

use crate::delta::{sealed as sealed_delta, small};
use crate::files::{on, read, write};
use crate::zip::zip;

/// One kind of input.
pub struct Case {
    /// Its name: that of the fuzz target, and of the folder of its regressions.
    pub name: &'static str,
    /// Takes the bytes apart, and says whether they are a checkpoint.
    pub run: fn(&[u8]) -> bool,
}

/// Every kind there is.
pub const CASES: &[Case] = &[
    Case {
        name: "single_file",
        run: single_file,
    },
    Case {
        name: "torch",
        run: torch,
    },
    Case {
        name: "torch_pickle",
        run: torch_pickle,
    },
    Case {
        name: "manifest",
        run: manifest,
    },
    Case {
        name: "directory_manifest",
        run: directory_manifest,
    },
    Case {
        name: "hub_index",
        run: hub_index,
    },
    Case {
        name: "hub_shard",
        run: hub_shard,
    },
    Case {
        name: "dcp_metadata",
        run: dcp_metadata,
    },
    Case {
        name: "dcp_payload",
        run: dcp_payload,
    },
    Case {
        name: "delta",
        run: delta,
    },
];

/// A file of any format, as it stands.
pub fn single_file(bytes: &[u8]) -> bool {
    let memory = Memory::new();
    write(&memory, "input", bytes);
    open_and_read(&memory, "input")
}

/// A file of `torch.save`: the same, with other seeds, so that a fuzzer spends its time in these rooms.
pub fn torch(bytes: &[u8]) -> bool {
    single_file(bytes)
}

/// The pickle of a file of `torch.save`, in an archive whose checksums are right, beside storages of a few sizes.
pub fn torch_pickle(pickle: &[u8]) -> bool {
    let sizes = [128, 32, 32, 32, 96, 12, 64, 8, 24];
    let names: Vec<String> = (0..sizes.len()).map(|key| format!("data/{key}")).collect();
    let members = names
        .iter()
        .zip(sizes)
        .map(|(name, size)| (name.as_str(), &[0; 128][..size]));
    let members: Vec<(&str, &[u8])> = std::iter::once(("data.pkl", pickle)).chain(members).collect();
    single_file(&zip(&members))
}

/// The payloads of a manifest, in an envelope and a file whose checksums are right: the reader comes to the payloads.
pub fn manifest(payload: &[u8]) -> bool {
    let memory = Memory::new();
    write(&memory, "input", &around_payload(payload));
    open_and_read(&memory, "input")
}

/// The payloads of the manifest of a directory, in an envelope whose checksums are right, beside the files that belong to the seed.
pub fn directory_manifest(payload: &[u8]) -> bool {
    // A storage of its own: one that all executions share would remember every manifest.
    let memory = Memory::new();
    for (path, bytes) in &directory()[1..] {
        write(&memory, path, bytes);
    }
    write(&memory, DIRECTORY, &sealed(payload));
    open_and_read(&memory, "run")
}

/// The index of a hub directory, beside two files of weights and one of `torch.save`.
pub fn hub_index(json: &[u8]) -> bool {
    let memory = Memory::new();
    for (file, tensor) in [("model-1.safetensors", "a"), ("model-2.safetensors", "b")] {
        write(&memory, format!("hub/{file}"), &weights(tensor));
    }
    write(
        &memory,
        "hub/model-3.bin",
        include_bytes!("../../tests/fixtures/pytorch/mlp_plain_dict.pt"),
    );
    write(&memory, "hub/model.safetensors.index.json", json);
    open_and_read(&memory, "hub/model.safetensors.index.json")
}

/// One of two shards of PyTorch's Hugging Face writer, beside the other.
pub fn hub_shard(shard: &[u8]) -> bool {
    let memory = Memory::new();
    let first = include_bytes!("../../tests/fixtures/pytorch/hf_fsdp2/shard-00001-model-00001-of-00001.safetensors");
    write(&memory, "hub/shard-00001-model-00001-of-00001.safetensors", first);
    write(&memory, "hub/shard-00002-model-00001-of-00001.safetensors", shard);
    open_and_read(&memory, "hub")
}

/// The index of a distributed checkpoint, beside the files that PyTorch wrote with it.
pub fn dcp_metadata(pickle: &[u8]) -> bool {
    dcp(
        pickle,
        include_bytes!("../../tests/fixtures/pytorch/dcp_fsdp2/__1_0.distcp"),
    )
}

/// A file of payloads of a distributed checkpoint, beside the others that PyTorch wrote with it.
pub fn dcp_payload(payloads: &[u8]) -> bool {
    dcp(
        include_bytes!("../../tests/fixtures/pytorch/dcp_fsdp2/.metadata"),
        payloads,
    )
}

fn dcp(metadata: &[u8], payloads: &[u8]) -> bool {
    let memory = Memory::new();
    write(&memory, "dcp/.metadata", metadata);
    let first = include_bytes!("../../tests/fixtures/pytorch/dcp_fsdp2/__0_0.distcp");
    write(&memory, "dcp/__0_0.distcp", first);
    write(&memory, "dcp/__1_0.distcp", payloads);
    open_and_read(&memory, "dcp")
}

/// A delta whose checksums are made right, beside its base. True if it makes a file of weights.
pub fn delta(bytes: &[u8]) -> bool {
    let memory = Memory::new();
    write(&memory, "base/a.safetensors", &small().0);
    write(&memory, "delta/a", &sealed_delta(bytes.to_vec()));
    let fabric = Fabric::builder().storage(memory.clone()).read_limit(16 << 20).build();
    let fabric = fabric.expect("one device");
    let applied = fabric.apply_delta("base/a.safetensors", "delta/a", "made/a.safetensors");
    applied.is_ok() && fabric.open("made/a.safetensors").is_ok()
}

/// Opens a path, reads every entry, and loads what fits into a small state.
fn open_and_read(memory: &Memory, path: &str) -> bool {
    let fabric = Fabric::builder().storage(memory.clone()).read_limit(16 << 20).build();
    let Ok(raw) = fabric.expect("one device").open(path) else {
        return false;
    };
    read_all(&raw);
    let mut tensor = Tensor::zeros((2, 2), DType::F32, &Device::Cpu).expect("memory");
    let _ = raw.load_raw_with(&mut tensor, LoadOptions::new().strict(false).cast(true));
    let mut state = std::collections::BTreeMap::from([("a".to_owned(), tensor)]);
    let _ = raw.load_with(&mut state, LoadOptions::new().strict(false).verify_first(true));
    true
}

fn read_all(raw: &RawCheckpoint) {
    let _ = (raw.description(), raw.ties(), raw.optimizers(), raw.matching(&["*a*"]));
    let _ = raw.tensors(&Device::Cpu);
    // A file may name one run of bytes a million times: the sizes add up, the reading need not.
    let mut left = 1 << 24;
    for name in raw.names() {
        match raw.info(name).and_then(fabric_core::TensorInfo::byte_len) {
            Some(len) if len > left => break,
            Some(len) => {
                left -= len;
                let _ = raw.tensor(name, &Device::Cpu);
                // The same bytes again: those of small tensors suffice.
                let _ = (len <= 1 << 12).then(|| raw.statistics(name));
            }
            None => {
                if let Ok(value) = raw.stored_value(name) {
                    let _ = (value.decode::<serde_json::Value>(), value.json().to_string());
                }
            }
        }
    }
    let _ = raw.subtree("a").names();
    // With itself, and with a checkpoint that shares a name with most seeds.
    for (first, second) in [(raw, raw), (raw, other()), (other(), raw)] {
        let _ = first.diff(second, DiffOptions::new());
    }
}

/// A checkpoint to compare with.
fn other() -> &'static RawCheckpoint {
    static OTHER: OnceLock<RawCheckpoint> = OnceLock::new();
    OTHER.get_or_init(|| {
        let memory = Memory::new();
        write(&memory, "other", &weights("a"));
        on(memory).open("other").expect("a file of weights")
    })
}

/// A safetensors file with one tensor.
pub fn weights(name: &str) -> Vec<u8> {
    let json = format!(r#"{{"{name}":{{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}}}"#);
    [&(json.len() as u64).to_le_bytes()[..], json.as_bytes(), &[0; 8]].concat()
}

/// A small checkpoint with a tie and two values.
pub fn checkpoint() -> &'static [u8] {
    static CHECKPOINT: OnceLock<Vec<u8>> = OnceLock::new();
    CHECKPOINT.get_or_init(|| {
        let tensor = Tensor::new(&[[1f32, 2.], [3., 4.]], &Device::Cpu).expect("memory");
        let state = ((tensor.clone(), tensor), ("text".to_owned(), vec![1u64, 2]));
        let memory = Memory::new();
        let fabric = on(memory.clone());
        fabric.save("seed", &state).expect("memory");
        read(&memory, "seed")
    })
}

/// The payloads of the checkpoint's manifest, which is the last thing in the file.
pub fn payload() -> Vec<u8> {
    opened(&checkpoint()[manifest_start()..])
}

const DIRECTORY: &str = "run/manifest.fabric";

/// The files of a small checkpoint of two ranks, the manifest first.
fn directory() -> &'static [(String, Vec<u8>)] {
    static FILES: OnceLock<Vec<(String, Vec<u8>)>> = OnceLock::new();
    FILES.get_or_init(|| {
        let memory = Memory::new();
        write(&memory, "one.ckpt", checkpoint());
        let fabric = on(memory.clone());
        let strategy = fabric_core::Strategy::fsdp().ranks(2);
        fabric.reshard("one.ckpt", "run", strategy).expect("memory");
        let mut files = vec![(DIRECTORY.to_owned(), read(&memory, DIRECTORY))];
        for folder in memory.list(Path::new("run")).expect("it was saved") {
            let folder = format!("run/{folder}");
            for name in memory.list(Path::new(&folder)).unwrap_or_default() {
                let path = format!("{folder}/{name}");
                files.push((path.clone(), read(&memory, &path)));
            }
        }
        files
    })
}

/// The payloads of its manifest.
pub fn directory_payload() -> Vec<u8> {
    opened(&directory()[0].1)
}

/// The payloads of a manifest as one input: the length of the head in two bytes, the head, the body.
fn opened(manifest: &[u8]) -> Vec<u8> {
    let len = u64::from_le_bytes(*manifest[12..].first_chunk().expect("the length of the head"));
    let len = u16::try_from(len).expect("a short head");
    let (head, rest) = manifest[28..].split_at(len.into());
    [&len.to_le_bytes()[..], head, &rest[8..rest.len() - 8]].concat()
}

const MAGIC: &[u8; 8] = b"\x89FABRIC\n";

fn manifest_start() -> usize {
    checkpoint()
        .windows(8)
        .rposition(|eight| eight == MAGIC)
        .expect("a manifest")
}

/// [Payloads](opened) in an envelope of version 1.0.
fn sealed(payloads: &[u8]) -> Vec<u8> {
    let (len, payloads) = payloads.split_first_chunk::<2>().unwrap_or((&[0; 2], &[]));
    let (head, body) = payloads.split_at(usize::from(u16::from_le_bytes(*len)).min(payloads.len()));
    let mut bytes = MAGIC.to_vec();
    bytes.extend([1, 0, 0, 0]);
    bytes.extend((head.len() as u64).to_le_bytes());
    bytes.extend((body.len() as u64).to_le_bytes());
    for payload in [head, body] {
        bytes.extend(payload);
        let sum = crc_fast::checksum(crc_fast::CrcAlgorithm::Crc64Nvme, &bytes);
        bytes.extend(sum.to_le_bytes());
    }
    bytes
}

/// The checkpoint with other payloads, its checksums made right; `docs/format.md` describes the envelope.
fn around_payload(payload: &[u8]) -> Vec<u8> {
    let (checkpoint, start) = (checkpoint(), manifest_start());
    let manifest = sealed(payload);
    let header = usize::try_from(u64::from_le_bytes(*checkpoint.first_chunk().expect("a header"))).expect("small");
    let json = std::str::from_utf8(&checkpoint[8..8 + header]).expect("JSON");
    let tensors = start - 8 - header;
    let place = |len: usize| format!("[{len}],\"data_offsets\":[{tensors},{}]", tensors + len);
    let patched = json.replace(&place(checkpoint.len() - start), &place(manifest.len()));
    let padded = format!("{:<header$}", patched.trim_end());
    [
        &(padded.len() as u64).to_le_bytes(),
        padded.as_bytes(),
        &checkpoint[8 + header..start],
        &manifest,
    ]
    .concat()
}
