//! Who goes first when there are fewer cores than threads.

/// Lets this thread, and those that it will begin, step back behind the training: a step should not take longer because its
/// checkpoint is written. The thread that copies does not step back: it holds the guards that a step may wait for.
///
/// A wish. Where a thread has no priority of its own it has no effect.
#[cfg(target_os = "linux")]
pub(super) fn step_back() {
    /// A third of what a thread has that nobody said anything of, while both want the core.
    const NICE: i32 = 5;
    // On Linux, this is for the thread that calls it.
    let _ = rustix::process::nice(NICE);
}

#[cfg(not(target_os = "linux"))]
pub(super) fn step_back() {}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use rustix::process::nice;

    use super::*;

    #[test]
    fn a_thread_steps_back_by_itself() {
        let before = nice(0).expect("a priority");
        let stepped = std::thread::spawn(|| {
            step_back();
            nice(0)
        });
        let stepped = stepped.join().expect("no panic").expect("a priority");
        assert_eq!(stepped, (before + 5).min(19));
        assert_eq!(nice(0), Ok(before), "the other threads stay where they are");
    }
}
