//! Faults of a storage after which it goes on.

use std::io::ErrorKind;

use fabric_core::testing::Fault;

/// A device error, two errors of the file system, and two writes of which a part arrives.
pub const FAULTS: [Fault; 5] = [
    Fault::Os(5),
    Fault::Error(ErrorKind::StorageFull),
    Fault::Error(ErrorKind::PermissionDenied),
    Fault::ShortWrite,
    Fault::Full,
];
