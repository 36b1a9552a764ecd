//! The other process, `checkpoint-tool`, and what it says.

use std::ffi::OsStr;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

/// A process of the tool, to be started with its output captured.
pub(crate) fn tool(arguments: &[&dyn AsRef<OsStr>]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_checkpoint-tool"));
    command.args(arguments.iter().map(AsRef::as_ref));
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// Runs a process to its end, which must come within a minute.
pub(crate) fn run(command: &mut Command) -> Output {
    let mut child = command.spawn().expect("the process starts");
    let begun = Instant::now();
    while child.try_wait().expect("it can be waited for").is_none() {
        if begun.elapsed() > Duration::from_secs(60) {
            child.kill().expect("it can be killed");
            panic!("the process hangs: {command:?}");
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    child.wait_with_output().expect("its output can be read")
}

/// The last line that a process printed; fails the test if a signal ended it.
pub(crate) fn said(output: &Output) -> String {
    assert!(output.status.code().is_some(), "ended by a signal: {output:?}");
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines().last().unwrap_or_default().to_owned()
}

/// What the tool says to these arguments.
pub(crate) fn ask(arguments: &[&dyn AsRef<OsStr>]) -> String {
    said(&run(&mut tool(arguments)))
}
