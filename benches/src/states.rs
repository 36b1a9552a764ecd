//! States to save: tensors of one size.

use std::path::Path;

use candle_core::{Device, Tensor, Var};
use candle_nn::VarMap;

use crate::Outcome;
use crate::measured::float;
use crate::table::size;

/// How many tensors, of how many bytes each; f32.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Form {
    pub(crate) tensors: usize,
    pub(crate) each: usize,
}

impl Form {
    pub(crate) fn bytes(self) -> usize {
        self.tensors * self.each
    }

    /// "1 GiB of f32 in 64 tensors".
    pub(crate) fn words(self) -> String {
        format!("{} of f32 in {} tensors", size(float(self.bytes())), self.tensors)
    }
}

/// Tensors of random numbers, which repeat after a mebibyte and differ from tensor to tensor.
pub(crate) fn state(form: Form) -> Outcome<VarMap> {
    named((0..form.tensors).map(|number| (format!("weight{number:05}"), vec![form.each / 4])))
}

/// A state of variables with these names and shapes.
pub(crate) fn named(tensors: impl IntoIterator<Item = (String, Vec<usize>)>) -> Outcome<VarMap> {
    const TILE: usize = 1 << 18;
    let variables = VarMap::new();
    let tile = Tensor::rand(0f32, 1., TILE, &Device::Cpu)?;
    for (number, (name, shape)) in tensors.into_iter().enumerate() {
        let elements: usize = shape.iter().product();
        let shifted = (tile.narrow(0, 0, elements.min(TILE))? + float(number))?;
        let tensor = shifted.repeat(elements.div_ceil(TILE))?.narrow(0, 0, elements)?;
        let variable = Var::from_tensor(&tensor.reshape(shape)?)?;
        let mut all = variables.data().lock().map_err(|_| "a thread has panicked")?;
        all.insert(name, variable);
    }
    Ok(variables)
}

/// A state, and the safetensors file with its bytes that other libraries begin with.
pub(crate) fn state_in_file(form: Form, path: &Path) -> Outcome<VarMap> {
    let variables = state(form)?;
    variables.save(path)?;
    Ok(variables)
}
