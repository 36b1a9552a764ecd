//! What an entry costs when its bytes cost nothing.

mod growth;

use std::cell::RefCell;
use std::path::Path;

use candle_core::Tensor;
use fabric_core::Fabric;
use fabric_core::testing::planner_bench::read_to_compare;

use super::Bench;
use super::load::save_relaxed;
use crate::Outcome;
use crate::figures::{Kind, Theme};
use crate::measured::micros;
use crate::states::{Form, state_in_file};
use crate::timing::{Task, in_turn};

const SAVE: &str = "Fabric save, not synced";
/// The cost of comparing replicas, which each rank adds to a save where other ranks hold the same tensors.
const SAMPLE: &str = "comparing replicas";
const LOAD: &str = "Fabric load";
const LOAD_PT: &str = "Fabric load, a .pt file";
const LOAD_DCP: &str = "Fabric load, a DCP directory";

pub(super) fn measure(bench: &Bench) -> Outcome<Theme> {
    let mut theme = Theme::new("Tiny tensors");
    let form = Form {
        tensors: bench.scaled(320_000).min(20_000),
        each: 64,
    };
    let [ours, plain, made, pt, dcp] =
        ["ours.ckpt", "state.safetensors", "made", "state.pt", "dcp"].map(|name| bench.path(name));
    let variables = state_in_file(form, &plain)?;
    let fabric = Fabric::new();
    save_relaxed(&fabric, &ours, &variables)?;
    let tensors: Vec<Tensor> = variables.all_vars().iter().map(|var| var.as_tensor().clone()).collect();
    let variables = RefCell::new(variables);
    let save = || save_relaxed(&fabric, &made, &variables.borrow());
    let load = |path: &Path| Ok(fabric.load(path, &mut *variables.borrow_mut()).map(drop)?);
    let peers = bench.peers();
    let mut tasks = vec![
        Task::new(Kind::Ours, SAVE, save).making(&made),
        Task::new(Kind::Ours, "Fabric save, synced", || {
            Ok(fabric.save(&made, &*variables.borrow()).map(drop)?)
        })
        .making(&made),
        Task::new(Kind::Peer, "candle VarMap::save", || {
            Ok(variables.borrow().save(&made)?)
        })
        .making(&made),
        Task::new(Kind::Ours, SAMPLE, || Ok(read_to_compare(&tensors, false)?)),
        Task::new(Kind::Ours, LOAD, || load(&ours)),
        Task::new(Kind::Peer, "candle VarMap::load", || {
            Ok(variables.borrow_mut().load(&plain)?)
        }),
    ];
    if let Some(peers) = &peers {
        let torch = peers.prepare("torch_file", &plain, &pt)?;
        if torch {
            tasks.push(Task::new(Kind::Ours, LOAD_PT, || load(&pt)));
            tasks.push(peers.task("torch.load(mmap) + load_state_dict", "torch_file", "load", &plain, &pt));
        }
        // dcp.load needs seconds for this state: only its file is used here.
        if torch && peers.prepare("dcp", &plain, &dcp)? {
            tasks.push(Task::new(Kind::Ours, LOAD_DCP, || load(&dcp)));
        }
    }
    let measured = in_turn(tasks, bench.runs())?;
    let caption = format!("{} tensors of 64 bytes", form.tensors);
    theme.tables.push(measured.table_of_each(&caption, form.tensors));
    let each = |name: &str| measured.seconds(name).map(|seconds| micros(seconds, form.tensors));
    theme.at_most("save of 20,000 tensors of 64 bytes, per tensor", 3., "us", each(SAVE));
    theme.at_most(
        "time of comparing replicas of 20,000 tensors of 64 bytes / save without sync",
        0.02,
        "",
        measured.ratio(SAVE, SAMPLE),
    );
    theme.at_most("load of 20,000 tensors of 64 bytes, per tensor", 3., "us", each(LOAD));
    theme.at_most(
        "load of 20,000 tensors of 64 bytes from a `.pt` file, per tensor",
        5.,
        "us",
        each(LOAD_PT),
    );
    growth::measure(bench, &mut theme)?;
    Ok(theme)
}
