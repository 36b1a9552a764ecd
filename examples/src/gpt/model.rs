//! A small GPT: "Language Models are Unsupervised Multitask Learners", Radford and others, 2019, with the norms before the layers.

use candle_core::{D, DType, Device, Result, Tensor, Var};
use candle_nn::{Embedding, LayerNorm, Linear, Module, ops};
use fabric_core::Checkpoint;

use super::random::Random;
use super::reader::CONTEXT;

const WIDTH: usize = 32;
const HEADS: usize = 4;
const DEPTH: usize = 2;
/// The part of the features that a training step leaves out.
const DROPOUT: f32 = 0.1;
const EPSILON: f32 = 1e-5;

/// Predicts each next character of a text.
#[derive(Checkpoint, Debug)]
pub struct Gpt {
    tokens: Embedding,
    places: Embedding,
    blocks: Vec<Block>,
    norm: LayerNorm,
    /// Has the memory of `tokens`: a checkpoint stores it once.
    head: Linear,
}

#[derive(Checkpoint, Debug)]
struct Block {
    attention_norm: LayerNorm,
    /// Query, key and value of all heads.
    attention: Linear,
    attention_out: Linear,
    norm: LayerNorm,
    up: Linear,
    down: Linear,
}

impl Gpt {
    /// A model whose initial weights follow from the random numbers.
    ///
    /// # Errors
    /// If there is no memory for it.
    pub fn new(vocabulary: usize, random: &mut Random) -> Result<Self> {
        let tokens = embedding(vocabulary, random)?;
        let head = Linear::new(tokens.embeddings().clone(), None);
        Ok(Self {
            tokens,
            places: embedding(CONTEXT, random)?,
            blocks: (0..DEPTH).map(|_| Block::new(random)).collect::<Result<_>>()?,
            norm: norm()?,
            head,
        })
    }

    /// `[sequences, characters]` numbers of characters as `[sequences, characters, vocabulary]` logits of the next ones. Features are
    /// left out at random if there are random numbers.
    ///
    /// # Errors
    /// If a sequence is longer than the context.
    pub fn forward(&self, characters: &Tensor, mut random: Option<&mut Random>) -> Result<Tensor> {
        let count = u32::try_from(characters.dim(1)?).unwrap_or(u32::MAX);
        let places = self.places.forward(&Tensor::arange(0, count, characters.device())?)?;
        let mut features = self.tokens.forward(characters)?.broadcast_add(&places)?;
        for block in &self.blocks {
            features = block.forward(&features, random.as_deref_mut())?;
        }
        self.head.forward(&normed(&self.norm, &features)?)
    }

    /// The cross-entropy of a training step.
    ///
    /// # Errors
    /// If the model does not fit the characters.
    pub fn loss(&self, inputs: &Tensor, targets: &Tensor, random: &mut Random) -> Result<Tensor> {
        let logits = self.forward(inputs, Some(random))?.flatten_to(1)?;
        candle_nn::loss::cross_entropy(&logits, &targets.flatten_all()?)
    }
}

impl Block {
    fn new(random: &mut Random) -> Result<Self> {
        Ok(Self {
            attention_norm: norm()?,
            attention: linear(3 * WIDTH, WIDTH, random)?,
            attention_out: linear(WIDTH, WIDTH, random)?,
            norm: norm()?,
            up: linear(4 * WIDTH, WIDTH, random)?,
            down: linear(WIDTH, 4 * WIDTH, random)?,
        })
    }

    fn forward(&self, features: &Tensor, mut random: Option<&mut Random>) -> Result<Tensor> {
        let attended = self.attend(&normed(&self.attention_norm, features)?)?;
        let features = (features + dropout(attended, random.as_deref_mut())?)?;
        let hidden = self.up.forward(&normed(&self.norm, &features)?)?.gelu()?;
        features + dropout(self.down.forward(&hidden)?, random)?
    }

    fn attend(&self, features: &Tensor) -> Result<Tensor> {
        let (sequences, context, _) = features.dims3()?;
        let all = self.attention.forward(features)?;
        let part = |index| {
            let heads = all.narrow(2, index * WIDTH, WIDTH)?;
            let heads = heads.reshape((sequences, context, HEADS, WIDTH / HEADS))?;
            heads.transpose(1, 2)?.contiguous()
        };
        let (query, key, value) = (part(0)?, part(1)?, part(2)?);
        let scale = 1. / f64::from(size(WIDTH / HEADS)).sqrt();
        let scores = (query.matmul(&key.transpose(2, 3)?.contiguous()?)? * scale)?;
        let weights = ops::softmax(&scores.broadcast_add(&no_future(context)?)?, D::Minus1)?;
        let mixed = weights.matmul(&value)?.transpose(1, 2)?.contiguous()?;
        self.attention_out.forward(&mixed.flatten_from(2)?)
    }
}

/// Added to the scores of each character: it does not look at those that follow.
fn no_future(context: usize) -> Result<Tensor> {
    let score = |at: usize| {
        if at % context > at / context {
            f32::NEG_INFINITY
        } else {
            0.
        }
    };
    Tensor::from_iter((0..context * context).map(score), &Device::Cpu)?.reshape((context, context))
}

/// Leaves out features at random, and scales the others, so that their mean stays (Srivastava and others, 2014).
fn dropout(features: Tensor, random: Option<&mut Random>) -> Result<Tensor> {
    let Some(random) = random else { return Ok(features) };
    let mask = (0..features.elem_count()).map(|_| {
        if random.unit() < DROPOUT {
            0.
        } else {
            1. / (1. - DROPOUT)
        }
    });
    let mask = Tensor::from_iter(mask, features.device())?.reshape(features.shape())?;
    features * mask
}

/// The slow norm of candle, because the fused one has no gradient.
fn normed(norm: &LayerNorm, features: &Tensor) -> Result<Tensor> {
    let shift = match norm.bias() {
        Some(shift) => shift.clone(),
        None => norm.weight().zeros_like()?,
    };
    ops::layer_norm_slow(features, norm.weight(), &shift, EPSILON)
}

fn norm() -> Result<LayerNorm> {
    let scale = Var::ones(WIDTH, DType::F32, &Device::Cpu)?;
    let shift = Var::zeros(WIDTH, DType::F32, &Device::Cpu)?;
    Ok(LayerNorm::new(scale.into_inner(), shift.into_inner(), EPSILON.into()))
}

fn linear(outputs: usize, inputs: usize, random: &mut Random) -> Result<Linear> {
    let weight = weight(outputs, inputs, random)?;
    let bias = Var::zeros(outputs, DType::F32, &Device::Cpu)?;
    Ok(Linear::new(weight, Some(bias.into_inner())))
}

fn embedding(count: usize, random: &mut Random) -> Result<Embedding> {
    Ok(Embedding::new(weight(count, WIDTH, random)?, WIDTH))
}

/// Uniform numbers with a standard deviation of `1 / sqrt(inputs)`.
fn weight(outputs: usize, inputs: usize, random: &mut Random) -> Result<Tensor> {
    let bound = (3. / size(inputs)).sqrt();
    let numbers: Vec<f32> = (0..outputs * inputs)
        .map(|_| bound * (2. * random.unit() - 1.))
        .collect();
    let tensor = Tensor::from_vec(numbers, (outputs, inputs), &Device::Cpu)?;
    Ok(Var::from_tensor(&tensor)?.into_inner())
}

/// A size of this model as a number to calculate with.
fn size(size: usize) -> f32 {
    u16::try_from(size).map_or(f32::INFINITY, f32::from)
}
