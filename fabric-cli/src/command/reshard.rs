//! `ckpt reshard A B --ranks N`: a checkpoint in the layout of another number of ranks.

use std::process::ExitCode;

use clap::ValueEnum;
use fabric_core::{Fabric, Strategy};

use crate::conversion::Conversion;
use crate::failure::Failure;
use crate::screen::Screen;

/// Copies a checkpoint into the layout of another number of ranks.
///
/// No load needs it: any number of ranks loads any checkpoint. It spares the ranks small reads where a checkpoint is loaded often.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    conversion: Conversion,
    /// The number of ranks.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=65_536))]
    ranks: u32,
    /// The layout.
    #[arg(long, value_enum, value_name = "STRATEGY", default_value_t = Layout::Fsdp)]
    strategy: Layout,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Layout {
    /// One file for all ranks.
    Ddp,
    /// A directory with a file for each rank; tensors are split by their rows.
    Fsdp,
}

/// # Errors
/// If nothing could be written.
pub(crate) fn run(arguments: &Arguments, screen: &mut Screen) -> Result<ExitCode, Failure> {
    let conversion = &arguments.conversion;
    let strategy = match arguments.strategy {
        Layout::Ddp => Strategy::ddp(),
        Layout::Fsdp => Strategy::fsdp(),
    };
    let strategy = strategy.ranks(usize::try_from(arguments.ranks).unwrap_or(usize::MAX));
    conversion.run(screen, "reshard", |bar| {
        let options = conversion.reshard_options(bar);
        let report = Fabric::new().reshard_with(&conversion.from, &conversion.to, strategy, options)?;
        Ok(conversion.own(report))
    })?;
    Ok(ExitCode::SUCCESS)
}
