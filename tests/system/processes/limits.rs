//! Processes that get no thread, or little memory: every call succeeds or gives an error, and leaves nothing behind.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::tool::{captured, run, said};

const SAVES: [&str; 9] = [
    "save",
    "save-relaxed",
    "save-async",
    "save-small",
    "save-async-small",
    "consolidate",
    "reshard",
    "export",
    "export-torch",
];
/// Calls about long values, with one rank and with two.
const OF_VALUES: [&str; 5] = ["save-values", "export-values", "load-values", "load-exported", "values"];
const OF_RANKS: [&str; 2] = ["save-ranks", "load-ranks"];
const OTHERS: [&str; 5] = ["load", "load-verified", "load-three", "tensors", "step"];

/// A directory with checkpoints, in which anybody may write, and the tool in another one, which anybody may run.
struct Place {
    directory: tempfile::TempDir,
    tool: PathBuf,
    _tools: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let (directory, tools) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        for path in [directory.path(), tools.path()] {
            std::fs::set_permissions(path, PermissionsExt::from_mode(0o777)).unwrap();
        }
        let tool = tools.path().join("tool");
        std::fs::copy(env!("CARGO_BIN_EXE_background-tool"), &tool).unwrap();
        let place = Self {
            directory,
            tool,
            _tools: tools,
        };
        let prepared = run(&mut captured(&place.tool, &[&"prepare", &place.path()]));
        assert_eq!(said(&prepared), "ok");
        for entry in ["three", "ranks", "."].map(|name| place.path().join(name)) {
            std::fs::set_permissions(entry, PermissionsExt::from_mode(0o777)).unwrap();
        }
        place
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    fn names(&self) -> BTreeSet<OsString> {
        let entries = std::fs::read_dir(self.path()).unwrap();
        entries.map(|entry| entry.unwrap().file_name()).collect()
    }

    /// Checks what a call left, and removes it.
    fn clear(&self, command: &str, succeeded: bool, before: &BTreeSet<OsString>) {
        let after = self.names();
        let new: Vec<&OsString> = after.difference(before).collect();
        let saves = SAVES.contains(&command) || command.starts_with("save") || command.starts_with("export");
        let expected = usize::from(saves && succeeded);
        assert_eq!(new.len(), expected, "{command} left {new:?}");
        assert!(before.is_subset(&after));
        for name in new {
            let path = self.path().join(name);
            fabric_core::Fabric::new().open(&path).unwrap();
            if path.is_dir() {
                std::fs::remove_dir_all(path).unwrap();
            } else {
                std::fs::remove_file(path).unwrap();
            }
        }
    }
}

#[test]
fn one_thread_is_enough_for_everything() {
    let place = Place::new();
    let before = place.names();
    for command in SAVES.into_iter().chain(OTHERS).chain(OF_VALUES) {
        let output = match alone(&place, command) {
            Some(mut process) => run(&mut process),
            None => {
                println!("not tested: prlimit and setpriv do not keep a process from starting threads here");
                return;
            }
        };
        assert_eq!(said(&output), "ok", "{command}: {output:?}");
        place.clear(command, true, &before);
    }
}

/// The tool as a user of its own, who may have one thread. `None` where that cannot be had.
fn alone(place: &Place, command: &str) -> Option<Command> {
    let limits: [&str; 5] = [
        "--nproc=1",
        "setpriv",
        "--reuid=65534",
        "--regid=65534",
        "--clear-groups",
    ];
    // A shell that may not fork cannot run a pipe.
    let mut forks = Command::new("prlimit");
    forks.args(limits).args(["sh", "-c", "true | true"]);
    let forks = forks.stdout(Stdio::null()).stderr(Stdio::null()).status();
    if forks.is_ok_and(|status| status.success()) || !can_be(&limits[1..]) {
        return None;
    }
    let mut process = captured("prlimit", &[]);
    process.args(limits).arg(&place.tool).arg(command).arg(place.path());
    Some(process)
}

fn can_be(user: &[&str]) -> bool {
    let mut ask = Command::new(user[0]);
    ask.args(&user[1..]).arg("true").stderr(Stdio::null());
    ask.status().is_ok_and(|status| status.success())
}

#[test]
fn little_memory_is_an_error_or_enough_and_never_the_end_of_the_process() {
    if !can_be(&["prlimit"]) {
        println!("not tested: there is no prlimit here");
        return;
    }
    let place = Place::new();
    let before = place.names();
    let with_values = OF_VALUES.into_iter().chain(OF_RANKS);
    for command in SAVES.into_iter().chain(OTHERS).chain(with_values) {
        let mut succeeded = 0;
        for mib in [5, 10, 20, 40, 80, 320] {
            let output = run(&mut captured(&place.tool, &[&command, &place.path(), &mib.to_string()]));
            let said = said(&output);
            assert!(
                said == "ok" || said.starts_with("error "),
                "{command} with {mib} MiB: {output:?}"
            );
            place.clear(command, said == "ok", &before);
            succeeded += usize::from(said == "ok");
        }
        // 40 MiB of new tensors are more than most of these give.
        assert!(succeeded > 0, "{command} never succeeds");
        println!("{command}: {succeeded} of 6");
    }
}
