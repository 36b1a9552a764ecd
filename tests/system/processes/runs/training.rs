//! A process that trains, `run-tool`, and the lines that it prints.

use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::{STEPS, send};

/// A training in a process of its own.
#[derive(Debug)]
pub(super) struct Training {
    process: Child,
    output: tempfile::NamedTempFile,
    begun: Instant,
}

/// The outcome of a training.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) resumed: Option<u64>,
    /// The last step that is done.
    pub(super) at: Option<u64>,
    pub(super) ended: Option<u64>,
    pub(super) error: Option<String>,
    status: ExitStatus,
}

impl Training {
    /// Starts a training. With a limit no file may have more blocks than this.
    pub(super) fn start(directory: &Path, mode: &str, limit: Option<u32>) -> Self {
        let limit = limit.map_or_else(|| "unlimited".to_owned(), |blocks| blocks.to_string());
        let output = tempfile::NamedTempFile::new().unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", &format!("ulimit -f {limit} && exec \"$0\" \"$@\"")]);
        command
            .arg(env!("CARGO_BIN_EXE_run-tool"))
            .arg(directory)
            .arg(STEPS.to_string())
            .arg(mode);
        command.stdout(output.reopen().unwrap()).stderr(Stdio::inherit());
        Self {
            process: command.spawn().unwrap(),
            output,
            begun: Instant::now(),
        }
    }

    pub(super) fn lasted(&self) -> Duration {
        self.begun.elapsed()
    }

    pub(super) fn is_running(&mut self) -> bool {
        self.process.try_wait().unwrap().is_none()
    }

    pub(super) fn has_resumed(&self) -> bool {
        number(&self.said(), "resumed ").is_some()
    }

    pub(super) fn signal(&mut self, signal: &str) {
        if self.is_running() {
            send(signal, self.process.id());
        }
    }

    pub(super) fn kill(&mut self) {
        self.process.kill().unwrap();
    }

    /// Fails unless the process ends by itself.
    pub(super) fn assert_ends(&mut self) {
        let since = Instant::now();
        while self.is_running() {
            assert!(
                since.elapsed() < Duration::from_secs(60),
                "another process has its lock: {self:?}"
            );
            sleep(Duration::from_millis(1));
        }
    }

    /// Waits for the end.
    pub(super) fn end(mut self) -> Outcome {
        let status = self.process.wait().unwrap();
        let said = self.said();
        let error = said.lines().find_map(|line| line.strip_prefix("error "));
        Outcome {
            resumed: number(&said, "resumed "),
            at: number(&said, "at "),
            ended: number(&said, "ended "),
            error: error.map(str::to_owned),
            status,
        }
    }

    fn said(&self) -> String {
        std::fs::read_to_string(self.output.path()).unwrap()
    }
}

impl Outcome {
    /// Returns true if it ended by itself, without an error.
    pub(super) fn is_done(&self) -> bool {
        self.status.success()
    }
}

/// The number in the last whole line that begins with this word.
fn number(said: &str, word: &str) -> Option<u64> {
    let whole = said.rfind('\n').map_or("", |end| &said[..end]);
    let line = whole.lines().filter_map(|line| line.strip_prefix(word)).next_back()?;
    line.trim().parse().ok()
}
