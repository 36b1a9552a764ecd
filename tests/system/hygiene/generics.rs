//! Type, lifetime and const parameters; defaults, where-clauses and bounds; recursion.

use fabric_core::Checkpoint;
use fabric_core::candle_nn::Linear;

use super::is_checkpoint;

#[derive(Checkpoint, Debug)]
struct Wrapper<T> {
    inner: T,
}

#[derive(Checkpoint, Debug)]
struct Defaults<T = u64, const N: usize = 2> {
    blocks: [T; N],
}

#[derive(Checkpoint, Debug)]
struct Bounded<T: Clone, U>
where
    U: Default + Iterator,
    U::Item: Checkpoint,
{
    first: T,
    item: Option<U::Item>,
    #[checkpoint(skip)]
    #[allow(dead_code, reason = "nothing reads a skipped field")]
    rest: U,
}

#[derive(Checkpoint, Debug)]
struct Borrowed<'a, 'b: 'a, T: ?Sized> {
    short: &'a mut Linear,
    long: Option<&'b mut u64>,
    value: &'a mut T,
}

#[derive(Checkpoint, Debug)]
#[allow(clippy::use_self, reason = "a user may write either")]
struct List<T> {
    value: T,
    next: Option<Box<List<T>>>,
    #[checkpoint(rename = "other")]
    same: Option<Box<Self>>,
}

#[derive(Checkpoint, Debug)]
struct Metadata<M> {
    #[checkpoint(metadata)]
    values: std::collections::BTreeMap<String, M>,
}

#[derive(Checkpoint, Debug)]
#[checkpoint(bound = "")]
struct Phantom<T> {
    step: u64,
    #[checkpoint(skip)]
    of: std::marker::PhantomData<T>,
}

#[derive(Checkpoint, Debug)]
#[checkpoint(bound = "T: Checkpoint + Copy, U: Checkpoint,")]
struct Explicit<T, U> {
    pair: (Vec<T>, U),
}

#[derive(Checkpoint, Debug)]
struct Flattened<T, const N: usize> {
    #[checkpoint(flatten)]
    inner: T,
    #[checkpoint(flatten, optional, filter = "weight")]
    maybe: Option<Box<T>>,
    #[checkpoint(shard(dim = 0))]
    blocks: [Wrapper<T>; N],
    step: u64,
}

/// Two schemas that contain each other: the inferred bounds would go round in circles.
#[derive(Checkpoint, Debug)]
#[checkpoint(bound = "T: Checkpoint")]
struct Even<T> {
    value: T,
    next: Option<Box<Odd<T>>>,
}

#[derive(Checkpoint, Debug)]
#[checkpoint(bound = "T: Checkpoint")]
struct Odd<T> {
    next: Option<Box<Even<T>>>,
}

/// Names that occur in generated code.
#[derive(Checkpoint, Debug)]
struct Parameters<S, State, Fields, A, B> {
    s: S,
    state: State,
    fields: Fields,
    pair: (A, B),
}

#[derive(Debug)]
struct Opaque;

#[test]
fn bounds_follow_from_the_fields() {
    is_checkpoint::<Wrapper<Linear>>();
    is_checkpoint::<Wrapper<Wrapper<Vec<u64>>>>();
    is_checkpoint::<Defaults>();
    is_checkpoint::<Defaults<Linear, 3>>();
    is_checkpoint::<Bounded<u64, std::vec::IntoIter<u64>>>();
    is_checkpoint::<Borrowed<'static, 'static, Linear>>();
    is_checkpoint::<List<u64>>();
    is_checkpoint::<Even<u64>>();
    is_checkpoint::<Metadata<Vec<f64>>>();
    is_checkpoint::<Phantom<Opaque>>();
    is_checkpoint::<Explicit<u64, Linear>>();
    is_checkpoint::<Flattened<Wrapper<u64>, 2>>();
    is_checkpoint::<Parameters<u64, u64, u64, u64, u64>>();
}

#[test]
fn handles_need_no_bounds() {
    assert_eq!(Wrapper::<Opaque>::FIELDS.inner.name(), "inner");
    let deep = Flattened::<Wrapper<Linear>, 2>::FIELDS
        .inner
        .then(Wrapper::FIELDS.inner);
    assert_eq!(deep.name(), "inner");
    assert_eq!(
        Wrapper::<List<u64>>::FIELDS.inner.then(List::FIELDS.same).name(),
        "inner.other"
    );
}
