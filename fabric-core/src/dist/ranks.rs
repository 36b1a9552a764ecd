//! Ranks that act together: what each does by itself is a step, and every step ends with one verdict for all.
//!
//! A rank that fails, or panics, still comes to the end of its step and says so. So no rank leaves early, none waits for
//! one that is gone already, and all return from a save or a load at the same step.

mod agree;

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;

use crate::dist::group::{GroupError, ProcessGroup};
use crate::dist::mesh::Mesh;
use crate::dist::strategy::Strategy;
use crate::error::{Error, Result, panic_text};
use crate::io::pages;

pub(crate) use agree::{Lines, digest, value_line};

/// This rank among its like.
#[derive(Clone, Debug)]
pub(crate) struct Ranks {
    pub(crate) strategy: Strategy,
    pub(crate) mesh: Mesh,
    group: Arc<dyn ProcessGroup>,
}

/// The last byte of what a rank says at the end of a step.
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
            "strategy `{}` is for {} ranks, and the process group has {world}",
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

    pub(crate) fn alone(&self) -> bool {
        self.world_size() == 1
    }

    /// The same ranks with a channel of their own, for work in the background.
    pub(crate) fn duplicate(&self) -> Result<Self> {
        Ok(Self {
            group: Arc::from(self.group.duplicate()?),
            ..self.clone()
        })
    }

    /// Does `local` on this rank while the others do theirs; gives its result, and what every rank says, in their order.
    ///
    /// # Errors
    /// This rank's own error; [`Error::Rank`] if another one failed; [`Error::Group`] if ranks did not come together.
    ///
    /// # Panics
    /// If `local` does, after the others have been told.
    pub(crate) fn step<T>(
        &self,
        step: &str,
        local: impl FnOnce() -> Result<(T, Vec<u8>)>,
    ) -> Result<(T, Vec<Vec<u8>>)> {
        if self.alone() {
            return local().map(|(result, said)| (result, vec![said]));
        }
        // Nothing of what a panic may have left half done is looked at: it goes on to unwind.
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

    /// This rank's own error, and that ranks did not come together: the one may be why the other happened. A rank that is
    /// still writing finds its folder gone if the first one has given up the save for want of a third.
    fn with_the_group(&self, step: &str, error: Error, group: Option<GroupError>) -> Error {
        let Some(group) = group else { return error };
        Error::Rank {
            rank: self.rank(),
            step: step.to_owned(),
            message: format!("{error}; and {group}"),
        }
    }

    /// The same where there is nothing to say.
    pub(crate) fn together<T>(&self, step: &str, local: impl FnOnce() -> Result<T>) -> Result<T> {
        self.step(step, || local().map(|result| (result, Vec::new())))
            .map(|(result, _)| result)
    }

    /// A step of rank 0, whose bytes all ranks get.
    pub(crate) fn first(&self, step: &str, local: impl FnOnce() -> Result<Vec<u8>>) -> Result<Vec<u8>> {
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

/// The error of a rank that has no memory for the messages of a step.
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
