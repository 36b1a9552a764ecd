//! `ckpt completions SHELL`: a script that completes the commands and options of `ckpt`.

use std::process::ExitCode;

use clap::CommandFactory;
use clap_complete::Shell;

use crate::failure::Failure;
use crate::screen::Screen;

/// Prints a script that completes `ckpt` in a shell.
///
/// For bash: ckpt completions bash > ~/.local/share/bash-completion/completions/ckpt
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The shell that reads the script.
    #[arg(value_enum)]
    shell: Shell,
}

/// # Errors
/// If the output cannot be written.
pub(crate) fn run(arguments: &Arguments, screen: &mut Screen) -> Result<ExitCode, Failure> {
    let mut command = crate::arguments::Arguments::command();
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut command, "ckpt", &mut script);
    screen.bytes(&script)?;
    Ok(ExitCode::SUCCESS)
}
