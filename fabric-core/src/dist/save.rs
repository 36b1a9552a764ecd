//! A save that ranks carry out together.

pub(crate) mod agree;
pub(crate) mod asking;
pub(crate) mod directory;
pub(crate) mod fingerprint;
pub(crate) mod generation;
pub(crate) mod place;
pub(crate) mod rank_file;
pub(crate) mod replicas;
