//! The commands, one in each file. A command has `Arguments`, and `run`, which gives the exit status.

pub(crate) mod completions;
pub(crate) mod consolidate;
pub(crate) mod convert;
pub(crate) mod diff;
pub(crate) mod ls;
pub(crate) mod prune;
pub(crate) mod reshard;
pub(crate) mod runs;
pub(crate) mod show;
pub(crate) mod upgrade;
pub(crate) mod verify;

use std::process::ExitCode;

use crate::arguments::Command;
use crate::failure::{FAILED, Failure, TROUBLE};
use crate::screen::Screen;

/// The exit status of a command that fails, for failures without a status of their own.
pub(crate) fn failed(command: &Command) -> u8 {
    match command {
        Command::Verify(_) | Command::Diff(_) => TROUBLE,
        _ => FAILED,
    }
}

/// Runs a command.
///
/// # Errors
/// If the command did not do its work.
pub(crate) fn run(command: Command, screen: &mut Screen) -> Result<ExitCode, Failure> {
    match command {
        Command::Ls(arguments) => ls::run(&arguments, screen),
        Command::Show(arguments) => show::run(&arguments, screen),
        Command::Verify(arguments) => verify::run(&arguments, screen),
        Command::Diff(arguments) => diff::run(&arguments, screen),
        Command::Convert(arguments) => convert::run(&arguments, screen),
        Command::Consolidate(arguments) => consolidate::run(&arguments, screen),
        Command::Reshard(arguments) => reshard::run(&arguments, screen),
        Command::Upgrade(arguments) => upgrade::run(&arguments, screen),
        Command::Runs(arguments) => runs::run(&arguments, screen),
        Command::Prune(arguments) => prune::run(&arguments, screen),
        Command::Completions(arguments) => completions::run(&arguments, screen),
    }
}
