//! Values, and the measures of tensors.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use candle_core::{DType, Device, Tensor};
use fabric_core::testing::Counting;
use fabric_core::{Checkpoint, DiffOptions, Error, Value};
use testkit::files;
use testkit::states::{Train, image, tensor};

use super::{change, diff, opened};

fn floats(elements: &[f32]) -> Tensor {
    Tensor::new(elements, &Device::Cpu).expect("memory")
}

#[test]
fn two_steps_of_a_training_differ_in_values_and_in_tensors_the_most_changed_first() {
    let mut state = Train::new(1);
    let before = opened(&state);
    state.step();
    let after = opened(&state);
    let diff = diff(&before, &after);
    let values: Vec<&str> = diff.values.iter().map(|value| value.name.as_str()).collect();
    let steps =
        ["fc1.bias", "fc1.weight", "fc2.bias", "fc2.weight"].map(|name| format!("optimizer.state.model.{name}.step"));
    assert_eq!(values[0], "iteration");
    assert_eq!(values[1..], steps);
    let [first, second] = [&diff.values[0].first, &diff.values[0].second].map(Value::decode::<u64>);
    assert_eq!((first, second), (Ok(103), Ok(104)));
    assert_eq!((diff.tensors.len(), diff.equal_tensors), (12, 0));
    let relative: Vec<f64> = diff
        .tensors
        .iter()
        .filter_map(|tensor| tensor.change?.relative)
        .collect();
    assert_eq!(relative.len(), 12);
    assert!(
        relative.is_sorted_by(|a, b| a >= b) && relative[11] > 0.,
        "{relative:?}"
    );
    assert!(diff.only_in_first.is_empty() && diff.only_in_second.is_empty());
}

#[test]
fn a_change_is_measured_in_elements_in_the_largest_and_in_norms() {
    let measured = change(&floats(&[3., 4., 0.]), &floats(&[3., 4., 0.5])).expect("floats");
    assert_eq!(
        (measured.elements, measured.largest, measured.relative),
        (1, Some(0.5), Some(0.1))
    );
    let from_zero = change(&floats(&[0.]), &floats(&[1.])).expect("floats");
    assert_eq!(from_zero.relative, Some(f64::INFINITY));
    let long = Tensor::new(&[i64::MAX], &Device::Cpu).expect("memory");
    let shorter = Tensor::new(&[i64::MAX - 1], &Device::Cpu).expect("memory");
    assert_eq!(change(&long, &shorter).expect("integers").elements, 1);
}

#[test]
fn another_element_type_is_a_difference_and_the_contents_are_compared_all_the_same() {
    let (wide, narrow) = (
        floats(&[1., 2., 0.1]),
        floats(&[1., 2., 0.1]).to_dtype(DType::BF16).expect("bf16"),
    );
    let measured = change(&wide, &narrow).expect("numbers");
    assert_eq!(measured.elements, 1, "0.1 has no exact form in bf16");
    assert!(measured.largest.is_some_and(|largest| largest < 1e-3), "{measured:?}");
}

#[test]
fn tensors_of_other_shapes_are_listed_first_and_not_measured() {
    let states = [(4, [1f32, 2.]), (5, [1., 3.])]
        .map(|(rows, b)| BTreeMap::from([("a".to_owned(), floats(&b)), ("z".to_owned(), tensor(1, (rows, 2)))]));
    let diff = diff(&opened(&states[0]), &opened(&states[1]));
    let names: Vec<&str> = diff.tensors.iter().map(|tensor| tensor.name.as_str()).collect();
    assert_eq!(names, ["z", "a"]);
    assert_eq!(diff.tensors[0].change, None);
    assert_eq!(
        (diff.tensors[0].first.shape(), diff.tensors[0].second.shape()),
        (&[4, 2][..], &[5, 2][..])
    );
}

#[derive(Checkpoint)]
struct Hyper {
    hparams: BTreeMap<String, f64>,
}

#[derive(Checkpoint)]
struct Text {
    a: String,
}

#[test]
fn maps_are_compared_key_by_key() {
    let with = |hparams: &[(&str, f64)]| {
        let hparams = hparams.iter().map(|(key, value)| ((*key).to_owned(), *value));
        opened(&Hyper {
            hparams: hparams.collect(),
        })
    };
    let diff = diff(
        &with(&[("lr", 0.5), ("old", 1.), ("width", 4.)]),
        &with(&[("lr", 0.25), ("new", 1.), ("width", 4.)]),
    );
    assert_eq!(diff.values.len(), 1);
    assert_eq!(diff.values[0].name, "hparams.lr");
    assert_eq!(diff.values[0].second, Value::of(&0.25).expect("a number"));
    assert_eq!(
        (diff.only_in_first, diff.only_in_second),
        (vec!["hparams.old".to_owned()], vec!["hparams.new".to_owned()])
    );
    assert_eq!(diff.equal_values, 1);
}

#[test]
fn a_tolerance_is_a_bound_on_the_relative_change() {
    let [first, second] = [1f32, 1.001].map(|number| (floats(&[number, 0.]), f64::from(number), 7u64));
    let [first, second] = [opened(&first), opened(&second)];
    let counts = |tolerance: f64| {
        let diff = first
            .diff(&second, DiffOptions::new().tolerance(tolerance))
            .expect("whole");
        (
            diff.values.len(),
            diff.tensors.len(),
            diff.equal_values,
            diff.equal_tensors,
        )
    };
    assert_eq!(counts(0.), (1, 1, 1, 0));
    assert_eq!(counts(1e-4), (1, 1, 1, 0));
    assert_eq!(counts(2e-3), (0, 0, 2, 1));
    for tolerance in [-1e-9, f64::NAN] {
        let refused = first.diff(&second, DiffOptions::new().tolerance(tolerance));
        assert!(matches!(refused, Err(Error::Options(_))), "{refused:?}");
    }
}

#[test]
fn equal_checkpoints_of_this_library_are_not_read() {
    let large = |seed| (tensor(seed, (1000, 100)), tensor(2, (500, 100)));
    let files = [
        ("a", image(&large(1))),
        ("b", image(&large(1))),
        ("c", image(&large(3))),
    ];
    let counting = Counting::new(files::holding(files));
    let fabric = files::on(counting.clone());
    let [a, b, c] = ["a", "b", "c"].map(|path| fabric.open(path).expect("saved"));
    counting.reset();
    let [equal, other] = [&b, &c].map(|second| diff(&a, second));
    assert!(equal.is_empty());
    assert_eq!((other.tensors.len(), other.equal_tensors), (1, 1));
    assert_eq!(counting.bytes_read("b"), 0);
    // The tensor that differs.
    assert_eq!((counting.bytes_read("a"), counting.bytes_read("c")), (400_000, 400_000));
}

#[test]
fn names_alone_are_compared_without_reading() {
    let files = [
        ("a", image(&(tensor(1, 1000), 1u64))),
        ("b", image(&(tensor(2, 1000), 2u64))),
    ];
    let counting = Counting::new(files::holding(files));
    let fabric = files::on(counting.clone());
    let [a, b] = ["a", "b"].map(|path| fabric.open(path).expect("saved"));
    counting.reset();
    let diff = a.diff(&b, DiffOptions::new().names_only(true)).expect("names");
    assert!(
        diff.is_empty() && (diff.equal_tensors, diff.equal_values) == (1, 1),
        "{diff:?}"
    );
    assert_eq!(counting.bytes_read("a") + counting.bytes_read("b"), 0);
}

#[test]
fn the_callback_hears_of_every_byte_and_its_panic_goes_on() {
    let (a, b) = (
        opened(&(tensor(1, (1 << 20, 3)), 7u64)),
        opened(&(tensor(2, (1 << 20, 3)), 7u64)),
    );
    let calls = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&calls);
    let options = DiffOptions::new().progress(move |progress| {
        seen.lock()
            .expect("no panic")
            .push((progress.bytes_done, progress.bytes_in_all));
    });
    a.diff(&b, options).expect("whole");
    let calls = calls.lock().expect("no panic");
    let all = 2 * 12 * (1 << 20);
    assert_eq!(calls.last(), Some(&(all, all)));
    assert!(calls.len() > 6 && calls.is_sorted(), "{calls:?}");

    let options = DiffOptions::new().progress(|_| panic!("stop here"));
    let compare = std::panic::AssertUnwindSafe(|| a.diff(&b, options));
    let panic = std::panic::catch_unwind(compare).expect_err("the panic of the callback");
    assert_eq!(panic.downcast_ref::<&str>(), Some(&"stop here"));
}

#[test]
fn a_tensor_and_a_value_of_one_name_are_two_entries() {
    let tensor = opened(&BTreeMap::from([("a".to_owned(), floats(&[1., 2.]))]));
    let diff = diff(&tensor, &opened(&Text { a: "text".to_owned() }));
    assert_eq!(
        (diff.only_in_first, diff.only_in_second),
        (vec!["a".to_owned()], vec!["a".to_owned()])
    );
    assert_eq!(diff.values.len() + diff.tensors.len(), 0);
}
