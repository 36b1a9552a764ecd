//! The options of a save, of a load, of a change of layout and of a verification.

mod load;
mod reshard;
mod save;
mod verify;

pub use self::load::{LoadOptions, OnMismatch};
pub use self::reshard::ReshardOptions;
pub(crate) use self::save::After;
pub use self::save::{Durability, Replicas, SaveOptions, WhenBusy};
pub use self::verify::VerifyOptions;
