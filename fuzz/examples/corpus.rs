//! `corpus seeds DIRECTORY` writes the inputs from which fuzzing begins, a folder for each target.
//! `corpus measure DIRECTORY` runs all inputs below such a directory, and says which took longest and which held the
//! most memory.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use testkit::allocations::{Counting, tally};
use testkit::fuzzing::{CASES, Case, seeds};

#[global_allocator]
static COUNTING: Counting = Counting;

fn main() -> std::io::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["seeds", directory] => CASES.iter().try_for_each(|case| write(case, Path::new(directory))),
        ["measure", directory] => CASES.iter().try_for_each(|case| measure(case, Path::new(directory))),
        _ => Err(std::io::Error::other("expected: corpus seeds|measure DIRECTORY")),
    }
}

fn write(case: &Case, directory: &Path) -> std::io::Result<()> {
    let folder = directory.join(case.name);
    std::fs::create_dir_all(&folder)?;
    let inputs = seeds::seeds(case).into_iter().chain(seeds::regressions(case));
    for (number, input) in inputs.enumerate() {
        std::fs::write(folder.join(format!("seed-{number}")), input)?;
    }
    Ok(())
}

/// Each input is run three times, and its best time counts: the others are those of a busy machine.
fn measure(case: &Case, directory: &Path) -> std::io::Result<()> {
    let mut inputs: Vec<PathBuf> = std::fs::read_dir(directory.join(case.name))?
        .map(|found| found.map(|found| found.path()))
        .collect::<std::io::Result<_>>()?;
    inputs.sort();
    let (mut slowest, mut largest) = ((Duration::ZERO, PathBuf::new()), (0, PathBuf::new()));
    for path in &inputs {
        let input = std::fs::read(path)?;
        let timed = || {
            let begin = Instant::now();
            let (_, held) = tally(|| (case.run)(&input));
            (begin.elapsed(), held.peak)
        };
        let runs = [timed(), timed(), timed()];
        let time = runs.iter().map(|run| run.0).min().unwrap_or_default();
        slowest = slowest.max((time, path.clone()));
        largest = largest.max((runs[0].1, path.clone()));
    }
    let shown = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    println!(
        "{}: {} inputs, slowest {:.2} ms ({}), largest {:.2} MiB ({})",
        case.name,
        inputs.len(),
        slowest.0.as_secs_f64() * 1e3,
        shown(&slowest.1),
        largest.0 as f64 / f64::from(1 << 20),
        shown(&largest.1),
    );
    Ok(())
}
