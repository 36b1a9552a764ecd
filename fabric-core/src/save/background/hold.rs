//! Read guards on the memory of tensors: as long as one is held, nobody writes there.

use std::time::Duration;

use candle_core::{Storage, StorageRef, Tensor};

use crate::entry::Row;
use crate::hash::HashMap;
use crate::save::contents::Live;
use crate::state::StorageKey;

/// How long a lock is waited for at first while others are held: longer than a step of an optimizer writes to one tensor.
const PATIENCE: Duration = Duration::from_millis(2);

/// A thread that has a lock may have no processor for a while.
const MOST_PATIENCE: Duration = Duration::from_millis(64);

/// Which rows lie in one allocation and so behind one lock.
///
/// A lock is taken once, whatever lies behind it: a writer that waits lets no new reader in, so a second guard beside a
/// first could wait for a writer that waits for the first.
#[derive(Debug)]
pub(crate) struct Locks {
    /// For each row, the number of its lock.
    of_row: Vec<usize>,
    /// For each lock, how many rows lie behind it.
    rows: Vec<usize>,
}

impl Locks {
    /// Looks at each row's memory for a moment. Nothing is held yet.
    pub(crate) fn of(rows: &[Row<Live>]) -> Self {
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

/// The guards on all rows, taken by a thread that does not wait long for one while it holds others.
///
/// Threads that train may hold one lock and wait for another: to set a target network, one is written and another read. If the
/// save held what such a thread waits for, and waited for what it holds, neither would go on. So a lock that cannot be had
/// soon makes the save release all that it has, wait for that one alone, and begin again with it.
///
/// Each guard is dropped when the last row behind it was released.
pub(crate) struct Held<'t> {
    guards: Vec<Option<StorageRef<'t>>>,
    locks: Locks,
}

impl<'t> Held<'t> {
    /// Takes them all; waits for whoever writes to one now.
    pub(crate) fn take(rows: &'t [Row<Live>], locks: Locks) -> Self {
        let mut first: Vec<Option<&'t Tensor>> = locks.rows.iter().map(|_| None).collect();
        for (row, &lock) in rows.iter().zip(&locks.of_row) {
            first[lock].get_or_insert(&row.bytes.tensor);
        }
        // Every lock has a row. Nothing is held from one to the next.
        let behind = first.into_iter().flatten();
        let behind: Vec<_> = behind
            .map(|tensor| StorageRef::rwlock(&tensor.storage_and_layout().0))
            .collect();
        let mut guards: Vec<Option<StorageRef<'t>>> = behind.iter().map(|_| None).collect();
        let mut patience = PATIENCE;
        loop {
            // A writer that waits keeps ordinary readers out; it may wait for a guard that is held here.
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

    /// The memory that a row lies in; `None` once it was released.
    pub(crate) fn storage(&self, row: usize) -> Option<&Storage> {
        self.guards[self.locks.of_row[row]].as_deref()
    }

    /// Says that a row is not needed any more.
    pub(crate) fn release(&mut self, row: usize) {
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

    fn row(tensor: &Tensor) -> Row<Live> {
        Row {
            name: "".into(),
            whole: tensor.into(),
            region: None,
            bytes: Live {
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
        let mut held = Held::take(&rows, Locks::of(&rows));
        assert_eq!(held.guards.len(), 2);
        held.release(0);
        assert!(held.storage(0).is_some() && held.storage(2).is_some());
        held.release(2);
        assert!(held.storage(0).is_none() && held.storage(2).is_none() && held.storage(1).is_some());
    }
}
