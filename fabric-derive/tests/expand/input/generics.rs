#[derive(Checkpoint)]
struct Blocks<T, M = String, const N: usize = 2>
where
    T: Clone,
{
    blocks: [T; N],
    head: Option<Box<T>>,
    #[checkpoint(metadata)]
    notes: M,
    step: u64,
    #[checkpoint(flatten)]
    rest: Box<T>,
}

#[derive(Checkpoint)]
struct List<T> {
    value: T,
    next: Option<Box<List<T>>>,
}
