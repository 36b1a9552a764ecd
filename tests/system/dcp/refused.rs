//! Checkpoints that contradict themselves, lead out of their directory, or ask for what is not read.

use candle_core::{DType, Device, Tensor};
use fabric_core::{Error, LoadOptions};
use testkit::dcp::Made;
use testkit::files::on;
use testkit::payload::Stored;
use testkit::pickle::{Bytes, attributes, call, dict, global, instance, int, list, pickle, text};

/// Opens, and reads all tensors.
fn open_and_read(made: &Made) -> Result<(), Error> {
    let raw = made.open()?;
    for name in raw.names() {
        if raw.info(name).is_some() {
            raw.tensor(name, &Device::Cpu)?;
        }
    }
    Ok(())
}

fn refused(change: impl FnOnce(&mut Made)) -> String {
    let mut made = Made::small();
    change(&mut made);
    let error = open_and_read(&made).unwrap_err();
    assert!(
        matches!(
            error,
            Error::Corrupt { .. } | Error::UnknownFormat { .. } | Error::NotFound { .. }
        ),
        "{error:?}"
    );
    error.to_string()
}

#[track_caller]
fn says(error: &str, words: &[&str]) {
    for word in words {
        assert!(error.contains(word), "`{word}` is not in: {error}");
    }
}

#[test]
fn nothing_is_wrong_with_the_checkpoint_that_the_others_are_made_of() {
    open_and_read(&Made::small()).unwrap();
}

#[test]
fn a_hole_an_overlap_and_a_box_outside_are_errors() {
    says(
        &refused(|made| made.tensors[0].1 = vec![6, 2]),
        &["`w`", "no part holds the element at [5, 0]"],
    );
    says(
        &refused(|made| drop(made.tensors[0].2.pop())),
        &["`w`", "no part holds the element at [3, 0]"],
    );
    let overlap = refused(|made| made.tensors[0].2[1].offset = vec![2, 0]);
    says(&overlap, &["`w`", "2 parts hold the element at [2, 0]"]);
    let outside = refused(|made| made.tensors[0].2[1].offset = vec![4, 0]);
    says(&outside, &["`w`", "reaches outside"]);
    let far = refused(|made| made.tensors[0].2[1].offset = vec![usize::MAX, 0]);
    says(&far, &["`w`", "reaches outside"]);
    says(
        &refused(|made| made.tensors[0].2[1].size = vec![2]),
        &["`w`", "another rank"],
    );
}

#[test]
fn sizes_that_no_file_holds_are_refused_before_memory_is_asked_for() {
    let huge = refused(|made| {
        made.tensors[0].1 = vec![1 << 40, 2];
        made.tensors[0].2.pop();
        made.tensors[0].2[0].size = vec![1 << 40, 2];
    });
    says(&huge, &["`w`", "is stored in"]);
    let overflow = refused(|made| made.tensors[0].1 = vec![usize::MAX, usize::MAX]);
    says(&overflow, &["`w`", "fits no memory"]);
}

#[test]
fn places_outside_of_their_file_are_refused() {
    let beyond = refused(|made| made.tensors[0].2[0].place.len += 1_000_000);
    says(&beyond, &["__0_0.distcp", "`w`", "cut short"]);
    let overflow = refused(|made| made.tensors[0].2[0].place.start = i128::from(u64::MAX));
    says(&overflow, &["`w`", "beyond the end of any file"]);
    for start in [-1, i128::from(u64::MAX) + 1] {
        let error = refused(|made| made.tensors[0].2[0].place.start = start);
        says(&error, &["`w`", &start.to_string(), "a number of bytes"]);
    }
}

#[test]
fn two_entries_do_not_share_bytes() {
    let shared = refused(|made| {
        let place = made.tensors[0].2[0].place.clone();
        made.tensors.push((
            "v".into(),
            vec![3, 2],
            vec![testkit::dcp::Chunk {
                offset: vec![0, 0],
                size: vec![3, 2],
                place,
            }],
        ));
    });
    says(&shared, &["`v`", "`w`"]);
}

#[test]
fn file_names_lead_nowhere_else() {
    let names = [
        "../__0_0.distcp",
        "/etc/passwd",
        "a/b",
        "./__0_0.distcp",
        "a\\b",
        "..",
        ".",
        "",
        "C:x",
        "x/",
        "a\0b",
    ];
    for name in names {
        let error = refused(|made| made.tensors[0].2[0].place.file = name.into());
        says(&error, &["`w`", "no plain name"]);
    }
}

#[test]
fn a_missing_file_is_named() {
    let missing = refused(|made| drop(made.files.remove("__1_0.distcp")));
    says(&missing, &["__1_0.distcp", "missing"]);
}

#[test]
fn transforms_are_refused_by_name() {
    for name in ["stream.zstd/1", "mine/7"] {
        let error = refused(|made| made.transforms = vec![name.to_owned()]);
        says(&error, &[name, "`iteration`", "transform"]);
    }
}

#[test]
fn entries_and_places_that_are_there_twice_are_refused() {
    let twice = refused(|made| {
        let object = made.objects[0].clone();
        made.objects.push(object);
    });
    says(&twice, &["`iteration`", "twice"]);
    let moved = refused(|made| {
        let mut chunk = made.tensors[0].2[0].clone();
        chunk.place.file = "__1_0.distcp".into();
        made.tensors[0].2.push(chunk);
    });
    says(&moved, &["`w`", "stored twice"]);
}

#[test]
fn a_payload_that_is_something_else_than_the_index_says_is_refused() {
    let another_shape = refused(|made| {
        made.tensors[0].1 = vec![4, 2];
        made.tensors[0].2[1].size = vec![1, 2];
    });
    says(&another_shape, &["`w`", "[1, 2]", "[2, 2]"]);
    let another_type = refused(|made| {
        let stored = Stored {
            storage: "IntStorage",
            ..Stored::counting(0, &[2])
        };
        made.tensor("v", &[2], &[(&[0], stored)]);
    });
    says(&another_type, &["`v`", "I32", "F32"]);
    let too_few = refused(|made| {
        let stored = Stored {
            elements: vec![1.],
            ..Stored::counting(0, &[2])
        };
        made.tensor("v", &[2], &[(&[0], stored)]);
    });
    says(&too_few, &["`v`", "out of its storage"]);
    let no_tensor = refused(|made| made.tensors[0].2[0].place = made.objects[0].1.clone());
    says(&no_tensor, &["`w`"]);
}

#[test]
fn objects_of_foreign_classes_are_refused_by_name() {
    let made = Made::small();
    let foreign = instance(&global("bytecheckpoint.metadata", "Metadata"), Some(&attributes(&[])));
    let open = |metadata: &Bytes| {
        testkit::dcp::open(&made.storage_with(&pickle(metadata)))
            .unwrap_err()
            .to_string()
    };
    says(&open(&foreign), &["bytecheckpoint.metadata.Metadata"]);
    says(&open(&dict(&[])), &["a dict", "`Metadata`"]);
    let call = call(&global("os", "system"), &[text("true")]);
    for at in 0..3 {
        if at == 1 {
            // `planner_data` belongs to whoever wrote the planner.
            continue;
        }
        let mut fields = made.fields();
        fields[at].1 = call.clone();
        says(&open(&made.make("Metadata", &fields)), &[fields[at].0, "os.system"]);
    }
    let inside = dict(&[(text("w"), foreign.clone())]);
    let fields = [("state_dict_metadata", inside), ("storage_data", dict(&[]))];
    says(
        &open(&made.make("Metadata", &fields)),
        &["`w`", "bytecheckpoint.metadata.Metadata"],
    );
    let strange = made.make(
        "TensorStorageMetadata",
        &[
            ("properties", foreign),
            ("size", testkit::dcp::size(&[1])),
            ("chunks", list(&[])),
        ],
    );
    let fields = [
        ("state_dict_metadata", dict(&[(text("w"), strange)])),
        ("storage_data", dict(&[])),
    ];
    says(
        &open(&made.make("Metadata", &fields)),
        &["`w`", "bytecheckpoint.metadata.Metadata"],
    );
    let fields = [("storage_data", dict(&[]))];
    says(&open(&made.make("Metadata", &fields)), &["state_dict_metadata"]);
}

#[test]
fn foreign_planner_data_is_passed_over() {
    let made = Made::small();
    for planner in [
        int(1),
        instance(&global("megatron.core", "Plan"), None),
        dict(&[(int(1), int(2))]),
    ] {
        let mut fields = made.fields();
        fields[1].1 = planner;
        let metadata = pickle(&made.make("Metadata", &fields));
        assert_eq!(testkit::dcp::open(&made.storage_with(&metadata)).unwrap().len(), 2);
    }
}

#[test]
fn a_load_that_finds_a_bad_payload_has_changed_nothing() {
    let mut made = Made::small();
    made.tensor("v", &[2], &[(&[0], Stored::counting(0, &[2]))]);
    // The last bytes of the first file: the directory of the archive of `v`.
    let file = made.files.get_mut("__0_0.distcp").unwrap();
    let end = file.len();
    file[end - 6] ^= 1;
    let mut state = std::collections::BTreeMap::new();
    for (name, shape) in [("w", &[5usize, 2][..]), ("v", &[2])] {
        state.insert(name.to_owned(), Tensor::ones(shape, DType::F32, &Device::Cpu).unwrap());
    }
    let error = on(made.storage())
        .load_raw_with("run", &mut state, LoadOptions::new().strict(false))
        .unwrap_err();
    assert!(matches!(error, Error::Corrupt { .. }), "{error:?}");
    for tensor in state.values() {
        let elements: Vec<f32> = tensor.flatten_all().unwrap().to_vec1().unwrap();
        assert!(elements.iter().all(|x| x.to_bits() == 1f32.to_bits()), "{elements:?}");
    }
}
