//! `ckpt` looks into checkpoints, verifies, compares and converts them.
//!
//! Each command is a file in `command`, thin over calls of [`fabric_core`]. `screen` is the only way to standard output, `failure`
//! the only way to an exit status other than those of `verify` and `diff`.
#![deny(clippy::unwrap_used, clippy::expect_used)]

mod arguments;
mod bar;
mod command;
mod conversion;
mod destination;
mod entries;
mod failure;
mod json;
mod recipe;
mod screen;
mod text;
mod time;
mod tree;
mod versions;

use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;

use crate::arguments::Arguments;
use crate::failure::{FAILED, Failure};
use crate::screen::Screen;

/// The exit status of wrong usage, `EX_USAGE` of sysexits.h: 2 means another thing to `verify` and `diff`.
pub(crate) const USAGE: u8 = 64;

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        // `--help` and `--version` are errors of the parser too, which go to standard output.
        Err(error) => return said_by_the_parser(&error),
    };
    let mut screen = Screen::new(arguments.color);
    let failed = command::failed(&arguments.command);
    let outcome = command::run(arguments.command, &mut screen);
    let outcome = outcome.and_then(|status| screen.flush().map(|()| status));
    match outcome {
        Ok(status) => status,
        Err(failure) => failure.report(failed),
    }
}

/// Prints the help, the version, or how the program is used.
fn said_by_the_parser(error: &clap::Error) -> ExitCode {
    let printed = error.print();
    if error.use_stderr() {
        return ExitCode::from(USAGE);
    }
    match printed.and_then(|()| io::stdout().flush()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => Failure::from(error).report(FAILED),
    }
}
