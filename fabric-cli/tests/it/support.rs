//! Calls of `ckpt`.

use std::ffi::OsStr;
use std::path::Path;
use std::process::{Command, Output};

/// A call of `ckpt` in a directory, without the variables that change colours and characters: a build server (`CI`) takes any
/// terminal for one with colours.
pub(crate) fn ckpt(directory: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ckpt"));
    command.current_dir(directory);
    for variable in [
        "CI",
        "NO_COLOR",
        "CLICOLOR",
        "CLICOLOR_FORCE",
        "COLUMNS",
        "LC_ALL",
        "LC_CTYPE",
        "LANG",
    ] {
        command.env_remove(variable);
    }
    command
}

/// The outcome of a call.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) status: i32,
    pub(crate) out: String,
    pub(crate) error: String,
}

/// Runs `ckpt` with these arguments. A signal or a panic fails the test.
pub(crate) fn run<A: AsRef<OsStr>>(directory: &Path, arguments: &[A]) -> Said {
    said(ckpt(directory).args(arguments).output().expect("ckpt starts"))
}

/// The outcome of a process.
pub(crate) fn said(output: Output) -> Said {
    let text = |bytes| String::from_utf8(bytes).expect("the output is UTF-8");
    let said = Said {
        status: output.status.code().expect("no signal ended it"),
        out: text(output.stdout),
        error: text(output.stderr),
    };
    assert_ne!(said.status, 101, "ckpt panicked: {}", said.error);
    said
}
