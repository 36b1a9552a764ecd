//! The other process, `checkpoint-tool`, and what it says.

use std::ffi::OsStr;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// A process of the tool, to be started with its output captured.
pub(crate) fn tool(arguments: &[&dyn AsRef<OsStr>]) -> Command {
    captured(env!("CARGO_BIN_EXE_checkpoint-tool"), arguments)
}

/// A process of any program, to be started with its output captured.
pub(crate) fn captured(program: impl AsRef<OsStr>, arguments: &[&dyn AsRef<OsStr>]) -> Command {
    let mut command = Command::new(program);
    command.args(arguments.iter().map(AsRef::as_ref));
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// Runs a process to its end, which must come within five minutes: only a process that hangs takes so long, on any machine.
pub(crate) fn run(command: &mut Command) -> Output {
    let mut child = command.spawn().expect("the process starts");
    let begun = Instant::now();
    while child.try_wait().expect("it can be waited for").is_none() {
        if begun.elapsed() > Duration::from_secs(300) {
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

/// A process that saves without end, and prints each iteration whose save has returned.
pub(crate) struct Writer {
    process: Child,
    output: tempfile::NamedTempFile,
}

impl Writer {
    pub(crate) fn start(arguments: &[&dyn AsRef<OsStr>]) -> Self {
        let output = tempfile::NamedTempFile::new().expect("a file");
        let mut command = tool(arguments);
        command
            .stdout(output.reopen().expect("the same file"))
            .stderr(Stdio::null());
        let process = command.spawn().expect("the process starts");
        Self { process, output }
    }

    /// The last iteration whose save has returned.
    pub(crate) fn last_reported(&self) -> Option<u64> {
        let text = std::fs::read_to_string(self.output.path()).expect("the output can be read");
        if let Some(line) = text.lines().find(|line| !line.starts_with("ok ")) {
            panic!("a save failed: {line}");
        }
        text.lines()
            .next_back()
            .and_then(|line| line.strip_prefix("ok ")?.parse().ok())
    }

    /// Stops the process where it is.
    #[cfg(target_os = "linux")]
    pub(crate) fn stop(&self) {
        let stopped = Command::new("kill")
            .args(["-STOP", &self.process.id().to_string()])
            .status();
        assert!(stopped.expect("kill runs").success());
    }

    pub(crate) fn kill(&mut self) {
        self.process.kill().expect("it can be killed");
        self.process.wait().expect("it can be waited for");
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
