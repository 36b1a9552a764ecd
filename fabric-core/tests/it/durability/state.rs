//! A small state, comparable bit for bit.

use candle_core::{Device, Tensor, Var};
use fabric_core::Checkpoint;
pub(crate) use testkit::files::on;

pub(crate) const PATH: &str = "run/last.ckpt";

#[derive(Checkpoint)]
pub(crate) struct State {
    pub(crate) weight: Tensor,
    pub(crate) tied: Tensor,
    pub(crate) bias: Tensor,
    pub(crate) step: u64,
    pub(crate) note: String,
}

impl State {
    /// A state whose every entry depends on `seed`.
    pub(crate) fn new(seed: u8) -> Self {
        let start = f32::from(seed);
        let weight = Tensor::arange(start, start + 6., &Device::Cpu).and_then(|t| t.reshape((2, 3)));
        let weight = Var::from_tensor(&weight.expect("six elements")).expect("a variable");
        let bias = Tensor::new(&[seed, seed.wrapping_add(1), 7], &Device::Cpu);
        Self {
            tied: weight.as_tensor().clone(),
            weight: weight.into_inner(),
            bias: bias.expect("three elements"),
            step: u64::from(seed) << 33,
            note: format!("run {seed}"),
        }
    }

    /// Everything in it.
    pub(crate) fn contents(&self) -> (Vec<f32>, Vec<u8>, u64, String) {
        let weight = self.weight.flatten_all().and_then(|t| t.to_vec1());
        let bias = self.bias.to_vec1();
        (weight.expect("f32"), bias.expect("u8"), self.step, self.note.clone())
    }
}
