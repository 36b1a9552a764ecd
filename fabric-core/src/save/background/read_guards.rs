//! Read guards on the storages of tensors: no thread writes to a storage while its guard is held.

use std::time::Duration;

use candle_core::{Storage, StorageRef, Tensor};

use crate::entry::Row;
use crate::hash::HashMap;
use crate::save::contents::LiveTensor;
use crate::state::StorageKey;

/// The first timeout for a lock while other locks are held: longer than an optimizer's step writes to one tensor.
const PATIENCE: Duration = Duration::from_millis(2);

/// The longest such timeout: the thread that holds the lock may wait for a processor.
const MOST_PATIENCE: Duration = Duration::from_millis(64);

/// The lock of each row: rows in one storage share a lock.
///
/// A lock is taken once for all its rows: a waiting writer keeps new readers out, so a second guard on a lock could
/// wait for a writer that waits for the first guard.
#[derive(Debug)]
pub(super) struct StorageLocks {
    /// The number of the lock of each row.
    of_row: Vec<usize>,
    /// The number of rows behind each lock.
    rows: Vec<usize>,
}

impl StorageLocks {
    /// Groups rows by their storage. No lock is held when this returns.
    pub(super) fn of(rows: &[Row<LiveTensor>]) -> Self {
        let mut numbers = HashMap::default();
        let mut locks = Self {
            of_row: Vec::with_capacity(rows.len()),
            rows: Vec::new(),
        };
        for row in rows {
            let next = locks.rows.len();
            let number = *numbers
                .entry(StorageKey::of(&row.bytes.tensor).storage())
                .or_insert(next);
            if number == next {
                locks.rows.push(0);
            }
            locks.rows[number] += 1;
            locks.of_row.push(number);
        }
        locks
    }
}

/// The guards on all rows, taken by a thread that waits only a short time for a lock while it holds others.
///
/// A thread that trains may hold one lock and wait for another: to update a target network, it writes one tensor and
/// reads another. If the save held the second lock and waited for the first, there would be a deadlock. So if a lock is
/// not free in time, the save releases all guards, waits for that lock alone, and begins again with it.
///
/// A guard is dropped when the last row behind it has been released.
pub(super) struct ReadGuards<'t> {
    guards: Vec<Option<StorageRef<'t>>>,
    locks: StorageLocks,
}

impl<'t> ReadGuards<'t> {
    /// Takes all guards; waits for threads that write to the tensors.
    pub(super) fn take(rows: &'t [Row<LiveTensor>], locks: StorageLocks) -> Self {
        let mut first: Vec<Option<&'t Tensor>> = locks.rows.iter().map(|_| None).collect();
        for (row, &lock) in rows.iter().zip(&locks.of_row) {
            first[lock].get_or_insert(&row.bytes.tensor);
        }
        // Every lock has a row. No lock is held from one iteration to the next.
        let behind = first.into_iter().flatten();
        let behind: Vec<_> = behind
            .map(|tensor| StorageRef::rwlock(&tensor.storage_and_layout().0))
            .collect();
        let mut guards: Vec<Option<StorageRef<'t>>> = behind.iter().map(|_| None).collect();
        let mut patience = PATIENCE;
        loop {
            // A recursive read passes a waiting writer, which may wait for a guard that is held here.
            let missing = guards.iter_mut().zip(&behind).position(|(guard, lock)| {
                if guard.is_none() {
                    *guard = lock.try_read_recursive_for(patience);
                }
                guard.is_none()
            });
            let Some(missing) = missing else { break };
            guards.fill_with(|| None);
            guards[missing] = Some(behind[missing].read_recursive());
            patience = (2 * patience).min(MOST_PATIENCE);
        }
        Self { guards, locks }
    }

    /// The storage of a row; `None` once its guard is dropped.
    pub(super) fn storage(&self, row: usize) -> Option<&Storage> {
        self.guards[self.locks.of_row[row]].as_deref()
    }

    /// Releases a row.
    pub(super) fn release(&mut self, row: usize) {
        let lock = self.locks.of_row[row];
        self.locks.rows[lock] -= 1;
        if self.locks.rows[lock] == 0 {
            self.guards[lock] = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::Shards;
    use candle_core::Device;

    fn row(tensor: &Tensor) -> Row<LiveTensor> {
        Row {
            name: "".into(),
            whole: tensor.into(),
            region: None,
            bytes: LiveTensor {
                tensor: tensor.clone(),
                within: None,
                shards: Shards::default(),
                buffer: false,
            },
        }
    }

    #[test]
    fn views_of_one_allocation_are_behind_one_lock_until_the_last_is_released() {
        let whole = Tensor::arange(0f32, 10., &Device::Cpu).unwrap();
        let other = Tensor::arange(0f32, 3., &Device::Cpu).unwrap();
        let rows = [
            row(&whole.narrow(0, 0, 4).unwrap()),
            row(&other),
            row(&whole.narrow(0, 4, 6).unwrap()),
        ];
        let mut held = ReadGuards::take(&rows, StorageLocks::of(&rows));
        assert_eq!(held.guards.len(), 2);
        held.release(0);
        assert!(held.storage(0).is_some() && held.storage(2).is_some());
        held.release(2);
        assert!(held.storage(0).is_none() && held.storage(2).is_none() && held.storage(1).is_some());
    }
}
