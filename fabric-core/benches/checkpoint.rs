//! Saving and loading beside candle's own and beside plain `read` and `write` of the same bytes, in one run: medians of
//! seven, and ratios.
//!
//! `FABRIC_BENCH_MIB` sets the size of the state (1024 by default: 64 tensors of 16 MiB of f32), `FABRIC_BENCH_DIR` where
//! the files are written.

#[path = "../tests/counting/mod.rs"]
mod counting;

use std::collections::BTreeMap;
use std::error::Error;
use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

use candle_core::{DType, Device, Tensor, Var};
use candle_nn::{Init, VarBuilder, VarMap};
use fabric_core::{Durability, Fabric, SaveOptions};

use counting::tally;

const RUNS: usize = 7;
const TENSORS: usize = 64;
const BLOCK: usize = 1 << 20;

type Outcome<T = ()> = Result<T, Box<dyn Error>>;

/// What is measured.
struct Task<'t> {
    name: &'static str,
    /// Removed before each round, outside of the time: every save makes new pages.
    makes: Option<&'t Path>,
    work: Box<dyn FnMut() -> Outcome + 't>,
}

impl<'t> Task<'t> {
    fn new(name: &'static str, makes: Option<&'t Path>, work: impl FnMut() -> Outcome + 't) -> Self {
        Self {
            name,
            makes,
            work: Box::new(work),
        }
    }
}

fn main() -> Outcome {
    let mib: usize = std::env::var("FABRIC_BENCH_MIB")
        .ok()
        .map_or(Ok(1024), |text| text.parse())?;
    let base = std::env::var_os("FABRIC_BENCH_DIR").map_or_else(std::env::temp_dir, PathBuf::from);
    let directory = tempfile::tempdir_in(base)?;
    let in_directory = |name: &str| directory.path().join(name);
    let mut variables = state(mib)?;
    let mut candles = variables.clone();
    let mut touched = vec![1u8; mib << 20];
    let source = touched.clone();
    let fabric = Fabric::new();
    let (ours, theirs, plain) = (
        in_directory("ours.ckpt"),
        in_directory("candle.safetensors"),
        in_directory("plain"),
    );
    println!("{mib} MiB of f32 in {TENSORS} tensors, page cache warm, medians of {RUNS}\n");

    let relaxed = || SaveOptions::new().durability(Durability::Relaxed);
    let saved = variables.clone();
    let mut tasks = [
        Task::new("plain write to a new file", Some(&plain), || write_new(&plain, &source)),
        Task::new("save, relaxed", Some(&ours), || {
            Ok(fabric.save_with(&ours, &saved, relaxed()).map(drop)?)
        }),
        Task::new("save, durable", Some(&ours), || {
            Ok(fabric.save(&ours, &saved).map(drop)?)
        }),
        Task::new("candle VarMap::save", Some(&theirs), || Ok(saved.save(&theirs)?)),
    ];
    let saving = medians(&mut tasks, mib)?;
    drop(tasks);
    let mut tasks = [
        Task::new("plain read into touched memory", None, || {
            read_all(&plain, &mut touched)
        }),
        Task::new("load in place", None, || {
            Ok(fabric.load(&ours, &mut variables).map(drop)?)
        }),
        Task::new("candle VarMap::load", None, || Ok(candles.load(&theirs)?)),
    ];
    let loading = medians(&mut tasks, mib)?;
    drop(tasks);

    println!();
    println!("save, relaxed / plain write            {:.2}", saving[0] / saving[1]);
    println!("save, relaxed / candle VarMap::save    {:.2}", saving[3] / saving[1]);
    println!("load in place / plain read             {:.2}", loading[0] / loading[1]);
    println!("load in place / candle VarMap::load    {:.2}", loading[2] / loading[1]);

    let (outcome, of_save) = tally(|| fabric.save(&ours, &variables));
    outcome?;
    let (outcome, of_load) = tally(|| fabric.load(&ours, &mut variables));
    outcome?;
    many_small(&fabric, &in_directory("small.ckpt"))?;
    println!("\nallocated beside the state: {of_save:?} by a save, {of_load:?} by a load (bytes)");
    Ok(())
}

fn state(mib: usize) -> Outcome<VarMap> {
    let variables = VarMap::new();
    let builder = VarBuilder::from_varmap(&variables, DType::F32, &Device::Cpu);
    let elements = (mib << 20) / 4 / TENSORS;
    for number in 0..TENSORS {
        let up = f64::from(u32::try_from(number)?) + 1.;
        builder.get_with_hints(
            elements,
            &format!("layer{number:02}.weight"),
            Init::Uniform { lo: -up, up },
        )?;
    }
    let all: Vec<Var> = variables.all_vars();
    assert_eq!(all.len(), TENSORS);
    Ok(variables)
}

/// Times the tasks in turn, round by round, so that a slow moment of the machine meets all of them.
fn medians(tasks: &mut [Task<'_>], mib: usize) -> Outcome<Vec<f64>> {
    let mut times = vec![Vec::with_capacity(RUNS); tasks.len()];
    for round in 0..=RUNS {
        for (task, times) in tasks.iter_mut().zip(&mut times) {
            if let Some(made) = task.makes.filter(|made| made.exists()) {
                std::fs::remove_file(made)?;
            }
            let begin = Instant::now();
            (task.work)()?;
            let elapsed = begin.elapsed().as_secs_f64();
            // What a task leaves for the system to write must not slow the next one.
            if let Some(made) = task.makes {
                File::open(made)?.sync_all()?;
            }
            // The first round warms caches and is not counted.
            if round > 0 {
                times.push(elapsed);
            }
        }
    }
    let mut medians = Vec::with_capacity(tasks.len());
    for (task, mut times) in tasks.iter().zip(times) {
        times.sort_by(f64::total_cmp);
        let (median, fastest, slowest) = (times[RUNS / 2], times[0], times[RUNS - 1]);
        let rate = f64::from(u32::try_from(mib)?) * 1.048_576e-3 / median;
        let name = task.name;
        println!("{name:<32} {median:7.3} s  ({fastest:.3} to {slowest:.3})  {rate:6.2} GB/s");
        medians.push(median);
    }
    Ok(medians)
}

/// What an entry costs when its bytes cost nothing.
fn many_small(fabric: &Fabric, path: &Path) -> Outcome {
    const COUNT: u32 = 20_000;
    let tensor =
        |number: u32| -> Outcome<_> { Ok((format!("layer{number}"), Tensor::zeros(16, DType::F32, &Device::Cpu)?)) };
    let mut state: BTreeMap<String, Tensor> = (0..COUNT).map(tensor).collect::<Outcome<_>>()?;
    let mut times = [Vec::new(), Vec::new()];
    for _ in 0..RUNS {
        let begin = Instant::now();
        fabric.save_with(path, &state, SaveOptions::new().durability(Durability::Relaxed))?;
        times[0].push(begin.elapsed().as_secs_f64());
        let begin = Instant::now();
        fabric.load(path, &mut state)?;
        times[1].push(begin.elapsed().as_secs_f64());
    }
    let each = times.map(|mut times| {
        times.sort_by(f64::total_cmp);
        times[RUNS / 2] * 1e6 / f64::from(COUNT)
    });
    println!(
        "{COUNT} tensors of 64 bytes: {:.2} us each to save, {:.2} us each to load",
        each[0], each[1]
    );
    Ok(())
}

fn write_new(path: &Path, bytes: &[u8]) -> Outcome {
    let mut file = File::create_new(path)?;
    for block in bytes.chunks(BLOCK) {
        file.write_all(block)?;
    }
    Ok(())
}

fn read_all(path: &Path, into: &mut [u8]) -> Outcome {
    let mut file = File::open(path)?;
    for block in into.chunks_mut(BLOCK) {
        file.read_exact(block)?;
    }
    Ok(())
}
