//! `ckpt consolidate A B`: a checkpoint of many ranks in one file.

use std::process::ExitCode;

use fabric_core::Fabric;

use crate::conversion::Conversion;
use crate::failure::Failure;
use crate::screen::Screen;

/// Copies a checkpoint of any layout into one file of Fabric, whatever the ending of B is.
///
/// To pass it on, or to load it without its ranks. Everything that is read is verified.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    conversion: Conversion,
}

/// # Errors
/// If nothing could be written.
pub(crate) fn run(arguments: &Arguments, screen: &mut Screen) -> Result<ExitCode, Failure> {
    let conversion = &arguments.conversion;
    conversion.run(screen, "consolidate", |bar| {
        let options = conversion.reshard_options(bar);
        let report = Fabric::new().consolidate_with(&conversion.from, &conversion.to, options)?;
        Ok(conversion.own(report))
    })?;
    Ok(ExitCode::SUCCESS)
}
