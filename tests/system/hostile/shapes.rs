//! Shapes that no tensor has: candle multiplies dimensions in either order, so a 0 among them makes nothing smaller.

use candle_core::{DType, Device, Tensor};
use fabric_core::storage::Storage;
use fabric_core::{Checkpoint, Error, Strategy};
use testkit::dcp::Made;
use testkit::files::{on, open, storage};
use testkit::pickle::text;
use testkit::torch::{safetensors, stream, tensor, torch};

const HUGE: usize = 1 << 63;

/// Shapes whose product overflows if it is taken from the left, from the right, or without the zeros.
const IMPOSSIBLE: &[&[usize]] = &[
    &[0, HUGE, HUGE],
    &[HUGE, 0, HUGE],
    &[HUGE, HUGE, 0],
    &[HUGE, 2, 0],
    &[0, 1 << 32, 1 << 32],
    &[0, 1 << 20, 1 << 20, 1 << 20, 1 << 20],
];

/// Unusual ones that candle can hold.
const POSSIBLE: &[&[usize]] = &[&[0, 1 << 20, 1 << 20], &[1 << 20, 0, 1 << 20], &[0], &[0, 0, 0]];

/// What opening a file and reading its tensor comes to.
fn read(files: &[(&str, &[u8])], path: &str, name: &str) -> fabric_core::Result<Vec<usize>> {
    let raw = open(files, path)?;
    let all = raw.tensors(&Device::Cpu)?;
    let one = raw.tensor(name, &Device::Cpu)?;
    assert_eq!(all[name].dims(), one.dims());
    let built = raw.var_builder(DType::F32, &Device::Cpu).get(one.dims(), name).unwrap();
    assert_eq!(built.dims(), one.dims());
    Ok(one.dims().to_vec())
}

fn refused(outcome: fabric_core::Result<Vec<usize>>, shape: &[usize]) {
    let error = outcome.unwrap_err();
    assert!(
        matches!(error, Error::Corrupt { .. } | Error::UnknownFormat { .. }),
        "{shape:?}: {error}"
    );
    assert!(error.to_string().contains("`t`"), "{shape:?}: {error}");
}

fn strides(shape: &[usize]) -> Vec<usize> {
    vec![1; shape.len()]
}

#[test]
fn a_safetensors_file_with_an_impossible_shape_is_refused() {
    let file = |shape: &[usize]| {
        let json = format!(r#"{{"t":{{"dtype":"F32","shape":{shape:?},"data_offsets":[0,0]}}}}"#);
        safetensors(&json, &[])
    };
    for shape in IMPOSSIBLE {
        refused(read(&[("t.safetensors", &file(shape))], "t.safetensors", "t"), shape);
    }
    for shape in POSSIBLE {
        assert_eq!(
            read(&[("t.safetensors", &file(shape))], "t.safetensors", "t").unwrap(),
            *shape
        );
    }
}

#[test]
fn a_hub_directory_with_an_impossible_shape_is_refused() {
    let index = br#"{"weight_map":{"t":"part.safetensors"}}"#;
    for shape in IMPOSSIBLE {
        let json = format!(r#"{{"t":{{"dtype":"F32","shape":{shape:?},"data_offsets":[0,0]}}}}"#);
        let shard = safetensors(&json, &[]);
        let files: [(&str, &[u8]); 2] = [
            ("hub/model.safetensors.index.json", index),
            ("hub/part.safetensors", &shard),
        ];
        refused(read(&files, "hub", "t"), shape);
    }
}

#[test]
fn shards_that_make_an_impossible_shape_together_are_refused() {
    // Each box is possible by itself; the tensor ends where the farthest one does.
    let shard = |offsets: [usize; 3], size: [usize; 3]| {
        let sharding = format!(r#"{{\"t\":{{\"saved_offsets\":{offsets:?}}}}}"#);
        let json = format!(
            r#"{{"__metadata__":{{"DCP_SHARDING_INFO":"{sharding}"}},"t":{{"dtype":"F32","shape":{size:?},"data_offsets":[0,0]}}}}"#
        );
        safetensors(&json, &[])
    };
    let (a, b) = (shard([0, 0, HUGE], [0, 1, 1]), shard([0, HUGE, 0], [0, 1, 1]));
    let files: [(&str, &[u8]); 2] = [
        ("hub/shard-00001-model-00001-of-00001.safetensors", &a),
        ("hub/shard-00002-model-00001-of-00001.safetensors", &b),
    ];
    refused(read(&files, "hub", "t"), &[0, HUGE + 1, HUGE + 1]);
}

#[test]
fn a_file_of_torch_save_with_an_impossible_shape_is_refused() {
    for shape in IMPOSSIBLE {
        let entries = [(text("t"), tensor("0", 2, 0, shape, &strides(shape)))];
        refused(read(&[("t.pt", &torch(&entries, &[0; 8]))], "t.pt", "t"), shape);
        refused(read(&[("t.pt", &stream(&entries, &[0; 8]))], "t.pt", "t"), shape);
    }
    for shape in POSSIBLE {
        let entries = [(text("t"), tensor("0", 2, 0, shape, &strides(shape)))];
        assert_eq!(
            read(&[("t.pt", &torch(&entries, &[0; 8]))], "t.pt", "t").unwrap(),
            *shape
        );
        assert_eq!(
            read(&[("t.pt", &stream(&entries, &[0; 8]))], "t.pt", "t").unwrap(),
            *shape
        );
    }
}

#[test]
fn strides_that_no_memory_has_are_refused() {
    let file = torch(&[(text("t"), tensor("0", 2, 0, &[2, 2], &[HUGE, HUGE]))], &[0; 8]);
    refused(read(&[("t.pt", &file)], "t.pt", "t"), &[2, 2]);
    // Without elements nothing is read, wherever strides lead.
    let file = torch(&[(text("t"), tensor("0", 2, 0, &[0, 2], &[HUGE, HUGE]))], &[0; 8]);
    assert_eq!(read(&[("t.pt", &file)], "t.pt", "t").unwrap(), [0, 2]);
}

#[test]
fn a_distributed_checkpoint_with_an_impossible_shape_is_refused() {
    for shape in IMPOSSIBLE {
        let mut made = Made::small();
        made.tensors.push(("t".to_owned(), shape.to_vec(), Vec::new()));
        refused(made.open().map(|_| Vec::new()), shape);
    }
}

#[derive(Checkpoint)]
struct State {
    t: Tensor,
}

/// The number as bincode writes it.
fn varint(number: usize) -> Vec<u8> {
    match u8::try_from(number) {
        Ok(small) if small < 251 => vec![small],
        _ => [&[0xfd][..], &(number as u64).to_le_bytes()].concat(),
    }
}

#[test]
fn a_directory_of_ours_with_an_impossible_shape_is_refused() {
    let memory = storage(&[]);
    let fabric = on(memory.clone());
    let state = State {
        t: Tensor::zeros((0, 77, 78), DType::F32, &Device::Cpu).unwrap(),
    };
    let path = std::path::Path::new("run/manifest.fabric");
    fabric.save("one.ckpt", &state).unwrap();
    fabric.reshard("one.ckpt", "run", Strategy::fsdp().ranks(2)).unwrap();
    let mut manifest = vec![0; usize::try_from(memory.open(path).unwrap().len().unwrap()).unwrap()];
    memory.open(path).unwrap().read_exact_at(&mut manifest, 0).unwrap();
    let head = usize::try_from(u64::from_le_bytes(*manifest[12..].first_chunk().unwrap())).unwrap();
    let (head, body) = (&manifest[28..28 + head], &manifest[36 + head..manifest.len() - 8]);
    let at = body.windows(4).position(|four| four == [3, 0, 77, 78]).unwrap();
    for shape in IMPOSSIBLE.iter().chain(POSSIBLE).filter(|shape| shape.len() == 3) {
        let dims: Vec<u8> = shape.iter().flat_map(|len| varint(*len)).collect();
        let body = [&body[..=at], &dims, &body[at + 4..]].concat();
        let mut sealed = [&manifest[..20], &(body.len() as u64).to_le_bytes()].concat();
        for payload in [head, &body] {
            sealed.extend(payload);
            let sum = crc_fast::checksum(crc_fast::CrcAlgorithm::Crc64Nvme, &sealed);
            sealed.extend(sum.to_le_bytes());
        }
        memory.remove_file(path).unwrap();
        memory.create(path).unwrap().write_all(&sealed).unwrap();
        let opened = fabric.open("run").map(|raw| raw.info("t").unwrap().shape().to_vec());
        if IMPOSSIBLE.contains(shape) {
            refused(opened, shape);
        } else {
            assert_eq!(opened.unwrap(), *shape);
        }
    }
}

#[test]
fn a_tensor_of_very_many_dimensions_is_read_or_refused_in_proportion_to_its_file() {
    for dims in [100, 5_000, 200_000] {
        let shape = vec![1; dims];
        let json = format!(r#"{{"t":{{"dtype":"F32","shape":{shape:?},"data_offsets":[0,4]}}}}"#);
        let file = safetensors(&json, &[0; 4]);
        let memory = storage(&[("t.safetensors", &file)]);
        let raw = on(memory.clone()).open("t.safetensors").unwrap();
        assert_eq!(raw.tensor("t", &Device::Cpu).unwrap().dims().len(), dims);
        let mut state = State {
            t: Tensor::zeros(4, DType::F32, &Device::Cpu).unwrap(),
        };
        assert!(matches!(raw.load(&mut state), Err(Error::Mismatch(_))));
    }
}

#[test]
fn a_scalar_is_a_tensor_without_dimensions() {
    let json = r#"{"t":{"dtype":"F32","shape":[],"data_offsets":[0,4]}}"#;
    let files: [(&str, &[u8]); 1] = [("t.safetensors", &safetensors(json, &[0; 4]))];
    assert_eq!(read(&files, "t.safetensors", "t").unwrap(), Vec::<usize>::new());
}
