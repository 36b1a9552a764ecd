//! The command `ckpt` as a user calls it: real processes, their output and their exit status.

mod completions;
mod console;
mod convert;
mod samples;
mod support;
mod usage;
mod verify;
