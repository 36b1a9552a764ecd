//! A small transformer over several ranks: each has some of the attention's heads, and some of the hidden features.

use std::sync::Arc;

use candle_core::{D, DType, Device, Error, Result, Tensor, Var};
use candle_nn::{Embedding, Linear, Module, RmsNorm};
use fabric_core::Checkpoint;
use fabric_core::group::ProcessGroup;

use super::linear::{ColumnParallelLinear, RowParallelLinear};

/// Sizes of a model.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// Different characters.
    pub vocabulary: usize,
    /// Characters that it sees at once.
    pub context: usize,
    /// Features of a character; a multiple of the heads.
    pub width: usize,
    /// Heads of the attention; a multiple of the ranks.
    pub heads: usize,
    /// Blocks, one after the other.
    pub depth: usize,
}

/// Predicts each next character of a text.
#[derive(Checkpoint, Debug)]
pub struct Transformer {
    characters: Embedding,
    places: Embedding,
    blocks: Vec<Block>,
    norm: RmsNorm,
    head: Linear,
}

#[derive(Checkpoint, Debug)]
struct Block {
    attention_norm: RmsNorm,
    attention: Attention,
    norm: RmsNorm,
    up: ColumnParallelLinear,
    down: RowParallelLinear,
}

#[derive(Checkpoint, Debug)]
struct Attention {
    query: ColumnParallelLinear,
    key: ColumnParallelLinear,
    value: ColumnParallelLinear,
    output: RowParallelLinear,
    #[checkpoint(skip)]
    head_width: usize,
}

/// Initial weights that are the same on every rank and in every run: each rank takes its part of one model.
struct Initial(u64);

impl Initial {
    /// Uniform numbers with a standard deviation of `1 / sqrt(inputs)`.
    fn weight(&mut self, outputs: usize, inputs: usize) -> Result<Tensor> {
        let bound = (3.0 / small(inputs)?).sqrt();
        let numbers: Vec<f32> = (0..outputs * inputs).map(|_| bound * self.number()).collect();
        Tensor::from_vec(numbers, (outputs, inputs), &Device::Cpu)
    }

    /// Between -1 and 1 (Steele et al., *Fast splittable pseudorandom number generators*, 2014).
    fn number(&mut self) -> f32 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let [.., low, high] = bits.to_le_bytes();
        f32::from(i16::from_le_bytes([low, high])) / f32::from(i16::MAX)
    }

    fn embedding(&mut self, count: usize, width: usize) -> Result<Embedding> {
        let weight = Var::from_tensor(&self.weight(count, width)?)?;
        Ok(Embedding::new(weight.into_inner(), width))
    }

    fn column(&mut self, outputs: usize, inputs: usize, tp: &Arc<dyn ProcessGroup>) -> Result<ColumnParallelLinear> {
        ColumnParallelLinear::new(&self.weight(outputs, inputs)?, &zeros(outputs)?, Arc::clone(tp))
    }

    fn row(&mut self, outputs: usize, inputs: usize, tp: &Arc<dyn ProcessGroup>) -> Result<RowParallelLinear> {
        RowParallelLinear::new(&self.weight(outputs, inputs)?, &zeros(outputs)?, Arc::clone(tp))
    }
}

/// A size as a number to calculate with.
fn small(size: usize) -> Result<f32> {
    u16::try_from(size).map(f32::from).map_err(Error::wrap)
}

fn zeros(count: usize) -> Result<Tensor> {
    Tensor::zeros(count, DType::F32, &Device::Cpu)
}

fn norm(width: usize) -> Result<RmsNorm> {
    let weight = Var::ones(width, DType::F32, &Device::Cpu)?;
    Ok(RmsNorm::new(weight.into_inner(), 1e-5))
}

impl Transformer {
    /// This rank's part of a new model, which is the same for any number of ranks.
    ///
    /// # Errors
    /// If there is no memory for it.
    pub fn new(config: Config, tp: &Arc<dyn ProcessGroup>) -> Result<Self> {
        let mut initial = Initial(0);
        let characters = initial.embedding(config.vocabulary, config.width)?;
        let places = initial.embedding(config.context, config.width)?;
        let block = |_| Block::new(config, &mut initial, tp);
        let blocks = (0..config.depth).map(block).collect::<Result<_>>()?;
        let head = Var::from_tensor(&initial.weight(config.vocabulary, config.width)?)?;
        Ok(Self {
            characters,
            places,
            blocks,
            norm: norm(config.width)?,
            head: Linear::new(head.into_inner(), None),
        })
    }

    /// The cross-entropy of the model's prediction, `[sequences, context]` characters in and out.
    ///
    /// # Errors
    /// If the model does not fit the characters, or the ranks do not come together.
    pub fn loss(&self, inputs: &Tensor, targets: &Tensor) -> Result<Tensor> {
        let logits = self.forward(inputs)?.flatten_to(1)?;
        candle_nn::loss::cross_entropy(&logits, &targets.flatten_all()?)
    }
}

impl Module for Transformer {
    fn forward(&self, characters: &Tensor) -> Result<Tensor> {
        let (_, context) = characters.dims2()?;
        let count = u32::try_from(context).unwrap_or(u32::MAX);
        let places = self.places.forward(&Tensor::arange(0, count, characters.device())?)?;
        let mut features = self.characters.forward(characters)?.broadcast_add(&places)?;
        for block in &self.blocks {
            features = block.forward(&features)?;
        }
        // `forward_diff`, because the fused norm has no gradient in candle.
        self.head.forward(&self.norm.forward_diff(&features)?)
    }
}

impl Block {
    fn new(config: Config, initial: &mut Initial, tp: &Arc<dyn ProcessGroup>) -> Result<Self> {
        let width = config.width;
        Ok(Self {
            attention_norm: norm(width)?,
            attention: Attention {
                query: initial.column(width, width, tp)?,
                key: initial.column(width, width, tp)?,
                value: initial.column(width, width, tp)?,
                output: initial.row(width, width, tp)?,
                head_width: width / config.heads,
            },
            norm: norm(width)?,
            up: initial.column(4 * width, width, tp)?,
            down: initial.row(width, 4 * width, tp)?,
        })
    }
}

impl Module for Block {
    fn forward(&self, features: &Tensor) -> Result<Tensor> {
        let attended = self.attention.forward(&self.attention_norm.forward_diff(features)?)?;
        let features = (features + attended)?;
        let hidden = self.up.forward(&self.norm.forward_diff(&features)?)?.gelu()?;
        features + self.down.forward(&hidden)?
    }
}

impl Attention {
    /// `[sequences, context, features]` as `[sequences, heads, context, features of a head]`, for the heads of this rank.
    fn heads(&self, features: &Tensor) -> Result<Tensor> {
        let (sequences, context, own) = features.dims3()?;
        let heads = features.reshape((sequences, context, own / self.head_width, self.head_width))?;
        heads.transpose(1, 2)?.contiguous()
    }
}

impl Module for Attention {
    fn forward(&self, features: &Tensor) -> Result<Tensor> {
        let query = self.heads(&self.query.forward(features)?)?;
        let key = self.heads(&self.key.forward(features)?)?;
        let value = self.heads(&self.value.forward(features)?)?;
        let scores = (query.matmul(&key.transpose(2, 3)?.contiguous()?)? / f64::from(small(self.head_width)?).sqrt())?;
        let weights = candle_nn::ops::softmax(&scores.broadcast_add(&no_future(features.dim(1)?)?)?, D::Minus1)?;
        let mixed = weights.matmul(&value)?.transpose(1, 2)?.contiguous()?;
        self.output.forward(&mixed.flatten_from(2)?)
    }
}

/// What keeps a character from looking at those that follow: added to its scores.
fn no_future(context: usize) -> Result<Tensor> {
    let score = |place: usize| {
        if place % context > place / context {
            f32::NEG_INFINITY
        } else {
            0.0
        }
    };
    Tensor::from_iter((0..context * context).map(score), &Device::Cpu)?.reshape((context, context))
}
