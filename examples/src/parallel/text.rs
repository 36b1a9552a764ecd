//! The data: a short text, character by character.

use candle_core::{Device, Result, Tensor};

/// What the model learns to continue.
pub const TEXT: &str = "\
a river does not ask the hill which way to go. it tries each side, and where the ground gives way it stays, and digs, and \
calls the place its bed. the hill does not ask the river to be quiet. it keeps its stones as long as it can keep them, and \
lets them go one by one, and each becomes a round and patient thing below. and those who build a mill beside the water ask \
them both, and write down what they hear, so that they need not ask again when the flood has taken the wheel. ";

/// Characters that a model sees at once.
pub const CONTEXT: usize = 16;

/// Sequences of one batch, on all ranks together.
pub const BATCH: usize = 8;

/// The characters that occur, in order.
#[must_use]
pub fn vocabulary() -> Vec<char> {
    let mut characters: Vec<char> = TEXT.chars().collect();
    characters.sort_unstable();
    characters.dedup();
    characters
}

/// The characters of a text by their number in the vocabulary; others are left out.
#[must_use]
pub fn numbers(text: &str) -> Vec<u32> {
    let vocabulary = vocabulary();
    let number = |character| u32::try_from(vocabulary.binary_search(&character).ok()?).ok();
    text.chars().filter_map(number).collect()
}

/// The sequences of an iteration that belong to replica `replica` of `replicas`: `[sequences, CONTEXT]` characters by
/// their number in the vocabulary, and those that follow each.
///
/// It depends on the iteration only, so a run that resumes sees what it would have seen; and replicas share what one
/// would have had by itself.
///
/// # Errors
/// If there is no memory for them.
pub fn batch(iteration: usize, replica: usize, replicas: usize) -> Result<(Tensor, Tensor)> {
    let numbers = numbers(TEXT);
    let own = (0..BATCH).filter(|sequence| sequence % replicas == replica);
    let (mut inputs, mut targets) = (Vec::new(), Vec::new());
    for sequence in own.clone() {
        // Steps of a prime go everywhere.
        let start = (iteration * BATCH + sequence) * 97 % (numbers.len() - CONTEXT);
        inputs.extend_from_slice(&numbers[start..start + CONTEXT]);
        targets.extend_from_slice(&numbers[start + 1..=start + CONTEXT]);
    }
    let shape = (own.count(), CONTEXT);
    Ok((
        Tensor::from_vec(inputs, shape, &Device::Cpu)?,
        Tensor::from_vec(targets, shape, &Device::Cpu)?,
    ))
}
