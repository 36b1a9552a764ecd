//! The command `ckpt` as a user calls it: real processes, their output and their exit status.

mod comparing;
mod completions;
mod console;
mod convert;
mod every_command;
mod hostile;
mod listing;
mod prune;
mod runs;
mod samples;
mod support;
#[cfg(target_os = "linux")]
mod terminal;
mod upgrade;
mod usage;
mod verify;
