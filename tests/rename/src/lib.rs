//! fabric-core under another name, in a crate of the 2018 edition whose lints are all errors.
#![deny(
    warnings,
    clippy::pedantic,
    missing_docs,
    unreachable_pub,
    missing_debug_implementations
)]

use renamed::candle_nn::Linear;
use renamed::Checkpoint;

/// A schema that says where the library is.
#[derive(Checkpoint, Debug)]
#[checkpoint(crate = "renamed")]
pub struct Direct {
    #[checkpoint(filter = "weight", shard(dim = 0))]
    model: Linear,
    step: u64,
}

/// A library that hands fabric-core on.
pub mod facade {
    #[doc(hidden)]
    pub use renamed as fabric;
}

/// A schema that reaches the library through the other.
#[derive(Checkpoint, Debug)]
#[checkpoint(crate = "crate::facade::fabric")]
pub struct ThroughAFacade<T> {
    inner: T,
    #[checkpoint(metadata)]
    name: String,
    #[checkpoint(flatten)]
    direct: Direct,
}

/// Handles that cross both.
#[must_use]
pub fn names() -> [String; 2] {
    let fields = ThroughAFacade::<u64>::FIELDS;
    [fields.inner.name(), fields.direct.then(Direct::FIELDS.model).name()]
}

#[cfg(test)]
mod tests {
    #[test]
    fn handles_carry_the_stored_names() {
        assert_eq!(super::names(), ["inner", "model"]);
    }
}
