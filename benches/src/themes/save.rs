//! Saving: until the device has the bytes, and until the system has them.

use candle_core::Tensor;
use fabric_core::Fabric;
use fabric_core::testing::planner_bench::read_to_compare;

use super::Bench;
use super::load::save_relaxed;
use crate::Outcome;
use crate::figures::{Kind, Plot, Theme};
use crate::floors::{self, Aligned};
use crate::states::{Form, state_in_file};
use crate::timing::{Task, in_turn};

const DIRECT: &str = "O_DIRECT + fallocate, fdatasync";
const DURABLE: &str = "Fabric save, synced";
const DCP: &str = "dcp.save, synced";
const PLAIN: &str = "plain write";
const RELAXED: &str = "Fabric save, not synced";
/// The cost of comparing replicas, which each rank adds to a save where other ranks hold the same tensors.
const SAMPLE: &str = "comparing replicas by a sample";
const WHOLE: &str = "comparing whole replicas";
const LIGHTNING: &str = "Lightning fabric.save";

pub(super) fn measure(bench: &Bench) -> Outcome<Theme> {
    let mut theme = Theme::new("Saving");
    let form = Form {
        tensors: 64,
        each: bench.scaled(1 << 30) / 64,
    };
    theme.note(
        "Each save writes a new file. The benchmark syncs its unwritten bytes before the next task begins, outside of the \
         measured time.",
    );
    let (plain, made) = (bench.path("state.safetensors"), bench.path("made"));
    let variables = state_in_file(form, &plain)?;
    let fabric = Fabric::new();
    let tensors: Vec<Tensor> = variables.all_vars().iter().map(|var| var.as_tensor().clone()).collect();
    let source = Aligned::new(form.bytes());
    let peers = bench.peers();
    let mut tasks = vec![
        Task::new(Kind::Floor, DIRECT, || floors::write_direct(&made, &source)),
        Task::new(Kind::Floor, "O_DIRECT + fallocate, fdatasync, 3 threads", || {
            floors::write_direct_by(&made, &source, 3, 2 << 20)
        }),
        Task::new(Kind::Ours, DURABLE, || Ok(fabric.save(&made, &variables).map(drop)?)),
        Task::new(Kind::Floor, PLAIN, || floors::write(&made, source.bytes()).map(drop)),
        Task::new(Kind::Ours, RELAXED, || save_relaxed(&fabric, &made, &variables)),
        Task::new(Kind::Ours, SAMPLE, || Ok(read_to_compare(&tensors, false)?)),
        Task::new(Kind::Ours, WHOLE, || Ok(read_to_compare(&tensors, true)?)),
        Task::new(Kind::Peer, "candle VarMap::save", || Ok(variables.save(&made)?)),
    ];
    for (name, peer) in [
        (DCP, "dcp"),
        (LIGHTNING, "lightning_fabric"),
        ("torch.save", "torch_file"),
        ("safetensors.save_file", "safetensors_file"),
        ("Orbax save", "orbax_checkpoint"),
    ] {
        let Some(peers) = &peers else { break };
        if peers.prepare(peer, &plain, &made)? {
            tasks.push(peers.task(name, peer, "save", &plain, &made));
        }
        crate::files::remove(&made)?;
    }
    let tasks = tasks
        .into_iter()
        .map(|task| task.making(&made).needing(form.bytes()))
        .collect();
    let measured = in_turn(tasks, bench.runs())?;
    let caption = format!("Saving {} to a new file", form.words());
    theme
        .plots
        .push(Plot::Bars(measured.bars("save", &caption, form.bytes())));
    theme.tables.push(measured.table(&caption, form.bytes(), DIRECT));
    theme.at_least(
        "save, synced / `O_DIRECT` writes, `fallocate`, `fdatasync`",
        0.9,
        measured.ratio(DURABLE, DIRECT),
    );
    theme.at_least("save, synced / `dcp.save`, synced", 2.5, measured.ratio(DURABLE, DCP));
    theme.at_least(
        "save, synced / Lightning's `fabric.save`, not synced",
        3.,
        measured.ratio(DURABLE, LIGHTNING),
    );
    theme.at_least("save, not synced / plain `write`", 0.95, measured.ratio(RELAXED, PLAIN));
    for (save, name) in [(DURABLE, "durable save"), (RELAXED, "save without sync")] {
        let part = measured.ratio(save, SAMPLE);
        theme.at_most(
            &format!("time of comparing replicas by a sample / {name}"),
            0.02,
            "",
            part,
        );
    }
    Ok(theme)
}
