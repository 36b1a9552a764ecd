//! Stub.
/// Stub.
#[derive(Debug)]
pub struct Faulty;
/// Stub.
#[derive(Debug)]
pub struct Fault;
