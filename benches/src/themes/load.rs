//! Loading: in place from the page cache, into fresh memory, from the device.

use std::cell::RefCell;
use std::path::Path;
use std::time::Instant;

use candle_core::Device;
use candle_nn::VarMap;
use fabric_core::{Durability, Fabric, SaveOptions};

use super::Bench;
use crate::figures::{Kind, Plot, Theme};
use crate::floors::{self, Aligned};
use crate::measured::Measured;
use crate::states::{Form, state, state_in_file};
use crate::timing::{Task, in_turn};
use crate::{Outcome, system};

const PREAD: &str = "pread, 2 threads";
const OURS: &str = "Fabric load";
const OURS_PT: &str = "Fabric load, a .pt file";
const OURS_DCP: &str = "Fabric load, a DCP directory";
const CANDLE: &str = "candle VarMap::load";
const TORCH: &str = "torch.load(mmap) + load_state_dict";
const SAFETENSORS: &str = "safetensors.load_file + load_state_dict";
const LIGHTNING: &str = "Lightning fabric.load";
const DCP: &str = "dcp.load";

pub(super) fn measure(bench: &Bench) -> Outcome<Theme> {
    let mut theme = Theme::new("Loading");
    let form = |tensors: usize| Form {
        tensors,
        each: bench.scaled(1 << 30) / tensors,
    };
    warm(bench, &mut theme, form(64))?;
    warm_large(bench, &mut theme, form(4))?;
    verify(bench, &mut theme, form(64))?;
    fresh(bench, &mut theme, form(64))?;
    cold(bench, &mut theme, form(64))?;
    Ok(theme)
}

/// Writes a state with this library, without waiting for the device.
pub(super) fn save_relaxed(fabric: &Fabric, path: &Path, state: &VarMap) -> Outcome {
    fabric.save_with(path, state, SaveOptions::new().durability(Durability::Relaxed))?;
    Ok(())
}

fn warm(bench: &Bench, theme: &mut Theme, form: Form) -> Outcome {
    let [ours, plain, pt, dcp] = ["ours.ckpt", "state.safetensors", "state.pt", "dcp"].map(|name| bench.path(name));
    let [lightning, orbax] = ["lightning.ckpt", "orbax"].map(|name| bench.path(name));
    let others = [
        (TORCH, "torch_file", &pt),
        (SAFETENSORS, "safetensors_file", &plain),
        (LIGHTNING, "lightning_fabric", &lightning),
        (DCP, "dcp", &dcp),
        ("Orbax restore + load_state_dict", "orbax_checkpoint", &orbax),
    ];
    let variables = state_in_file(form, &plain)?;
    let fabric = Fabric::new();
    save_relaxed(&fabric, &ours, &variables)?;
    let variables = RefCell::new(variables);
    let load = |path: &Path| Ok(fabric.load(path, &mut *variables.borrow_mut()).map(drop)?);
    let mut touched = vec![1; form.bytes()];
    let peers = bench.peers();
    let mut tasks = vec![
        Task::new(Kind::Floor, PREAD, || floors::read(&ours, &mut touched, 2)),
        Task::new(Kind::Ours, OURS, || load(&ours)),
        Task::new(Kind::Peer, CANDLE, || Ok(variables.borrow_mut().load(&plain)?)),
    ];
    for (name, peer, path) in others {
        let Some(peers) = &peers else { break };
        // Safetensors reads the file that is there; the others save their own.
        if path == &plain || peers.prepare(peer, &plain, path)? {
            tasks.push(peers.task(name, peer, "load", &plain, path));
        }
    }
    for (name, path) in [(OURS_PT, &pt), (OURS_DCP, &dcp)] {
        if path.exists() {
            tasks.push(Task::new(Kind::Ours, name, || load(path)));
        }
    }
    system::sync();
    let measured = in_turn(tasks, bench.runs())?;
    let caption = format!("Loading {} in place, file in the page cache", form.words());
    theme
        .plots
        .push(Plot::Bars(measured.bars("load", &caption, form.bytes())));
    theme.tables.push(measured.table(&caption, form.bytes(), PREAD));
    warm_aims(theme, &measured);
    Ok(())
}

fn warm_aims(theme: &mut Theme, measured: &Measured) {
    let best = measured.fastest(&[TORCH, SAFETENSORS]).unwrap_or(TORCH);
    for (figure, aim, ours, other) in [
        (
            "load in place, page cache / `pread` into touched memory, 2 threads",
            0.9,
            OURS,
            PREAD,
        ),
        (
            "load in place, tensors of 16 MiB / candle's `VarMap::load`",
            1.3,
            OURS,
            CANDLE,
        ),
        (
            "load in place, page cache / the faster of `torch.load(mmap=True)` and `safetensors.load_file`, with `load_state_dict`",
            1.3,
            OURS,
            best,
        ),
        (
            "load in place, page cache / Lightning's `fabric.load`",
            10.,
            OURS,
            LIGHTNING,
        ),
        ("load in place, page cache / `dcp.load`", 3., OURS, DCP),
        (
            "load of a `.pt` file in place / `pread` into touched memory, 2 threads",
            0.7,
            OURS_PT,
            PREAD,
        ),
        (
            "load of a `.pt` file in place / `torch.load(mmap=True)` with `load_state_dict`",
            1.,
            OURS_PT,
            TORCH,
        ),
        ("load of a DCP directory in place / `dcp.load`", 1., OURS_DCP, DCP),
    ] {
        theme.at_least(figure, aim, measured.ratio(ours, other));
    }
}

fn warm_large(bench: &Bench, theme: &mut Theme, form: Form) -> Outcome {
    let (ours, plain) = (bench.path("large.ckpt"), bench.path("large.safetensors"));
    let variables = state_in_file(form, &plain)?;
    let fabric = Fabric::new();
    save_relaxed(&fabric, &ours, &variables)?;
    let variables = RefCell::new(variables);
    let mut touched = vec![1; form.bytes()];
    system::sync();
    let tasks = vec![
        Task::new(Kind::Floor, PREAD, || floors::read(&ours, &mut touched, 2)),
        Task::new(Kind::Ours, OURS, || {
            Ok(fabric.load(&ours, &mut *variables.borrow_mut()).map(drop)?)
        }),
        Task::new(Kind::Peer, CANDLE, || Ok(variables.borrow_mut().load(&plain)?)),
    ];
    let measured = in_turn(tasks, bench.runs())?;
    let caption = format!("Loading {} in place, file in the page cache", form.words());
    theme.tables.push(measured.table(&caption, form.bytes(), PREAD));
    theme.at_least(
        "load in place, tensors of 256 MiB / candle's `VarMap::load`",
        6.,
        measured.ratio(OURS, CANDLE),
    );
    Ok(())
}

/// Every byte is read and compared, and nothing is filled with it.
fn verify(bench: &Bench, theme: &mut Theme, form: Form) -> Outcome {
    const VERIFY: &str = "Fabric verify";
    let (ours, fabric) = (bench.path("ours.ckpt"), Fabric::new());
    let mut touched = vec![1; form.bytes()];
    let tasks = vec![
        Task::new(Kind::Floor, PREAD, || floors::read(&ours, &mut touched, 2)),
        Task::new(Kind::Ours, VERIFY, || {
            let report = fabric.verify(&ours)?;
            if report.is_whole() {
                Ok(())
            } else {
                Err("the file is damaged".into())
            }
        }),
    ];
    let measured = in_turn(tasks, bench.runs())?;
    let caption = "The file of the first table, verified from the page cache";
    theme.tables.push(measured.table(caption, form.bytes(), PREAD));
    theme.at_least(
        "`Fabric::verify`, page cache / `pread` into touched memory, 2 threads",
        0.9,
        measured.ratio(VERIFY, PREAD),
    );
    Ok(())
}

/// Tensors that did not exist before: new memory has to be touched for the first time.
fn fresh(bench: &Bench, theme: &mut Theme, form: Form) -> Outcome {
    const READ: &str = "std::fs::read";
    const RAW: &str = "Fabric, RawCheckpoint::tensors";
    const ONE_BY_ONE: &str = "Fabric, RawCheckpoint::tensor for each";
    let ours = bench.path("ours.ckpt");
    let fabric = Fabric::new();
    let tasks = vec![
        giving(Kind::Floor, READ, || Ok(std::fs::read(&ours)?)),
        giving(Kind::Ours, RAW, || Ok(fabric.open(&ours)?.tensors(&Device::Cpu)?)),
        giving(Kind::Ours, ONE_BY_ONE, || {
            let raw = fabric.open(&ours)?;
            let tensors = raw.names().into_iter().map(|name| raw.tensor(name, &Device::Cpu));
            Ok(tensors.collect::<fabric_core::Result<Vec<_>>>()?)
        }),
    ];
    let tasks = tasks.into_iter().map(|task| task.needing(form.bytes())).collect();
    let measured = in_turn(tasks, bench.runs())?;
    let caption = "The file of the first table, into newly allocated tensors";
    theme.tables.push(measured.table(caption, form.bytes(), READ));
    Ok(())
}

/// Work that gives out memory. To take it back is not in the time.
fn giving<'t, T>(kind: Kind, name: &str, work: impl Fn() -> Outcome<T> + 't) -> Task<'t> {
    Task::timing_itself(kind, name, move || {
        let begin = Instant::now();
        let given = work()?;
        let seconds = begin.elapsed().as_secs_f64();
        drop(given);
        Ok(seconds)
    })
}

fn cold(bench: &Bench, theme: &mut Theme, form: Form) -> Outcome {
    const DEVICE: &str = "O_DIRECT read, 4 threads";
    let (ours, plain) = (bench.path("ours.ckpt"), bench.path("state.safetensors"));
    let fabric = Fabric::new();
    let variables = RefCell::new(state(form)?);
    let mut direct = Aligned::new(form.bytes());
    let tasks = vec![
        Task::new(Kind::Floor, DEVICE, || floors::read_direct(&ours, &mut direct, 4)).cold(&ours),
        Task::new(Kind::Ours, OURS, || {
            Ok(fabric.load(&ours, &mut *variables.borrow_mut()).map(drop)?)
        })
        .cold(&ours),
        Task::new(Kind::Peer, CANDLE, || Ok(variables.borrow_mut().load(&plain)?)).cold(&plain),
    ];
    let measured = in_turn(tasks, bench.runs())?;
    theme.tables.push(measured.table(
        "The file of the first table, not in the page cache",
        form.bytes(),
        DEVICE,
    ));
    theme.at_least(
        "load in place, not in the page cache / `O_DIRECT` reads, 4 threads",
        0.9,
        measured.ratio(OURS, DEVICE),
    );
    Ok(())
}
