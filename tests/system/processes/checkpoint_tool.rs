//! One process of the tests that need real ones: `checkpoint-tool COMMAND PATH ELEMENTS [ITERATION]`.
//!
//! Every command prints one line, `ok ITERATION` or `error TEXT`; `flip` goes on for ever; `writer`, `writer-ranks` and `writer-relaxed` print one for each save, and
//! `repeat` saves the iterations from 1 on. The contents of a state follow from its iteration, so a load notices a mixture of two saves.

use std::fs::OpenOptions;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use candle_core::{Device, Tensor, Var};
use fabric_core::group::ThreadGroup;
use fabric_core::storage::{Local, Storage};
use fabric_core::{Checkpoint, Durability, Error, Fabric, Result, SaveOptions, Strategy};

#[derive(Checkpoint)]
struct State {
    #[checkpoint(shard(dim = 0))]
    a: Var,
    b: Var,
    iteration: u64,
}

impl State {
    fn new(elements: usize, iteration: u64) -> Self {
        let a = Var::from_tensor(&filled(elements, iteration)).expect("a tensor");
        let b = Var::from_tensor(&filled(elements, iteration + 1)).expect("a tensor");
        Self { a, b, iteration }
    }

    fn set(&mut self, iteration: u64) {
        let elements = self.a.elem_count();
        self.a.set(&filled(elements, iteration)).expect("the same shape");
        self.b.set(&filled(elements, iteration + 1)).expect("the same shape");
        self.iteration = iteration;
    }

    /// Whether all of the state is of one iteration.
    fn check(&self) -> Result<u64, String> {
        for (name, var, expected) in [("a", &self.a, self.iteration), ("b", &self.b, self.iteration + 1)] {
            let found = var.to_vec1::<f32>().map_err(|error| error.to_string())?;
            if let Some(at) = found
                .iter()
                .position(|element| element.to_bits() != as_element(expected).to_bits())
            {
                return Err(format!(
                    "mixed: {name}[{at}] is {} at iteration {}",
                    found[at], self.iteration
                ));
            }
        }
        Ok(self.iteration)
    }
}

fn filled(elements: usize, iteration: u64) -> Tensor {
    Tensor::full(as_element(iteration), elements, &Device::Cpu).expect("a tensor")
}

#[expect(clippy::cast_precision_loss, reason = "iterations of a test are small")]
fn as_element(iteration: u64) -> f32 {
    iteration as f32
}

/// A Fabric that saves directories, with one rank.
fn ranks() -> Fabric {
    let group = ThreadGroup::with_timeout(1, Duration::from_secs(20)).remove(0);
    let builder = Fabric::builder().strategy(Strategy::fsdp()).process_group(group);
    builder.build().expect("one rank")
}

fn main() {
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    let text = |at: usize| arguments.get(at).map(|text| text.to_string_lossy().into_owned());
    let number = |at: usize, otherwise: u64| text(at).and_then(|text| text.parse().ok()).unwrap_or(otherwise);
    let path = PathBuf::from(arguments.get(1).cloned().unwrap_or_default());
    let elements = usize::try_from(number(2, 1000)).expect("a small number");
    let iteration = number(3, 1);
    let fabric = |command: &str| {
        if command.ends_with("-ranks") {
            ranks()
        } else {
            Fabric::new()
        }
    };
    let command = text(0).unwrap_or_default();
    let fabric = fabric(&command);
    let durability = if command.ends_with("-relaxed") {
        Durability::Relaxed
    } else {
        Durability::Durable
    };
    let options = || SaveOptions::new().durability(durability);
    match command.as_str() {
        "save" | "save-ranks" | "save-relaxed" => {
            let state = State::new(elements, iteration);
            say(fabric.save_with(&path, &state, options()).map(|_| iteration));
        }
        "repeat" | "repeat-ranks" | "repeat-relaxed" | "repeat-mixed" => {
            let mut saves = (1..=iteration).map(|iteration| {
                let state = State::new(elements, iteration);
                let is_relaxed = command == "repeat-mixed" && iteration > 1;
                let durability = if is_relaxed { Durability::Relaxed } else { durability };
                fabric
                    .save_with(&path, &state, SaveOptions::new().durability(durability))
                    .map(drop)
            });
            say(saves.try_for_each(|saved| saved).map(|()| iteration));
        }
        "save-async" => {
            let state = State::new(elements, iteration);
            say(fabric
                .save_async(&path, &state)
                .and_then(fabric_core::Saving::wait)
                .map(|_| iteration));
        }
        "load" | "load-ranks" => load(&fabric, &path, elements),
        "lent" => say(Ok(lent(&path).expect("a file"))),
        "flip" => flip(&path).expect("a file that can be written to"),
        "open" => say(fabric.open(&path).map(|raw| raw.len() as u64)),
        "writer" | "writer-ranks" | "writer-relaxed" => {
            let mut state = State::new(elements, iteration);
            for iteration in iteration.. {
                state.set(iteration);
                say(fabric.save_with(&path, &state, options()).map(|_| iteration));
            }
        }
        other => panic!("no command `{other}`"),
    }
}

/// 1 if the file lends its first bytes, else 0.
fn lent(path: &Path) -> std::io::Result<u64> {
    let file = Local::new().open(path)?;
    let len = file.len()?.min(4 << 20);
    let lent = file.lend(0, usize::try_from(len).unwrap_or_default(), &mut |_| {});
    Ok(u64::from(lent))
}

/// Changes a byte of the file and changes it back, for ever.
fn flip(path: &Path) -> std::io::Result<()> {
    let mut file = OpenOptions::new().read(true).write(true).open(path)?;
    let at = SeekFrom::Start(file.metadata()?.len() / 2);
    let mut byte = [0];
    file.seek(at)?;
    file.read_exact(&mut byte)?;
    say(Ok(0));
    loop {
        byte[0] ^= 1;
        file.seek(at)?;
        file.write_all(&byte)?;
    }
}

fn load(fabric: &Fabric, path: &Path, elements: usize) {
    let mut state = State::new(elements, 0);
    match fabric.load(path, &mut state).map(|_| state.check()) {
        Ok(Ok(iteration)) => println!("ok {iteration}"),
        Ok(Err(mixed)) => println!("error {mixed}"),
        Err(error) => say(Err(error)),
    }
}

fn say(outcome: Result<u64, Error>) {
    match outcome {
        Ok(number) => println!("ok {number}"),
        Err(error) => println!("error {}", error.to_string().replace('\n', " ")),
    }
}
