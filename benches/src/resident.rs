//! The memory of this process, as the system counts it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::Outcome;

/// Seconds since the beginning, and MiB in memory.
pub(crate) type Sample = (f64, f64);

/// MiB in memory now.
pub(crate) fn now() -> Outcome<f64> {
    status("VmRSS:")
}

/// Runs `work`, and returns the most MiB that were in memory meanwhile beyond those before.
pub(crate) fn peak_of(work: impl FnOnce() -> Outcome) -> Outcome<f64> {
    // Sets the highest value back to the present one.
    std::fs::write("/proc/self/clear_refs", "5")?;
    let before = now()?;
    work()?;
    Ok((status("VmHWM:")? - before).max(0.))
}

/// Runs `work` and looks at the memory meanwhile.
pub(crate) fn over_time(every: Duration, work: impl FnOnce() -> Outcome) -> Outcome<Vec<Sample>> {
    let begin = Instant::now();
    let done = AtomicBool::new(false);
    let watch = || {
        let mut samples = Vec::new();
        while !done.load(Ordering::Acquire) {
            if let Ok(resident) = now() {
                samples.push((begin.elapsed().as_secs_f64(), resident));
            }
            std::thread::sleep(every);
        }
        samples
    };
    std::thread::scope(|scope| {
        let watching = scope.spawn(watch);
        let outcome = work();
        done.store(true, Ordering::Release);
        let samples = watching.join().map_err(|_| "the watching thread has panicked")?;
        outcome.map(|()| samples)
    })
}

fn status(key: &str) -> Outcome<f64> {
    let text = std::fs::read_to_string("/proc/self/status")?;
    let line = text.lines().find_map(|line| line.strip_prefix(key));
    let kib = line
        .and_then(|line| line.trim().strip_suffix("kB"))
        .ok_or("no such line in status")?;
    Ok(kib.trim().parse::<f64>()? / 1024.)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_that_is_touched_and_released_is_in_the_peak() -> Outcome {
        let peak = peak_of(|| {
            std::hint::black_box(vec![1u8; 512 << 20]);
            Ok(())
        })?;
        // The memory is that of the process, in which other tests take and release some meanwhile.
        assert!((400. ..700.).contains(&peak), "{peak} MiB");
        Ok(())
    }
}
