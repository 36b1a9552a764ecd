//! A user whose manifest says `candle-fabric-core = "0.1"`: the library is `fabric_core` in the code all the same, and the macro
//! finds it there.

use fabric_core::candle_nn::Linear;
use fabric_core::{Checkpoint, DType};

/// A schema without a word on where the library is.
#[derive(Checkpoint, Debug)]
pub struct State {
    #[checkpoint(filter = "weight")]
    model: Linear,
    step: u64,
}

/// A handle, and a type that the library re-exports.
#[must_use]
pub fn names() -> (String, DType) {
    (State::FIELDS.model.name(), DType::F32)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_macro_finds_the_library_under_its_own_name() {
        assert_eq!(super::names().0, "model");
    }
}
