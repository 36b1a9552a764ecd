//! The training of a small GPT, with everything that it needs to go on in one state.

pub mod model;
pub mod random;
pub mod reader;

use candle_core::{DType, Device, Tensor, Var};
use fabric_core::optim::{AdamW, Groups, Optimizer, ParamsAdamW, Schedule, clip_grad_norm};
use fabric_core::{Checkpoint, named_parameters};

use self::model::Gpt;
use self::random::Random;
use self::reader::{CONTEXT, Reader};
use crate::Result;
use crate::parallel::text::{numbers, vocabulary};

/// Steps of the whole training.
pub const STEPS: u64 = 40;

/// The part of the old average in the new one.
const DECAY: f64 = 0.9;

/// The largest norm of all gradients together.
const MAX_NORM: f64 = 1.;

/// All that the training needs to go on: what its checkpoints hold.
#[derive(Checkpoint, Debug)]
pub struct Training {
    /// The model that is trained.
    pub model: Gpt,
    /// The exponential moving average of its weights.
    pub average: Gpt,
    /// Two groups: matrices with weight decay, and biases and norms without.
    pub optimizer: AdamW,
    /// The learning rate of each step.
    pub schedule: Schedule,
    /// The position in the data.
    pub reader: Reader,
    /// The random numbers of the dropout.
    pub random: Random,
    /// Steps taken.
    pub step: u64,
}

impl Training {
    /// A training that has not begun. The seed decides everything: the weights, the order of the data and the dropout.
    ///
    /// # Errors
    /// If there is no memory for it.
    pub fn new(seed: u64) -> Result<Self> {
        let mut random = Random::new(seed);
        let characters = vocabulary().len();
        // The average begins with the weights of the model.
        let average = Gpt::new(characters, &mut random.clone())?;
        let model = Gpt::new(characters, &mut random)?;
        let schedule = Schedule::cosine(1e-2, STEPS).floor(1e-3).warm_up(5);
        let decayed = ParamsAdamW {
            lr: schedule.at(0),
            weight_decay: 0.1,
            ..ParamsAdamW::default()
        };
        let plain = ParamsAdamW {
            weight_decay: 0.,
            ..decayed.clone()
        };
        let groups = Groups::of(&model, decayed).rule("biases and norms", |_, tensor| tensor.rank() < 2, plain)?;
        Ok(Self {
            optimizer: AdamW::with_groups(groups)?,
            model,
            average,
            schedule,
            reader: Reader::new(seed),
            random,
            step: 0,
        })
    }

    /// One step; returns the loss.
    ///
    /// # Errors
    /// If there is no memory for it.
    pub fn advance(&mut self) -> Result<f32> {
        let (inputs, targets) = self.reader.next_batch()?;
        let loss = self.model.loss(&inputs, &targets, &mut self.random)?;
        let mut grads = loss.backward()?;
        let weights: Vec<Var> = named_parameters(&self.model).into_iter().map(|(_, var)| var).collect();
        clip_grad_norm(&mut grads, &weights, MAX_NORM)?;
        self.optimizer.set_learning_rate(self.schedule.at(self.step));
        self.optimizer.step(&grads)?;
        for ((_, average), weight) in named_parameters(&self.average).into_iter().zip(weights) {
            let kept = (average.as_detached_tensor() * DECAY)?;
            average.set(&(kept + (weight.as_detached_tensor() * (1. - DECAY))?)?)?;
        }
        self.step += 1;
        Ok(loss.to_scalar()?)
    }

    /// The text with the most probable next characters, by the averaged weights.
    ///
    /// # Errors
    /// If the text has none of the characters that the model knows.
    pub fn continued(&self, text: &str, characters: usize) -> Result<String> {
        let vocabulary = vocabulary();
        let mut text = text.to_owned();
        for _ in 0..characters {
            let numbers = numbers(&text);
            let seen = &numbers[numbers.len().saturating_sub(CONTEXT)..];
            let seen = Tensor::new(seen, &Device::Cpu)?.unsqueeze(0)?;
            let logits = self.average.forward(&seen, None)?.squeeze(0)?;
            let last = logits.get(logits.dim(0)?.saturating_sub(1))?;
            let next: u32 = last.argmax(0)?.to_dtype(DType::U32)?.to_scalar()?;
            text.extend(vocabulary.get(usize::try_from(next)?));
        }
        Ok(text)
    }
}
