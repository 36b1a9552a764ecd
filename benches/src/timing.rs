//! Medians of tasks that take turns.

use std::path::{Path, PathBuf};
use std::time::Instant;

use crate::Outcome;
use crate::figures::Kind;
use crate::measured::{Measured, Timed};
use crate::{files, system};

/// The times of one task, in seconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Summary {
    pub(crate) median: f64,
    /// The first and the third quartile.
    pub(crate) quartiles: (f64, f64),
}

impl Summary {
    pub(crate) fn of(mut times: Vec<f64>) -> Self {
        times.sort_by(f64::total_cmp);
        let at = |part: usize| times.get((times.len() - 1) * part / 4).copied().unwrap_or(f64::NAN);
        Self {
            median: at(2),
            quartiles: (at(1), at(3)),
        }
    }
}

/// What is measured.
pub(crate) struct Task<'t> {
    name: String,
    kind: Kind,
    before: Before,
    /// Bytes of memory that are made ready before each round.
    memory: usize,
    work: Box<dyn FnMut() -> Outcome<f64> + 't>,
}

/// What happens before each round, outside of the time.
enum Before {
    Nothing,
    /// What the task makes is removed, and what that leaves for the system to do is done; so is what the task leaves, after
    /// it.
    Remove(PathBuf),
    /// The files' pages leave the page cache.
    Drop(PathBuf),
}

impl<'t> Task<'t> {
    /// Work that is timed here.
    pub(crate) fn new(kind: Kind, name: impl Into<String>, mut work: impl FnMut() -> Outcome + 't) -> Self {
        Self::timing_itself(kind, name, move || {
            let begin = Instant::now();
            work()?;
            Ok(begin.elapsed().as_secs_f64())
        })
    }

    /// Work that returns its seconds.
    pub(crate) fn timing_itself(kind: Kind, name: impl Into<String>, work: impl FnMut() -> Outcome<f64> + 't) -> Self {
        Self {
            name: name.into(),
            kind,
            before: Before::Nothing,
            memory: 0,
            work: Box::new(work),
        }
    }

    /// Makes this file or directory, which is removed before each round: every round makes new pages.
    pub(crate) fn making(mut self, path: &Path) -> Self {
        self.before = Before::Remove(path.to_owned());
        self
    }

    /// Reads this file from the device: its pages are dropped before each round.
    pub(crate) fn cold(mut self, path: &Path) -> Self {
        self.before = Before::Drop(path.to_owned());
        self
    }

    /// Takes so many bytes of memory from the system, for itself or for the page cache.
    pub(crate) fn needing(mut self, bytes: usize) -> Self {
        // What is not taken whole, and what others take meanwhile.
        self.memory = bytes + bytes / 4;
        self
    }

    fn once(&mut self) -> Outcome<f64> {
        match &self.before {
            Before::Nothing => {}
            Before::Remove(path) => {
                files::remove(path)?;
                system::sync();
            }
            Before::Drop(path) => files::drop_pages(path)?,
        }
        if self.memory > 0 {
            system::ready_memory(self.memory);
        }
        let seconds = (self.work)().map_err(|error| format!("{}: {error}", self.name))?;
        if let Before::Remove(_) = self.before {
            system::sync();
        }
        Ok(seconds)
    }
}

/// Times the tasks in turn, round by round, so that a slow moment of the machine meets all of them.
pub(crate) fn in_turn(mut tasks: Vec<Task<'_>>, runs: usize) -> Outcome<Measured> {
    let mut times = vec![Vec::with_capacity(runs); tasks.len()];
    for round in 0..=runs {
        for (task, times) in tasks.iter_mut().zip(&mut times) {
            let seconds = task.once()?;
            // The first round fills caches and is not counted.
            if round > 0 {
                times.push(seconds);
            }
        }
    }
    let timed = |(task, times): (Task<'_>, Vec<f64>)| Timed {
        name: task.name,
        kind: task.kind,
        seconds: Summary::of(times),
    };
    Ok(Measured(tasks.into_iter().zip(times).map(timed).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_has_the_middle_and_the_quarters() {
        let summary = Summary::of(vec![7., 1., 3., 2., 6., 4., 5.]);
        assert_eq!((summary.median, summary.quartiles), (4., (2., 5.)));
    }

    #[test]
    fn tasks_take_turns_and_the_first_round_does_not_count() -> Outcome {
        let order = std::cell::RefCell::new(Vec::new());
        let task = |name: &'static str| {
            let order = &order;
            Task::timing_itself(Kind::Ours, name, move || {
                order.borrow_mut().push(name);
                Ok(if order.borrow().len() <= 2 { 100. } else { 1. })
            })
        };
        let measured = in_turn(vec![task("a"), task("b")], 3)?;
        assert_eq!(order.borrow().join(""), "abababab");
        assert!(
            measured
                .0
                .iter()
                .all(|timed| (timed.seconds.quartiles.1 - 1.).abs() < 1e-9)
        );
        Ok(())
    }
}
