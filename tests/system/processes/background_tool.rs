//! One process of the tests about saves in the background and about limits: `background-tool COMMAND DIRECTORY [MIB]`.
//!
//! It prints `ok` or `error TEXT` at its end. With a number of MiB, it limits its own address space to so much more than it has
//! when the call that is tested begins.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Barrier, LazyLock};

use candle_core::{DType, Device, Tensor, Var};
use candle_nn::Optimizer;
use fabric_core::group::ThreadGroup;
use fabric_core::optim::{AdamW, ParamsAdamW};
use fabric_core::testing::Memory;
use fabric_core::{Checkpoint, Durability, ExportOptions, Fabric, LoadOptions, Result, SaveOptions, Strategy};

#[derive(Checkpoint)]
struct State {
    a: Var,
    b: Var,
    strided: Tensor,
    note: String,
}

impl State {
    fn new(elements: usize) -> Self {
        let make = || {
            let filled = |value: f32| Var::from_tensor(&Tensor::full(value, elements, &Device::Cpu)?);
            Ok::<_, candle_core::Error>(Self {
                a: filled(1.)?,
                b: filled(2.)?,
                strided: Tensor::zeros((700, 1100), DType::F32, &Device::Cpu)?.t()?,
                note: "a note".to_owned(),
            })
        };
        make().expect("memory for the state")
    }
}

/// What of a state is no tensor, and long.
#[derive(Checkpoint)]
struct Values {
    tensor: Var,
    text: String,
    history: Vec<f64>,
    #[checkpoint(metadata)]
    notes: BTreeMap<String, Vec<u64>>,
    #[checkpoint(per_rank)]
    position: Vec<u64>,
}

impl Values {
    fn new(items: u64) -> Self {
        let notes = (0..items / 4).map(|at| (format!("note {at}"), vec![at; 2]));
        Self {
            tensor: Var::zeros(8, DType::F32, &Device::Cpu).expect("memory for the state"),
            text: "a".repeat(usize::try_from(items * 20).expect("a length")),
            history: (0u32..)
                .map(f64::from)
                .take(usize::try_from(items).expect("a length"))
                .collect(),
            notes: notes.collect(),
            position: (0..items).collect(),
        }
    }
}

/// How many items the lists of the long values have.
const ITEMS: u64 = 200_000;

/// Two ranks call `each`, with a limit on the memory of both.
fn by_two_ranks(mib: Option<u64>, each: impl Fn(Fabric) -> Result<()> + Sync) -> Result<()> {
    let met = Barrier::new(3);
    std::thread::scope(|scope| {
        let ranks: Vec<_> = ThreadGroup::new(2)
            .into_iter()
            .map(|group| {
                let (met, each) = (&met, &each);
                scope.spawn(move || {
                    let fabric = Fabric::builder()
                        .strategy(Strategy::fsdp())
                        .process_group(group)
                        .build();
                    met.wait();
                    met.wait();
                    each(fabric?)
                })
            })
            .collect();
        met.wait();
        limit(mib);
        met.wait();
        let outcomes: Vec<_> = ranks.into_iter().map(|rank| rank.join().expect("no panic")).collect();
        outcomes.into_iter().collect()
    })
}

/// A call about long values.
fn with_values(command: &str, directory: &Path, mib: Option<u64>) -> Result<()> {
    let there = directory.join(if command.ends_with("ranks") { "ranks" } else { "values" });
    let last = directory.join("last.ckpt");
    let fabric = Fabric::new();
    match command {
        "save-values" => {
            let state = Values::new(ITEMS);
            limit(mib);
            fabric.save(last, &state).map(drop)
        }
        "load-values" => {
            let mut state = Values::new(1);
            limit(mib);
            fabric.load(there, &mut state)?;
            assert_eq!(state.position.len(), 200_000);
            Ok(())
        }
        "values" => {
            let raw = fabric.open(there)?;
            limit(mib);
            assert_eq!(raw.value::<Vec<f64>>("history")?.len(), 200_000);
            assert_eq!(raw.value::<String>("text")?.len(), 4_000_000);
            Ok(())
        }
        "export-values" => {
            limit(mib);
            let options = ExportOptions::new();
            fabric.export(there, directory.join("last.pt"), options).map(drop)
        }
        "load-exported" => {
            let mut state = Values::new(1);
            limit(mib);
            fabric.load(directory.join("exported.pt"), &mut state).map(drop)
        }
        "save-ranks" => by_two_ranks(mib, |fabric| fabric.save(&last, &Values::new(ITEMS)).map(drop)),
        "load-ranks" => by_two_ranks(mib, |fabric| fabric.load(&there, &mut Values::new(1)).map(drop)),
        other => panic!("no command `{other}`"),
    }
}

/// The elements of a tensor that is read and written by several threads.
const MANY: usize = 5 << 20;

static STATIC: LazyLock<Fabric> = LazyLock::new(Fabric::new);

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [command, directory, more @ ..] = &arguments[..] else {
        panic!("background-tool COMMAND DIRECTORY [MIB]");
    };
    let directory = Path::new(directory);
    let mib = more.first().and_then(|mib| mib.parse().ok());
    let outcome = match command.as_str() {
        "target-network" => target_network(),
        "relative" => relative(directory),
        "static" => static_fabric(directory),
        "exit" => exit(directory),
        "untold" | "untold-drop" | "untold-waited" | "untold-handle" | "untold-traced" => untold(command, directory),
        other if other.contains("values") || other.ends_with("ranks") || other.ends_with("exported") => {
            with_values(other, directory, mib)
        }
        other => limited(other, directory, mib),
    };
    match outcome {
        Ok(()) => println!("ok"),
        Err(error) => println!("error {}", error.to_string().replace('\n', " ")),
    }
}

/// Limits the address space of this process.
fn limit(mib: Option<u64>) {
    let Some(mib) = mib else { return };
    let status = std::fs::read_to_string("/proc/self/status").expect("the system tells");
    let line = status.lines().find_map(|line| line.strip_prefix("VmSize:"));
    let size = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    let bytes = (size.expect("a number") << 10) + (mib << 20);
    let pid = std::process::id();
    let mut command = Command::new("prlimit");
    command.arg(format!("--pid={pid}")).arg(format!("--as={bytes}"));
    assert!(command.status().expect("prlimit runs").success());
}

/// One call, in a process with limits. What it needs is in the directory.
fn limited(command: &str, directory: &Path, mib: Option<u64>) -> Result<()> {
    let fabric = Fabric::new();
    let path = directory.join("last.ckpt");
    let elements = if command.ends_with("small") { 100 } else { MANY };
    let mut state = State::new(elements);
    match command {
        "prepare" => {
            fabric.save(directory.join("there.ckpt"), &state)?;
            let three = Strategy::fsdp().ranks(3);
            fabric.reshard(directory.join("there.ckpt"), directory.join("three"), three)?;
            let values = directory.join("values");
            fabric.save(&values, &Values::new(ITEMS))?;
            fabric.export(values, directory.join("exported.pt"), ExportOptions::new())?;
            by_two_ranks(None, |fabric| {
                fabric.save(directory.join("ranks"), &Values::new(ITEMS)).map(drop)
            })?;
            return Ok(());
        }
        "step" => {
            // Candle's own computations over many elements need threads.
            let gradients = || {
                let scalar = Var::zeros((), DType::F32, &Device::Cpu)?;
                let mut gradients = scalar.backward()?;
                gradients.insert(&state.a, Tensor::full(1f32, MANY, &Device::Cpu)?);
                Ok::<_, candle_core::Error>(gradients)
            };
            let gradients = gradients().map_err(|error| candle(&error))?;
            let mut optimizer =
                AdamW::new(vec![state.a.clone()], ParamsAdamW::default()).map_err(|error| candle(&error))?;
            limit(mib);
            return optimizer.step(&gradients).map_err(|error| candle(&error));
        }
        _ => limit(mib),
    }
    let from = directory.join("there.ckpt");
    match command {
        "save" | "save-small" => fabric.save(&path, &state).map(drop),
        "save-relaxed" => {
            let options = SaveOptions::new().durability(Durability::Relaxed);
            fabric.save_with(&path, &state, options).map(drop)
        }
        "save-async" | "save-async-small" => fabric.save_async(&path, &state)?.wait().map(drop),
        "load" => {
            state.note = String::new();
            fabric.load(&from, &mut state)?;
            assert_eq!(state.note, "a note");
            Ok(())
        }
        "load-verified" => {
            let options = LoadOptions::new().verify_first(true);
            fabric.load_with(&from, &mut state, options).map(drop)
        }
        "load-three" => fabric.load(directory.join("three"), &mut state).map(drop),
        "tensors" => {
            let tensors = fabric.open(&from)?.tensors(&Device::Cpu)?;
            assert_eq!(tensors.len(), 3);
            Ok(())
        }
        "consolidate" => fabric.consolidate(directory.join("three"), &path).map(drop),
        "reshard" => {
            let two = Strategy::fsdp().ranks(2);
            fabric.reshard(&from, directory.join("two"), two).map(drop)
        }
        "export" => {
            let options = ExportOptions::new();
            fabric
                .export(&from, directory.join("last.safetensors"), options)
                .map(drop)
        }
        "export-torch" => {
            let options = ExportOptions::new();
            fabric.export(&from, directory.join("last.pt"), options).map(drop)
        }
        other => panic!("no command `{other}`"),
    }
}

fn candle(error: &candle_core::Error) -> fabric_core::Error {
    fabric_core::Error::Internal(error.to_string())
}

/// One thread sets a target network, one trains, and one saves in a loop.
fn target_network() -> Result<()> {
    #[derive(Checkpoint)]
    struct Both {
        online: Vec<Var>,
        target: Vec<Var>,
    }
    let vars = || (0..8).map(|_| Var::zeros(20_000, DType::F32, &Device::Cpu).expect("a variable"));
    let state = Both {
        online: vars().collect(),
        target: vars().collect(),
    };
    let fabric = Fabric::builder().storage(Memory::new()).build()?;
    let fresh = Tensor::ones(20_000, DType::F32, &Device::Cpu).expect("a tensor");
    let done = AtomicBool::new(false);
    let until_done = |work: &dyn Fn()| {
        while !done.load(Ordering::Relaxed) {
            work();
        }
    };
    let set = |to: &Var, from: &Tensor| to.set(from).expect("it can be set");
    std::thread::scope(|scope| {
        scope.spawn(|| until_done(&|| state.target.iter().zip(&state.online).for_each(|(t, o)| set(t, o))));
        scope.spawn(|| until_done(&|| state.online.iter().for_each(|online| set(online, &fresh))));
        let saves = (0..300).try_for_each(|_| fabric.save_async("last", &state)?.wait().map(drop));
        done.store(true, Ordering::Relaxed);
        saves
    })
}

/// Every call with a relative path, of which the directory changes as soon as a save in the background has begun.
fn relative(directory: &Path) -> Result<()> {
    let (one, two) = (directory.join("one"), directory.join("two"));
    let go = |to: &Path| {
        std::fs::create_dir_all(to).expect("a directory");
        std::env::set_current_dir(to).expect("it can be entered");
    };
    let fabric = Fabric::new();
    for elements in [1, MANY] {
        let state = State::new(elements);
        go(&one);
        let saving = fabric.save_async(format!("run/{elements}.ckpt"), &state)?;
        go(&two);
        saving.wait()?;
    }
    go(&one);
    fabric.reshard("run/1.ckpt", "sharded", Strategy::fsdp().ranks(2))?;
    let raw = fabric.open("sharded")?;
    go(&two);
    raw.tensor("a", &Device::Cpu)?;
    let mut state = State::new(1);
    let error = fabric
        .load("run/1.ckpt", &mut state)
        .expect_err("it is in the other directory");
    let text = error.to_string();
    assert!(text.contains("run/1.ckpt"), "{text}");
    go(&one);
    fabric.load("run/1.ckpt", &mut state)?;
    fabric.consolidate("sharded", "whole.ckpt")?;
    fabric.load("./whole.ckpt", &mut state).map(drop)
}

fn static_fabric(directory: &Path) -> Result<()> {
    STATIC
        .save_async(directory.join("last.ckpt"), &State::new(MANY))?
        .detach();
    STATIC.wait()
}

fn exit(directory: &Path) -> Result<()> {
    let fabric = Fabric::new();
    fabric
        .save_async(directory.join("last.ckpt"), &State::new(MANY))?
        .detach();
    fabric.wait()?;
    println!("ok");
    std::process::exit(0)
}

/// A save in the background that fails, and a program that ends in one way or another.
fn untold(command: &str, directory: &Path) -> Result<()> {
    if command == "untold-traced" {
        tracing_subscriber::fmt().init();
    }
    std::fs::write(directory.join("file"), "").expect("a file");
    let fabric = Fabric::new();
    let saving = fabric.save_async(directory.join("file/x.ckpt"), &State::new(10))?;
    match command {
        "untold-drop" => drop(saving),
        "untold-handle" => {
            drop(fabric);
            drop(saving);
            return Ok(());
        }
        _ => saving.detach(),
    }
    // A load waits, and says nothing of it.
    fabric.open(directory.join("nothing")).expect_err("nothing is there");
    if command == "untold-waited" {
        return fabric.wait();
    }
    Ok(())
}
