//! Stub.
/// Stub.
#[derive(Debug)]
pub struct Recording;
