//! Descriptions, ties, and entries by patterns.

use candle_core::{DType, Device, Tensor};
use fabric_core::run::Run;
use fabric_core::testing::Memory;
use fabric_core::{Checkpoint, Error, Fabric, Format, SaveOptions};
use testkit::files::{on, read};

use super::{every_format, pytorch};

#[test]
fn every_format_is_named() {
    let (_, opened) = every_format();
    let formats = opened.iter().map(|(_, raw)| raw.description().unwrap().format);
    let expected = [
        Format::FabricFile,
        Format::FabricDirectory,
        Format::FabricDirectory,
        Format::TorchSave,
        Format::Safetensors,
    ];
    assert!(formats.eq(expected));
    for (name, format) in [
        ("mlp.pt", Format::TorchSave),
        ("mlp_legacy.pt", Format::TorchSaveLegacy),
        ("dcp_fsdp2", Format::DistributedCheckpoint),
        ("hf_fsdp2", Format::HuggingFaceDirectory),
        ("hub_sharded", Format::HuggingFaceDirectory),
    ] {
        let description = pytorch(name).description().unwrap();
        assert_eq!((description.format, description.writer), (format, None), "{name}");
        assert!(description.files > 0 && description.bytes > 0 && description.run.is_none());
    }
}

#[test]
fn writer_strategy_mesh_and_files_are_those_of_the_save() {
    let (_, opened) = every_format();
    let of = |name: &str| {
        let found = opened.iter().find(|(other, _)| *other == name);
        found.unwrap().1.description().unwrap()
    };
    let (one, three, four) = (of("one.ckpt"), of("three"), of("four"));
    assert!(one.writer.unwrap().starts_with("fabric-core "));
    assert_eq!((one.files, one.mesh), (1, Vec::new()));
    let axes = [("dp", 1), ("tp", 3), ("fsdp", 1)].map(|(name, size)| (name.to_owned(), size));
    assert_eq!((three.strategy.as_deref(), three.mesh), (Some("mesh"), axes.to_vec()));
    assert_eq!(three.files, 4, "a manifest and the files of three ranks");
    assert_eq!((four.strategy.as_deref(), four.files), (Some("fsdp"), 5));
    assert_eq!(four.mesh, [("fsdp".to_owned(), 4)]);
}

#[test]
fn a_directory_that_lacks_files_is_described_by_the_others() {
    use fabric_core::storage::Storage;

    let memory = Memory::new();
    let fabric = on(memory.clone());
    let ones = Tensor::ones((8, 8), DType::F32, &Device::Cpu).unwrap();
    fabric.save("one", &Single { ones }).unwrap();
    fabric
        .reshard("one", "three", fabric_core::Strategy::fsdp().ranks(3))
        .unwrap();
    let description = || fabric.open("three").unwrap().description().unwrap();
    let whole = description();
    let names = memory.list("three".as_ref()).unwrap();
    let folder = names.into_iter().find(|name| name != "manifest.fabric").unwrap();
    let folder = std::path::Path::new("three").join(folder);
    memory.remove_file(&folder.join("rank-00000.safetensors")).unwrap();
    let without = description();
    assert_eq!(without.files, whole.files - 1);
    memory.remove_dir_all(&folder).unwrap();
    assert_eq!(description().files, 1, "the manifest");
}

#[test]
fn the_bytes_are_the_length_of_all_files() {
    let memory = Memory::new();
    let fabric = on(memory.clone());
    let ones = Tensor::ones((8, 8), DType::F32, &Device::Cpu).unwrap();
    fabric.save("one", &Single { ones }).unwrap();
    let description = fabric.open("one").unwrap().description().unwrap();
    assert_eq!(description.bytes, read(&memory, "one").len() as u64);
    let [state] = &description.structs[..] else {
        panic!("{:?}", description.structs)
    };
    assert_eq!(
        (state.path.as_str(), state.name.as_str(), state.version),
        ("", "Single", 2)
    );
}

#[derive(Checkpoint)]
#[checkpoint(version = 2)]
struct Single {
    ones: Tensor,
}

#[test]
fn the_facts_of_a_run_are_told() {
    let directory = tempfile::tempdir().unwrap();
    let fabric = Fabric::new();
    let mut run = Run::at(directory.path()).host().open(&fabric).unwrap();
    let ones = Tensor::ones(3, DType::F32, &Device::Cpu).unwrap();
    run.save(500, &Single { ones }, &[("loss", 0.5), ("odd", f64::NAN)])
        .unwrap();
    let path = run.latest().unwrap().unwrap().path;
    let raw = fabric.open(path).unwrap();
    let facts = raw.subtree("ones").description().unwrap().run.unwrap();
    assert_eq!((facts.step, facts.metrics["loss"]), (500, 0.5));
    assert!(facts.metrics["odd"].is_nan() && facts.host.is_some());
    let age = facts.time.elapsed().unwrap_or_default();
    assert!(age.as_secs() < 3600, "{age:?}");
}

#[test]
fn names_of_one_stored_tensor_are_tied_in_every_layout() {
    let fabric = on(Memory::new());
    let ones = Tensor::ones((4, 3), DType::F32, &Device::Cpu).unwrap();
    let twin = Tensor::ones((4, 3), DType::F32, &Device::Cpu).unwrap();
    let empty = Tensor::ones((0, 3), DType::F32, &Device::Cpu).unwrap();
    let state = Tied {
        head: ones.clone(),
        embed: ones,
        twin,
        one: empty.clone(),
        two: empty,
    };
    fabric.save("one.ckpt", &state).unwrap();
    fabric
        .reshard("one.ckpt", "two", fabric_core::Strategy::fsdp().ranks(2))
        .unwrap();
    fabric
        .export("one.ckpt", "all.pt", fabric_core::ExportOptions::new())
        .unwrap();
    for path in ["one.ckpt", "two", "all.pt"] {
        assert_eq!(fabric.open(path).unwrap().ties(), [["embed", "head"]], "{path}");
    }
}

#[derive(Checkpoint)]
struct Tied {
    embed: Tensor,
    head: Tensor,
    twin: Tensor,
    one: Tensor,
    two: Tensor,
}

#[test]
fn patterns_select_names_and_names_of_filtered_entries() {
    let fabric = on(Memory::new());
    let ones = || Tensor::ones(3, DType::F32, &Device::Cpu).unwrap();
    let state = Listed {
        head: ones(),
        list: vec![ones(), ones(), ones()],
    };
    let options = SaveOptions::new().filter(Listed::FIELDS.list, |name, _| name != "1");
    fabric.save_with("some", &state, options).unwrap();
    let raw = fabric.open("some").unwrap();
    let matching = raw.matching(&["list.[1-9]", "h?a*"]).unwrap();
    assert_eq!(matching.names(), ["head", "list.2"]);
    assert_eq!(matching.filtered(), ["list.1"]);
    assert_eq!(
        raw.matching(&["*.0"]).unwrap().names(),
        ["list.0"],
        "a star matches dots"
    );
    assert!(raw.matching::<&str>(&[]).unwrap().is_empty());
    let error = raw.matching(&["[a"]).unwrap_err();
    assert!(matches!(&error, Error::Options(what) if what.contains("[a")), "{error}");
}

#[derive(Checkpoint)]
struct Listed {
    head: Tensor,
    list: Vec<Tensor>,
}
