//! Stub.
/// Stub.
#[derive(Debug)]
pub struct Local;
