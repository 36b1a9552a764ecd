//! A trainer to start from: copy it, and change what you like.
//!
//! It owns the loop, and nothing else: the model and its loss are a [`Task`], what happens on the way is done by
//! [`Callback`]s, and which checkpoints are kept is decided by [`Checkpoints`]. All that a run needs to go on is one
//! struct, [`RunState`].

mod callback;
mod checkpoints;

use candle_core::Tensor;
use fabric_core::Checkpoint;
use fabric_core::optim::{AdamW, Optimizer};

pub use self::callback::{Callback, Flow};
pub use self::checkpoints::Checkpoints;
use crate::Result;

/// What is trained: a model with its data and its loss.
///
/// Derive `Checkpoint` for it, and mark the data `#[checkpoint(skip)]`.
pub trait Task: Checkpoint {
    /// What one step is made from.
    type Batch;

    /// The optimizer over those parameters that are to be trained.
    ///
    /// # Errors
    /// If it cannot be built.
    fn optimizer(&self) -> Result<AdamW>;

    /// The number of steps in an epoch.
    fn steps_per_epoch(&self) -> u64;

    /// The batch of a step, counted from the start of the run. It may depend on nothing else, or a resumed run would go
    /// another way.
    ///
    /// # Errors
    /// If the data cannot be read.
    fn batch(&self, step: u64) -> Result<Self::Batch>;

    /// The loss on a batch.
    ///
    /// # Errors
    /// If the model does not fit the batch.
    fn loss(&self, batch: &Self::Batch) -> Result<Tensor>;

    /// How bad the model is on data it was not trained on; lower is better.
    ///
    /// # Errors
    /// If the model does not fit the data.
    fn validate(&self) -> Result<f32>;
}

/// All that a run needs to go on: what its checkpoints hold.
#[derive(Checkpoint, Debug)]
pub struct RunState<T> {
    /// The model; its entries have the names they would have without a trainer.
    #[checkpoint(flatten)]
    pub task: T,
    /// The optimizer, with its moments.
    pub optimizer: AdamW,
    /// Steps taken.
    pub step: u64,
    /// The lowest validation metric so far.
    pub best: Option<f32>,
    /// The validation metric of each epoch.
    pub history: Vec<f32>,
}

impl<T: Task> RunState<T> {
    /// The state of a run that has not begun.
    ///
    /// # Errors
    /// If the optimizer cannot be built.
    pub fn new(task: T) -> Result<Self> {
        Ok(Self {
            optimizer: task.optimizer()?,
            task,
            step: 0,
            best: None,
            history: Vec::new(),
        })
    }

    /// Epochs completed.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.step / self.task.steps_per_epoch().max(1)
    }

    /// One step; returns the loss.
    fn advance(&mut self) -> Result<f32> {
        let loss = self.task.loss(&self.task.batch(self.step)?)?;
        self.optimizer.backward_step(&loss)?;
        self.step += 1;
        Ok(loss.to_scalar()?)
    }

    /// Validates; says whether the model was never better.
    fn validate(&mut self) -> Result<(f32, bool)> {
        let metric = self.task.validate()?;
        let improved = self.best.is_none_or(|best| metric < best);
        if improved {
            self.best = Some(metric);
        }
        self.history.push(metric);
        Ok((metric, improved))
    }
}

/// The loop.
pub struct Trainer<T> {
    epochs: u64,
    checkpoints: Checkpoints,
    callbacks: Vec<Box<dyn Callback<T>>>,
}

impl<T: Task> Trainer<T> {
    /// A trainer for that many epochs in all, counted from the start of the run, not from where it is resumed.
    #[must_use]
    pub fn new(epochs: u64, checkpoints: Checkpoints) -> Self {
        Self {
            epochs,
            checkpoints,
            callbacks: Vec::new(),
        }
    }

    /// Adds a callback; they are called in the order in which they were added.
    #[must_use]
    pub fn with(mut self, callback: impl Callback<T> + 'static) -> Self {
        self.callbacks.push(Box::new(callback));
        self
    }

    /// The checkpoints of the run.
    #[must_use]
    pub fn checkpoints(&self) -> &Checkpoints {
        &self.checkpoints
    }

    /// Trains to the end, or until a callback or a signal stops it, from the newest checkpoint if there is one.
    ///
    /// # Errors
    /// What the task, a callback or a checkpoint meets.
    pub fn fit(&mut self, task: T) -> Result<RunState<T>> {
        let mut state = RunState::new(task)?;
        let resumed = self.checkpoints.resume(&mut state)?;
        let mut saved = resumed.as_ref().map(|resumed| resumed.step);
        self.tell(|callback| callback.on_train_start(&state, resumed.as_ref()))?;
        while state.epoch() < self.epochs {
            let (flow, is_saved) = self.step(&mut state)?;
            saved = is_saved.then_some(state.step).or(saved);
            if flow == Flow::Stop || self.checkpoints.stop_requested()? {
                break;
            }
        }
        // The steps since the last checkpoint are not lost, whoever ended the run.
        if saved != Some(state.step) {
            self.checkpoints.save(&state, None)?;
        }
        self.checkpoints.wait()?;
        self.tell(|callback| callback.on_train_end(&state))?;
        Ok(state)
    }

    /// One step, with a validation at the end of an epoch. Says also whether its state was saved.
    fn step(&mut self, state: &mut RunState<T>) -> Result<(Flow, bool)> {
        let loss = state.advance()?;
        let mut flow = self.tell(|callback| callback.on_step_end(state, loss))?;
        let (mut metric, mut improved) = (None, false);
        if state.step.is_multiple_of(state.task.steps_per_epoch()) {
            let validated;
            (validated, improved) = state.validate()?;
            metric = Some(validated);
            flow = flow.and(self.tell(|callback| callback.on_epoch_end(state, validated))?);
        }
        let saves = improved || self.checkpoints.are_due(state.step);
        if saves {
            self.checkpoints.save(state, metric)?;
        }
        Ok((flow, saves))
    }

    /// Calls every callback, also after one that wants to stop.
    fn tell(&mut self, mut call: impl FnMut(&mut dyn Callback<T>) -> Result<Flow>) -> Result<Flow> {
        let mut flow = Flow::Continue;
        for callback in &mut self.callbacks {
            flow = flow.and(call(&mut **callback)?);
        }
        Ok(flow)
    }
}

impl<T> std::fmt::Debug for Trainer<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Trainer")
            .field("epochs", &self.epochs)
            .field("checkpoints", &self.checkpoints)
            .finish_non_exhaustive()
    }
}
