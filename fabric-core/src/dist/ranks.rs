//! Ranks that act together, in steps: each rank works by itself, and every step ends with one verdict for all ranks.
//!
//! A rank that fails or panics still arrives at the end of its step, with its error as the message. So no rank leaves
//! early, none waits for a rank that is gone, and all ranks return from a save or a load at the same step.

mod agree;

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;

use crate::dist::group::{GroupError, ProcessGroup};
use crate::dist::mesh::Mesh;
use crate::dist::strategy::Strategy;
use crate::error::{Error, Result, panic_text};
use crate::io::pages;

pub(crate) use agree::{Lines, SHARED, digest, value_line, version_of};

/// A rank, with its strategy and its process group.
#[derive(Clone, Debug)]
pub(crate) struct Ranks {
    pub(crate) strategy: Strategy,
    pub(crate) mesh: Mesh,
    group: Arc<dyn ProcessGroup>,
}

/// The last byte of the message of a rank at a step.
const DONE: u8 = 0;
const FAILED: u8 = 1;

impl Ranks {
    /// # Errors
    /// If the strategy's mesh and the process group are of different sizes.
    pub(crate) fn new(strategy: Strategy, group: Arc<dyn ProcessGroup>) -> Result<Self> {
        let world = group.world_size();
        let strategy = strategy.ranks(world);
        let mesh = strategy.grid().map_err(Error::Strategy)?;
        if mesh.world_size() == world {
            return Ok(Self { strategy, mesh, group });
        }
        Err(Error::Strategy(format!(
            "strategy `{}` is for {} ranks, and the process group has {world}; give both the same number",
            strategy.name(),
            mesh.world_size()
        )))
    }

    pub(crate) fn rank(&self) -> usize {
        self.group.rank()
    }

    pub(crate) fn world_size(&self) -> usize {
        self.mesh.world_size()
    }

    pub(crate) fn is_single(&self) -> bool {
        self.world_size() == 1
    }

    /// These ranks over a duplicate of the process group, for work in the background.
    pub(crate) fn duplicate(&self) -> Result<Self> {
        Ok(Self {
            group: Arc::from(self.group.duplicate()?),
            ..self.clone()
        })
    }

    /// Runs `local` on this rank, while the other ranks run theirs. Returns the result of `local`, and the messages of
    /// all ranks in their order.
    ///
    /// # Errors
    /// The error of this rank; [`Error::Rank`] if another rank failed; [`Error::Group`] if the process group failed.
    ///
    /// # Panics
    /// If `local` panics, after the other ranks have its message.
    pub(crate) fn step<T>(
        &self,
        step: &str,
        local: impl FnOnce() -> Result<(T, Vec<u8>)>,
    ) -> Result<(T, Vec<Vec<u8>>)> {
        if self.is_single() {
            return local().map(|(result, said)| (result, vec![said]));
        }
        // State that a panic has left half changed is not used: the panic goes on.
        let outcome = catch_unwind(AssertUnwindSafe(local));
        let (outcome, message) = match outcome {
            Ok(Ok((result, mut said))) => match pages::push(&mut said, DONE) {
                Ok(()) => (Ok(Ok(result)), said),
                Err(source) => {
                    let error = no_memory(step, source);
                    let message = failed(&error.to_string());
                    (Ok(Err(error)), message)
                }
            },
            Ok(Err(error)) => {
                let message = failed(&error.to_string());
                (Ok(Err(error)), message)
            }
            Err(panic) => {
                let message = failed(&format!("it panicked: {}", panic_text(&*panic)));
                (Err(panic), message)
            }
        };
        let all = self.group.all_gather(step, &message);
        let result = match outcome {
            Err(panic) => resume_unwind(panic),
            Ok(Err(error)) => return Err(self.with_the_group(step, error, all.err())),
            Ok(Ok(result)) => result,
        };
        let mut said = Vec::new();
        for (rank, mut message) in all?.into_iter().enumerate() {
            if message.pop() != Some(DONE) {
                return Err(Error::Rank {
                    rank,
                    step: step.to_owned(),
                    message: String::from_utf8_lossy(&message).into_owned(),
                });
            }
            said.push(message);
        }
        Ok((result, said))
    }

    /// The error of this rank, with the error of the process group: the second may be the cause of the first. A rank
    /// that still writes finds its folder gone if rank 0 has given up the save because a third rank is missing.
    fn with_the_group(&self, step: &str, error: Error, group: Option<GroupError>) -> Error {
        let Some(group) = group else { return error };
        Error::Rank {
            rank: self.rank(),
            step: step.to_owned(),
            message: format!("{error}; and {group}"),
        }
    }

    /// A step whose messages are empty.
    pub(crate) fn together<T>(&self, step: &str, local: impl FnOnce() -> Result<T>) -> Result<T> {
        self.step(step, || local().map(|result| (result, Vec::new())))
            .map(|(result, _)| result)
    }

    /// A step at which rank 0 alone works, and all ranks return its message.
    pub(crate) fn on_rank_zero(&self, step: &str, local: impl FnOnce() -> Result<Vec<u8>>) -> Result<Vec<u8>> {
        let local = || {
            let said = if self.rank() == 0 { local()? } else { Vec::new() };
            Ok(((), said))
        };
        let ((), said) = self.step(step, local)?;
        Ok(said.into_iter().next().unwrap_or_default())
    }
}

/// The message of a rank that failed.
fn failed(what: &str) -> Vec<u8> {
    [what.as_bytes(), &[FAILED]].concat()
}

/// The error of a rank without memory for the messages of a step.
pub(crate) fn no_memory(step: &str, source: io::Error) -> Error {
    Error::Memory {
        purpose: format!("exchange messages at `{step}`"),
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dist::group::ThreadGroup;

    #[test]
    fn who_fails_while_another_is_gone_says_both() {
        let mut world = ThreadGroup::new(2).into_iter();
        let group = world.next().unwrap();
        drop(world);
        let ranks = Ranks::new(Strategy::ddp(), Arc::new(group)).unwrap();
        let failed = || Err::<(), _>(Error::Internal("the disk is gone".into()));
        let error = ranks.together("write", failed).unwrap_err().to_string();
        assert!(
            error.contains("the disk is gone") && error.contains("rank 1 had left"),
            "{error}"
        );
    }
}
