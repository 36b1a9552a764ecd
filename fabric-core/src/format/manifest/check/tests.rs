use smallvec::smallvec;

use crate::entry::DType;
use crate::format::manifest::tests::{envelope, payload, sample};
use crate::format::manifest::{FileRecord, Manifest, ManifestError, PartRecord, VERSION};

/// What is said of the sample after a change, by the writer and by the reader.
fn refusal(change: impl FnOnce(&mut Manifest)) -> String {
    let mut manifest = sample();
    change(&mut manifest);
    let written = manifest.encode().map(drop);
    let read = Manifest::decode(&envelope(VERSION, &payload(&manifest))).map(drop);
    assert_eq!(written, read, "what is not read is not written");
    match read {
        Err(ManifestError::Invalid(what)) => what,
        other => panic!("expected a contradiction, found {other:?}"),
    }
}

#[test]
fn names_must_be_valid_and_unique() {
    assert_eq!(
        refusal(|m| m.tensors[2].name = "model.weight".into()),
        "entry `model.weight` is there twice"
    );
    assert_eq!(
        refusal(|m| m.ties[0].name = "scalar".into()),
        "entry `scalar` is there twice"
    );
    assert_eq!(
        refusal(|m| m.values[0].name = "scalar".into()),
        "entry `scalar` is there twice"
    );
    assert_eq!(
        refusal(|m| m.values[0].name = "position".into()),
        "entry `position` is there twice"
    );
    assert_eq!(
        refusal(|m| m.values[2].rank = Some(0)),
        "entry `position` is there twice"
    );
    for name in ["", "a..b", "__fabric__", "a\u{7f}"] {
        assert!(
            refusal(|m| m.tensors[0].name = name.into()).contains("entry name"),
            "{name:?}"
        );
        assert!(
            refusal(|m| m.ties[0].name = name.into()).contains("entry name"),
            "{name:?}"
        );
        assert!(
            refusal(|m| m.values[2].name = name.into()).contains("entry name"),
            "{name:?}"
        );
        assert!(
            refusal(|m| m.filtered[0] = name.into()).contains("filtered entry"),
            "{name:?}"
        );
    }
}

#[test]
fn file_names_stay_below_the_checkpoint() {
    for name in [
        "",
        "/etc/passwd",
        "../a",
        "a/../b",
        "a/./b",
        "a//b",
        "a/",
        "C:a",
        "a\\b",
        "a\0",
    ] {
        assert!(
            refusal(|m| m.files[0].name = name.into()).contains("does not stay below"),
            "{name:?}"
        );
    }
    assert!(refusal(|m| m.files[0].name = "g1/1.safetensors".into()).contains("listed twice"));
    assert!(refusal(|m| m.files[0].header_len = 4_121).contains("with a header of 4121"));
}

#[test]
fn parts_must_tile_their_tensor_and_lie_in_their_file() {
    let part = |m: &mut Manifest, change: fn(&mut PartRecord)| change(&mut m.tensors[0].parts[1]);
    let refused = |change: fn(&mut PartRecord)| refusal(|m| part(m, change));
    assert_eq!(
        refused(|p| p.offset[0] = 1),
        "entry `model.weight`: 2 parts hold the element at [1, 0]"
    );
    assert_eq!(
        refused(|p| p.size[1] = 2),
        "entry `model.weight`: no part holds the element at [2, 2]"
    );
    assert!(refused(|p| p.size[0] = 2).contains("outside"));
    assert!(refused(|p| p.offset[0] = usize::MAX).contains("outside"));
    assert!(refused(|p| p.offset = smallvec![0]).contains("rank"));
    assert_eq!(
        refused(|p| p.file = 2),
        "entry `model.weight`: a part is in file 2, and there are 2"
    );
    assert!(refused(|p| p.len = 16).contains("has 16 bytes"));
    assert!(refused(|p| p.start = 4095).contains("has data at 4096..4116"));
    assert!(refused(|p| p.start = 4_105).contains("has data at 4096..4116"));
    assert!(refused(|p| p.start = u64::MAX).contains("has data at"));
    assert!(refused(|p| p.sums.clear()).contains("checksums"));
    assert!(refused(|p| p.sums.push(0)).contains("checksums"));
    assert!(refusal(|m| m.tensors[2].parts.clear()).contains("no part holds"));
    assert!(refusal(|m| m.tensors[1].shape = smallvec![usize::MAX, 2]).contains("no size"));
    assert!(refusal(|m| (m.tensors[1].dtype, m.tensors[1].shape) = (DType::F4, smallvec![1])).contains("no size"));
}

#[test]
fn ties_forms_and_meshes_must_make_sense() {
    assert_eq!(
        refusal(|m| m.ties[0].target = 3),
        "entry `model.tied` is tied to tensor 3, and there are 3"
    );
    assert_eq!(
        refusal(|m| m.values[0].form = 1),
        "the value `iteration` is of form 1, which is unknown"
    );
    assert!(refusal(|m| m.mesh[1].1 = 0).contains("size 0"));
    assert!(refusal(|m| m.mesh[1].1 = u64::MAX).contains("size"));
    assert!(refusal(|m| m.mesh[1].0 = "dp".into()).contains("two axes"));
}

#[test]
fn every_byte_of_a_file_belongs_to_one_part() {
    let scalar = |m: &mut Manifest, start| m.tensors[2].parts[0].start = start;
    let between = refusal(|m| {
        m.files[1].len = 4120;
        m.tensors[0].parts[1].start = 4108;
    });
    assert_eq!(
        between,
        "the file `g1/1.safetensors` has a part that ends at 4104, and the next begins at 4108"
    );
    assert!(refusal(|m| scalar(m, 4100)).contains("ends at 4096, and the next begins at 4100"));
    assert!(refusal(|m| scalar(m, 4104)).contains("ends at 4096, and the next begins at 4104"));
    let behind = refusal(|m| m.files[0].len += 1);
    assert_eq!(
        behind,
        "the file `g1/0.safetensors` has 4121 bytes, and its parts end at 4120"
    );
    let unused = FileRecord {
        name: "g1/2".into(),
        header_len: 4096,
        len: 4097,
        ..FileRecord::default()
    };
    assert!(refusal(|m| m.files.push(unused)).contains("its parts end at 4096"));
}
