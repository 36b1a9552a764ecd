use smallvec::smallvec;

use crate::entry::DType;
use crate::format::ManifestError;
use crate::format::manifest::tests::{envelope, samples};
use crate::format::manifest::{FileRecord, Manifest, ManifestKind, OtherFile, PartRecord};

const VERSION: (u16, u16) = (1, 0);

/// The answer to the sample of a kind after a change, of the writer and of the reader.
fn answer(kind: ManifestKind, change: impl FnOnce(&mut Manifest)) -> ManifestError {
    let mut manifest = samples()[kind as usize].clone();
    change(&mut manifest);
    let written = manifest.encode().map(drop);
    let read = Manifest::decode(&envelope(VERSION, &manifest)).map(drop);
    assert_eq!(written, read, "a manifest that is not read is not written");
    read.expect_err("a contradiction")
}

fn refusal(kind: ManifestKind, change: impl FnOnce(&mut Manifest)) -> String {
    match answer(kind, change) {
        ManifestError::Invalid(what) => what,
        other => panic!("expected a contradiction, found {other:?}"),
    }
}

const KINDS: [ManifestKind; 3] = [ManifestKind::File, ManifestKind::Shard, ManifestKind::Directory];

#[test]
fn names_must_be_valid_and_unique() {
    for kind in KINDS {
        let twice = |change: fn(&mut Manifest), name: &str| {
            assert_eq!(refusal(kind, change), format!("entry `{name}` is there twice"));
        };
        twice(|m| m.body.tensors[2].name = "model.weight".into(), "model.weight");
        twice(
            |m| m.body.ties[0].name = m.body.tensors[1].name.clone(),
            &samples()[kind as usize].body.tensors[1].name,
        );
        twice(|m| m.body.values[0].name = "model.weight".into(), "model.weight");
        twice(|m| m.body.values[0].name = "position".into(), "position");
        twice(|m| m.body.values[2].coordinate = smallvec![(0, 0), (1, 0)], "position");
        for name in ["", "a..b", "__fabric__", "a\u{7f}"] {
            let refused = |change: &dyn Fn(&mut Manifest)| refusal(kind, change);
            assert!(
                refused(&|m| m.body.tensors[0].name = name.into()).contains("entry name"),
                "{name:?}"
            );
            assert!(
                refused(&|m| m.body.ties[0].name = name.into()).contains("entry name"),
                "{name:?}"
            );
            assert!(
                refused(&|m| m.body.values[2].name = name.into()).contains("entry name"),
                "{name:?}"
            );
            assert!(
                refused(&|m| m.body.filtered[0] = name.into()).contains("filtered entry"),
                "{name:?}"
            );
        }
    }
}

#[test]
fn a_part_is_in_its_tensor_and_in_its_file() {
    let part = |m: &mut Manifest| m.body.tensors[0].part.take().unwrap();
    let refused = |kind, change: fn(&mut PartRecord)| {
        refusal(kind, |m| {
            let mut changed = part(m);
            change(&mut changed);
            m.body.tensors[0].part = Some(changed);
        })
    };
    assert!(refused(ManifestKind::Shard, |p| p.region.as_mut().unwrap().size[0] = 2).contains("outside"));
    assert!(
        refused(ManifestKind::Shard, |p| p.region.as_mut().unwrap().offset[0] =
            usize::MAX)
        .contains("outside")
    );
    assert!(
        refused(ManifestKind::Shard, |p| p.region.as_mut().unwrap().offset =
            smallvec![0])
        .contains("outside")
    );
    assert!(refused(ManifestKind::Shard, |p| p.region = None).contains("has 12 bytes"));
    for kind in [ManifestKind::File, ManifestKind::Shard] {
        assert!(refused(kind, |p| p.len = 16).contains("has 16 bytes"));
        assert!(refused(kind, |p| p.start = 4095).contains("has data at 4096..5000"));
        assert!(refused(kind, |p| p.start = 4999).contains("has data at 4096..5000"));
        assert!(refused(kind, |p| p.start = u64::MAX).contains("has data at"));
        assert!(refused(kind, |p| p.sums.clear()).contains("checksums"));
        assert!(refused(kind, |p| p.sums.push(0)).contains("checksums"));
        assert!(refusal(kind, |m| drop(part(m))).contains("holds nothing of it"));
    }
    let shape = |m: &mut Manifest, shape: &[usize]| m.body.tensors[2].shape = shape.into();
    assert!(refusal(ManifestKind::File, |m| shape(m, &[usize::MAX, 2])).contains("no size"));
    let half = |m: &mut Manifest| (m.body.tensors[2].dtype, m.body.tensors[2].shape) = (DType::F4, smallvec![1]);
    assert!(refusal(ManifestKind::File, half).contains("no size"));
    let boxed = |m: &mut Manifest| m.body.tensors[0].part.clone_from(&samples()[1].body.tensors[0].part);
    assert!(refusal(ManifestKind::File, boxed).contains("a complete file holds all of it"));
}

#[test]
fn every_byte_of_a_file_belongs_to_one_part() {
    for kind in [ManifestKind::File, ManifestKind::Shard] {
        let start = |at: usize, to: u64| move |m: &mut Manifest| m.body.tensors[at].part.as_mut().unwrap().start = to;
        assert!(refusal(kind, start(0, 4100)).contains("ends at 4096, and the next begins at 4100"));
        assert!(refusal(kind, start(1, 4200)).contains("and the next begins at 4"));
    }
}

#[test]
fn a_kind_says_what_it_is_about() {
    let header = |m: &mut Manifest| m.body.file.as_mut().unwrap().header_len = 5001;
    assert!(refusal(ManifestKind::File, header).contains("with a header of 5001"));
    assert!(refusal(ManifestKind::File, |m| m.body.file = None).contains("does not say of which"));
    let file = FileRecord::default();
    assert!(refusal(ManifestKind::Directory, |m| m.body.file = Some(file)).contains("in a file"));
    let cuts = |m: &mut Manifest| m.body.tensors[0].cuts.clone_from(&samples()[2].body.tensors[0].cuts);
    assert!(refusal(ManifestKind::Shard, cuts).contains("said in a directory"));
    let part = |m: &mut Manifest| m.body.tensors[0].part.clone_from(&samples()[0].body.tensors[0].part);
    assert!(refusal(ManifestKind::Directory, part).contains("does not say where"));
    assert!(refusal(ManifestKind::Directory, |m| m.head.generation = "../x".into()).contains("folder"));
    assert!(refusal(ManifestKind::Shard, |m| m.head.generation.clear()).contains("folder"));
    assert!(refusal(ManifestKind::File, |m| m.head.generation = "g-1".into()).contains("folder"));
    let facts = |m: &mut Manifest| m.head.facts.push(m.head.facts[0].clone());
    assert!(refusal(ManifestKind::File, facts).contains("order of their keys"));
}

#[test]
fn ties_values_and_meshes_make_sense() {
    for kind in KINDS {
        assert_eq!(
            refusal(kind, |m| m.body.ties[0].target = 3),
            "entry `model.tied` is tied to tensor 3, and there are 3"
        );
        assert_eq!(
            refusal(kind, |m| m.body.values[0].form = 1),
            "the value `iteration` is of form 1, which is unknown"
        );
        assert!(refusal(kind, |m| m.body.values[1].coordinate[1].1 = 4).contains("of a rank that"));
        assert!(refusal(kind, |m| m.body.values[1].coordinate[1].0 = 0).contains("of a rank that"));
        assert!(refusal(kind, |m| m.body.values[1].coordinate.truncate(1)).contains("of a rank that"));
        assert!(refusal(kind, |m| m.head.mesh[1].1 = 0).contains("size 0"));
        assert!(refusal(kind, |m| m.head.mesh[1].1 = u64::MAX).contains("size"));
        assert!(refusal(kind, |m| m.head.mesh[1].1 = 1 << 40).contains("refused"));
        assert!(refusal(kind, |m| m.head.mesh[1].0 = "dp".into()).contains("two axes"));
    }
}

#[test]
fn a_place_that_later_versions_fill_is_no_contradiction_and_is_refused() {
    let file = |m: &mut Manifest| m.body.tensors[0].part.as_mut().unwrap().file = 1;
    let other = |m: &mut Manifest| {
        m.body.others.push(OtherFile {
            name: "step-100".to_owned(),
            digest: vec![1; 32],
        });
    };
    for error in [answer(ManifestKind::File, file), answer(ManifestKind::Directory, other)] {
        assert!(matches!(error, ManifestError::Unsupported(_)), "{error:?}");
        assert!(
            error
                .to_string()
                .contains("read the checkpoint with the version that wrote it")
        );
    }
}

#[test]
fn a_directory_of_more_bytes_than_there_can_be_is_refused() {
    let huge = |m: &mut Manifest| {
        m.body.tensors = vec![m.body.tensors[0].clone(); 5];
        for (number, tensor) in m.body.tensors.iter_mut().enumerate() {
            (tensor.dtype, tensor.shape) = (DType::U8, smallvec![1 << 60]);
            tensor.name = format!("x{number}");
        }
    };
    let refused = refusal(ManifestKind::Directory, huge);
    assert!(refused.contains("more than"), "{refused}");
}
