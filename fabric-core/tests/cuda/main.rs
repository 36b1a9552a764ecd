//! Tensors of CUDA: `cargo test --workspace --features candle-fabric-core/cuda --test cuda`, on a machine with a device. Without
//! one every test fails, and says why. `.ci/run` runs them on a model of the driver, all but those that need kernels.

mod background;
mod contents;
mod damage;
mod files;
mod windows;
