//! How much memory the work takes: a program by itself, because its allocator counts.

mod background;
mod checkpoint;
mod diff;
mod optim;

use std::process::Command;

use testkit::allocations::Counting;

#[global_allocator]
static COUNTING: Counting = Counting;

/// Tells a test that its process runs no other.
const ALONE: &str = "FABRIC_ALLOCATIONS_ALONE";

/// Does the work of one test in a process of its own, because the count is of the whole process.
fn alone(test: &str, work: impl FnOnce()) {
    if std::env::var_os(ALONE).is_some() {
        return work();
    }
    let program = std::env::current_exe().expect("this program");
    let mut child = Command::new(program);
    let output = child.args(["--exact", test]).env(ALONE, "1").output().expect("it runs");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}
