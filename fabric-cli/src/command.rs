//! The commands, one in each file. A command has `Arguments`, and `run`, which gives the exit status.

pub(crate) mod completions;

use std::process::ExitCode;

use crate::arguments::Command;
use crate::failure::Failure;
use crate::screen::Screen;

/// Runs a command.
///
/// # Errors
/// If the command did not do its work.
pub(crate) fn run(command: Command, screen: &mut Screen) -> Result<ExitCode, Failure> {
    match command {
        Command::Completions(arguments) => completions::run(&arguments, screen),
    }
}
