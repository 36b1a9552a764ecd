//! What PyTorch writes, and wrote.

use serde_json::{Value as Json, json};
use testkit::dcp::{Made, Version, directory, elements, open};
use testkit::payload::Stored;
use testkit::pickle::{dict, float, instance, int, list, none, pickle, text, tuple};
use testkit::zip::zip;

/// The numbers from `0`, as many as there are.
fn counted(count: u16) -> Vec<f32> {
    (0..count).map(f32::from).collect()
}

#[test]
fn files_of_every_version_are_read() {
    for version in [Version::V1, Version::V2, Version::V2_3, Version::V2_10] {
        let made = Made {
            version,
            ..Made::small()
        };
        let raw = made.open().unwrap();
        assert_eq!(raw.names(), ["iteration", "w"], "{version:?}");
        assert_eq!(elements(&raw, "w"), counted(10), "{version:?}");
        assert_eq!(raw.value::<u64>("iteration").unwrap(), 41, "{version:?}");
    }
}

#[test]
fn boxes_of_a_mesh_are_put_together_whatever_their_order() {
    let columns = |first: usize, rows: usize, columns: usize| {
        let mut stored = Stored::counting(0, &[rows, columns]);
        let at = |row: usize, column: usize| f32::from(u16::try_from(first + row * 4 + column).unwrap());
        stored.elements = (0..rows)
            .flat_map(|row| (0..columns).map(move |column| at(row, column)))
            .collect();
        stored
    };
    let mut made = Made::new();
    made.tensor(
        "grid",
        &[5, 4],
        &[
            (&[3, 2], columns(14, 2, 2)),
            (&[0, 0], columns(0, 3, 2)),
            (&[3, 0], columns(12, 2, 2)),
            (&[0, 2], columns(2, 3, 2)),
        ],
    );
    assert_eq!(elements(&made.open().unwrap(), "grid"), counted(20));
}

#[test]
fn chunks_in_another_memory_layout_or_byte_order_are_read() {
    let transposed = Stored {
        strides: vec![1, 2],
        elements: vec![0., 3., 1., 4., 2., 5.],
        ..Stored::counting(0, &[2, 3])
    };
    let swapped = Stored {
        big_endian: true,
        ..Stored::counting(6, &[2, 3])
    };
    let mut made = Made::new();
    made.tensor("w", &[4, 3], &[(&[0, 0], transposed.clone()), (&[2, 0], swapped)]);
    let side_by_side = Stored {
        elements: vec![6., 9., 7., 10., 8., 11.],
        ..transposed.clone()
    };
    made.tensor("v", &[2, 6], &[(&[0, 0], transposed), (&[0, 3], side_by_side)]);
    let raw = made.open().unwrap();
    assert_eq!(elements(&raw, "w"), counted(12));
    assert_eq!(elements(&raw, "v"), [0., 1., 2., 6., 7., 8., 3., 4., 5., 9., 10., 11.]);
}

#[test]
fn scalars_empty_tensors_and_ranks_beyond_the_end_are_read() {
    let mut made = Made::new();
    made.tensor("scalar", &[], &[(&[], Stored::counting(7, &[]))]);
    made.tensor("none", &[0, 3], &[(&[0, 0], Stored::counting(0, &[0, 3]))]);
    let beyond = || Stored::counting(0, &[0]);
    made.tensor(
        "few",
        &[2],
        &[
            (&[0], Stored::counting(0, &[1])),
            (&[1], Stored::counting(1, &[1])),
            (&[2], beyond()),
            (&[2], beyond()),
        ],
    );
    let raw = made.open();
    // Two ranks beyond the end write one chunk: a dict keeps one of the two places, and this writer gave both.
    assert!(raw.unwrap_err().to_string().contains("`few` is stored twice"));
    made.tensors[2].2.pop();
    let raw = made.open().unwrap();
    assert_eq!(elements(&raw, "scalar"), [7.]);
    assert_eq!(elements(&raw, "none"), [0.; 0]);
    assert_eq!(elements(&raw, "few"), [0., 1.]);
}

#[test]
fn dicts_and_lists_of_values_are_one_value_again() {
    let mut made = Made::small();
    let path = |keys: &[&str]| -> Vec<_> {
        let key = |key: &&str| key.parse().map_or_else(|_| text(key), int);
        keys.iter().map(key).collect()
    };
    made.object("hparams.lr", &float(0.5), &path(&["hparams", "lr"]));
    made.object("hparams.a.b.0.c", &text("x"), &path(&["hparams", "a.b", "0", "c"]));
    made.object("hparams.a.b.2", &none(), &path(&["hparams", "a.b", "2"]));
    made.object(
        "hparams.layers",
        &list(&[int(1), int(2)]),
        &path(&["hparams", "layers"]),
    );
    made.object("w.note", &text("beside a tensor"), &path(&["w", "note"]));
    let raw = made.open().unwrap();
    assert_eq!(raw.names(), ["hparams", "iteration", "w", "w.note"]);
    assert_eq!(
        raw.value::<Json>("hparams").unwrap(),
        json!({"lr": 0.5, "a.b": [{"c": "x"}, {}, null], "layers": [1, 2]})
    );
}

#[test]
fn hyper_parameters_are_one_value_with_paths_without_them_and_stored_whole() {
    let group = [("lr", float(0.5)), ("params", list(&[text("w")]))];
    let path = |option: &str| vec![text("optimizer"), text("param_groups"), int(0), text(option)];
    let mut apart = Made::small();
    for (option, value) in &group {
        apart.object(&format!("optimizer.param_groups.0.{option}"), value, &path(option));
    }
    let mut without_paths = apart.clone();
    without_paths.paths.clear();
    let mut whole = Made::small();
    let group = dict(&group.map(|(option, value)| (text(option), value)));
    whole.object(
        "optimizer.param_groups",
        &list(&[group]),
        &[text("optimizer"), text("param_groups")],
    );
    for made in [apart, without_paths, whole] {
        let raw = made.open().unwrap();
        assert_eq!(raw.names(), ["iteration", "optimizer.param_groups", "w"]);
        let groups: Json = raw.value("optimizer.param_groups").unwrap();
        assert_eq!(groups, json!([{"lr": 0.5, "params": ["w"]}]));
    }
}

#[test]
fn flattened_hyper_parameters_are_groups_of_equal_ones() {
    let mut made = Made::small();
    for (parameter, lr) in [("fc1.weight", 0.5), ("fc2.weight", 0.5), ("fc1.bias", 0.25)] {
        for (option, value) in [("lr", lr), ("eps", 1.)] {
            let name = format!("param_groups.{parameter}.{option}");
            made.object(
                &format!("optimizer.{name}"),
                &float(value),
                &[text("optimizer"), text(&name)],
            );
        }
    }
    let raw = made.open().unwrap();
    assert_eq!(raw.names(), ["iteration", "optimizer.param_groups", "w"]);
    let groups: Json = raw.value("optimizer.param_groups").unwrap();
    assert_eq!(
        groups,
        json!([
            {"lr": 0.5, "eps": 1., "params": ["fc1.weight", "fc2.weight"]},
            {"lr": 0.25, "eps": 1., "params": ["fc1.bias"]},
        ])
    );
}

#[test]
fn tensors_inside_of_an_object_have_names_below_it() {
    let mut made = Made::small();
    // An archive of a tuple with one tensor and one number: what a tuple in a state becomes.
    let tensor = Stored::counting(3, &[2]);
    made.tensor("unused", &[2], &[(&[0], tensor)]);
    let (_, _, chunks) = made.tensors.pop().unwrap();
    made.objects.push(("pair".into(), chunks[0].place.clone()));
    made.object("tuple", &tuple(&[int(1), text("x")]), &[text("tuple")]);
    let raw = made.open().unwrap();
    assert_eq!(raw.names(), ["iteration", "pair", "tuple", "w"]);
    assert_eq!(elements(&raw, "pair"), [3., 4.]);
    assert_eq!(raw.value::<Json>("tuple").unwrap(), json!([1, "x"]));
}

#[test]
fn foreign_objects_are_leaves_that_name_their_class() {
    let mut made = Made::small();
    let foreign = instance(&testkit::pickle::global("os", "system"), None);
    made.object("sly", &foreign, &[text("sly")]);
    let raw = made.open().unwrap();
    let error = raw.value::<Json>("sly").unwrap_err().to_string();
    assert!(error.contains("sly") && error.contains("os.system"), "{error}");
    assert_eq!(raw.value::<u64>("iteration").unwrap(), 41);
}

#[test]
fn what_lightning_keeps_beside_it_is_part_of_it() {
    let made = Made::small();
    let metadata = made.metadata();
    let with_meta = |object: &[u8]| {
        let meta = zip(&[("data.pkl", &pickle(object)), ("version", b"3\n")]);
        let files = [
            (".metadata", &metadata[..]),
            ("__0_0.distcp", &made.files["__0_0.distcp"]),
            ("__1_0.distcp", &made.files["__1_0.distcp"]),
            ("meta.pt", &meta),
        ];
        open(&directory(&files))
    };
    let raw = with_meta(&dict(&[(text("epoch"), int(3))])).unwrap();
    assert_eq!(raw.names(), ["epoch", "iteration", "w"]);
    assert_eq!(raw.value::<u64>("epoch").unwrap(), 3);
    let error = with_meta(&dict(&[(text("iteration"), int(3))]))
        .unwrap_err()
        .to_string();
    assert!(error.contains("meta.pt") && error.contains("`iteration`"), "{error}");
}
