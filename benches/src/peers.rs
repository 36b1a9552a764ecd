//! Other libraries, in a Python process that answers one request a line; see `benches/peers/serve.py`.

use std::cell::RefCell;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde::{Deserialize, Serialize};

use crate::Outcome;
use crate::figures::Kind;
use crate::timing::Task;

/// The process, and its pipes.
pub(crate) struct Peers {
    child: Child,
    pipes: RefCell<(ChildStdin, BufReader<ChildStdout>)>,
}

#[derive(Serialize)]
struct Request<'r> {
    peer: &'r str,
    #[serde(rename = "do")]
    work: &'r str,
    state: &'r Path,
    path: &'r Path,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Answer {
    Seconds(f64),
    Missing(String),
    Error(String),
}

/// The directory of the Python programs.
pub(crate) fn folder() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/peers"))
}

impl Peers {
    /// Starts Python, if there is one.
    pub(crate) fn start() -> Option<Self> {
        let started = Command::new("python3")
            .arg(folder().join("serve.py"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn();
        let Ok(mut child) = started else {
            eprintln!("peers: skipped, there is no python3");
            return None;
        };
        let (stdin, stdout) = (child.stdin.take()?, child.stdout.take()?);
        let pipes = RefCell::new((stdin, BufReader::new(stdout)));
        Some(Self { child, pipes })
    }

    /// Saves a state once, so that it can be loaded; false, and a line that says so, if the library is not installed.
    pub(crate) fn prepare(&self, peer: &str, state: &Path, path: &Path) -> Outcome<bool> {
        match self.ask(peer, "save", state, path)? {
            Answer::Missing(what) => {
                eprintln!("peers: {peer} skipped ({what}); benches/peers/serve.py says how to install it");
                Ok(false)
            }
            Answer::Error(what) => Err(format!("{peer}: {what}").into()),
            Answer::Seconds(_) => Ok(true),
        }
    }

    /// Does something once, and returns its seconds.
    pub(crate) fn time(&self, peer: &str, work: &str, state: &Path, path: &Path) -> Outcome<f64> {
        match self.ask(peer, work, state, path)? {
            Answer::Seconds(seconds) => Ok(seconds),
            Answer::Missing(what) | Answer::Error(what) => Err(format!("{peer}: {what}").into()),
        }
    }

    /// The same as a task.
    pub(crate) fn task<'t>(
        &'t self,
        name: &str,
        peer: &'t str,
        work: &'t str,
        state: &'t Path,
        path: &'t Path,
    ) -> Task<'t> {
        Task::timing_itself(Kind::Peer, name, move || self.time(peer, work, state, path))
    }

    fn ask(&self, peer: &str, work: &str, state: &Path, path: &Path) -> Outcome<Answer> {
        let request = Request {
            peer,
            work,
            state,
            path,
        };
        let (requests, answers) = &mut *self.pipes.borrow_mut();
        writeln!(requests, "{}", serde_json::to_string(&request)?)?;
        let mut line = String::new();
        if answers.read_line(&mut line)? == 0 {
            return Err("the process of the peers has ended".into());
        }
        Ok(serde_json::from_str(&line)?)
    }
}

impl Drop for Peers {
    fn drop(&mut self) {
        // A process that has ended already is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
