//! Our container: a safetensors file with a manifest inside.

pub(crate) mod manifest;
pub(crate) mod safetensors;
