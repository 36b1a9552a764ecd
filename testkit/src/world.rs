//! Ranks as threads, each with its own part of one state.

use std::time::Duration;

use candle_core::{Device, Tensor};
use fabric_core::group::ThreadGroup;
use fabric_core::storage::Storage;
use fabric_core::testing::Memory;
use fabric_core::{Checkpoint, Fabric, Layout, Strategy};

/// Runs `rank` on every rank of a strategy's world, and gives what each returned, in their order.
pub fn run<T: Send>(strategy: &Strategy, ranks: usize, storage: &Memory, rank: impl Fn(&Fabric) -> T + Sync) -> Vec<T> {
    let storages = vec![storage.clone(); ranks];
    let ended = run_over(strategy, &storages, ThreadGroup::TIMEOUT, rank);
    let result = |ended: std::thread::Result<T>| ended.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    ended.into_iter().map(result).collect()
}

/// The same with a storage for each rank, and a timeout. A rank may panic.
pub fn run_over<T: Send, S: Storage + Clone + 'static>(
    strategy: &Strategy,
    storages: &[S],
    timeout: Duration,
    rank: impl Fn(&Fabric) -> T + Sync,
) -> Vec<std::thread::Result<T>> {
    let world = ThreadGroup::with_timeout(storages.len(), timeout);
    std::thread::scope(|scope| {
        let threads: Vec<_> = world
            .into_iter()
            .zip(storages)
            .map(|(group, storage)| {
                let fabric = Fabric::builder()
                    .strategy(strategy.clone())
                    .process_group(group)
                    .storage(storage.clone())
                    .build()
                    .expect("a world of the strategy's size");
                let rank = &rank;
                scope.spawn(move || rank(&fabric))
            })
            .collect();
        threads.into_iter().map(std::thread::ScopedJoinHandle::join).collect()
    })
}

/// One process without a strategy.
pub fn alone(storage: &Memory) -> Fabric {
    Fabric::builder().storage(storage.clone()).build().expect("one device")
}

/// Tensors that are split in every way, beside whole ones.
#[derive(Checkpoint)]
pub struct State {
    #[checkpoint(shard(dim = 0, axis = "tp"))]
    pub column: Tensor,
    #[checkpoint(shard(dim = 1, axis = "tp"))]
    pub row: Tensor,
    #[checkpoint(shard(dim = 0, axis = "dp"), shard(dim = 1, axis = "tp"))]
    pub both: Tensor,
    #[checkpoint(shard(dim = 0, axis = "fsdp"))]
    pub rows: Tensor,
    pub whole: Tensor,
    pub scalar: Tensor,
    pub iteration: u64,
}

/// How long each axis of a strategy is, and where a rank is along it.
pub fn along(strategy: &Strategy, world: usize, rank: usize, axis: &str) -> (usize, usize) {
    let axes: Vec<(&str, usize)> = strategy
        .axes()
        .map(|(name, size)| (name, size.unwrap_or(world)))
        .collect();
    let at = axes.iter().position(|(name, _)| *name == axis);
    let Some(at) = at.filter(|_| strategy.layout() == Layout::Directory) else {
        return (0, 1);
    };
    let inner: usize = axes[at + 1..].iter().map(|(_, size)| size).product();
    (rank / inner % axes[at].1, axes[at].1)
}

/// A rank's part of a tensor, as equal as can be, longer ones first.
pub fn part(whole: &Tensor, dim: usize, (at, of): (usize, usize)) -> Tensor {
    let len = whole.dims()[dim];
    let (each, more) = (len / of, len % of);
    let start = at * each + at.min(more);
    let part = whole.narrow(dim, start, each + usize::from(at < more)).expect("inside");
    part.force_contiguous().expect("a copy")
}

pub fn numbers(shape: &[usize], start: f32) -> Tensor {
    let count: usize = shape.iter().product();
    let values: Vec<f32> = (0..count)
        .map(|n| start + f32::from(u16::try_from(n).expect("few")))
        .collect();
    Tensor::from_vec(values, shape, &Device::Cpu).expect("as many as the shape says")
}

impl State {
    /// This rank's part of a state whose every element tells `seed` and its place.
    pub fn new(fabric: &Fabric, seed: u16) -> Self {
        let start = f32::from(seed);
        let strategy = fabric.strategy();
        let along = |axis| along(strategy, fabric.world_size(), fabric.rank(), axis);
        let both = part(&numbers(&[7, 6], start + 2000.), 0, along("dp"));
        Self {
            column: part(&numbers(&[8, 3], start), 0, along("tp")),
            row: part(&numbers(&[5, 9], start + 1000.), 1, along("tp")),
            both: part(&both, 1, along("tp")),
            rows: part(&numbers(&[10, 4], start + 3000.), 0, along("fsdp")),
            whole: numbers(&[3, 5], start + 4000.),
            scalar: numbers(&[], start),
            iteration: u64::from(seed) << 33,
        }
    }

    pub fn contents(&self) -> (Vec<Vec<f32>>, u64) {
        let tensors = [
            &self.column,
            &self.row,
            &self.both,
            &self.rows,
            &self.whole,
            &self.scalar,
        ];
        let values = |tensor: &Tensor| tensor.flatten_all().and_then(|flat| flat.to_vec1()).expect("f32");
        (tensors.into_iter().map(values).collect(), self.iteration)
    }
}
