//! Many ranks: thousands of them as plans, four of them for real.

use std::process::Command;

use fabric_core::testing::planner_bench::World;

use super::Bench;
use crate::figures::{Kind, Table, Theme};
use crate::four_ranks::{self, RANKS, Round, WHO};
use crate::measured::{Measured, Timed, float, micros};
use crate::states::Form;
use crate::table::{duration, number, size};
use crate::timing::{Summary, Task, in_turn};
use crate::{Outcome, peers, resident};

const SAVE: &str = "Fabric save, synced";
const LOAD: &str = "Fabric load";
const LOAD_COLD: &str = "Fabric load, from the device";
const DCP_SAVE: &str = "dcp.save, synced";
const DCP_LOAD: &str = "dcp.load";
const DCP_LOAD_COLD: &str = "dcp.load, from the device";

pub(super) fn measure(bench: &Bench) -> Outcome<Theme> {
    let mut theme = Theme::new("Many ranks");
    theme.note("One process makes the plans of all ranks, without the bytes of the state.");
    plans(bench, &mut theme)?;
    theme.tables.push(manifests(1000));
    theme.tables.push(planning_by_tensors(bench)?);
    for_real(bench, &mut theme)?;
    Ok(theme)
}

/// What four ranks save and load together.
pub(super) fn form(bench: &Bench) -> Form {
    let tensors = 64;
    Form {
        tensors,
        each: bench.scaled(2 << 30) / tensors,
    }
}

/// Matrices cut by rows over the first axis, and by columns over the second, if there is one.
fn world(axes: &[(&str, usize)], tensors: usize) -> World {
    let cuts = (0..axes.len().min(2))
        .map(|dim| (dim, axes.len() - 1 - dim))
        .collect::<Vec<_>>();
    World::new(axes, &vec![(vec![40_000, 4096], cuts); tensors])
}

fn plans(bench: &Bench, theme: &mut Theme) -> Outcome {
    let tensors = 1000;
    let ranks = bench.scaled(10_000) / 100 * 100;
    let mesh = [("dp", ranks / 100), ("pp", 10), ("tp", 10)];
    let mut rows = Vec::new();
    for (name, axes) in [("fsdp", &[("fsdp", ranks)][..]), ("three axes", &mesh)] {
        let mut boxes = 0;
        let mut memory = 0f64;
        let task = Task::new(Kind::Ours, name, || {
            memory = memory.max(resident::peak_of(|| {
                boxes = world(axes, tensors).plan_save().0;
                Ok(())
            })?);
            Ok(())
        });
        let measured = in_turn(vec![task], bench.runs())?;
        let seconds = measured.seconds(name).unwrap_or(f64::NAN);
        let each = micros(seconds, tensors * ranks);
        rows.push(vec![
            format!("{name}, {ranks} ranks, {tensors} tensors"),
            duration(seconds),
            format!("{} us", number(each)),
            format!("{memory:.1} MiB"),
            boxes.to_string(),
        ]);
        theme.at_most(
            &format!("planning for {ranks} ranks, {name}, per tensor and rank"),
            1.,
            "us",
            Some(each),
        );
        theme.at_most(
            &format!("planning for {ranks} ranks, {name}, memory"),
            1024.,
            "MiB",
            Some(memory),
        );
    }
    theme.tables.push(Table {
        caption: "Planning a save".to_owned(),
        head: ["", "all ranks", "per tensor and rank", "memory", "boxes"]
            .map(str::to_owned)
            .to_vec(),
        rows,
    });
    Ok(())
}

/// The manifest grows with tensors, not with ranks.
fn manifests(tensors: usize) -> Table {
    let row = |ranks: usize| {
        let bytes = world(&[("fsdp", ranks)], tensors).manifest_len();
        vec![
            ranks.to_string(),
            size(float(bytes)),
            format!("{} B", number(float(bytes) / float(tensors))),
        ]
    };
    Table {
        caption: format!("The manifest of {tensors} tensors under fsdp"),
        head: ["ranks", "manifest", "per tensor"].map(str::to_owned).to_vec(),
        rows: [1, 100, 10_000].map(row).to_vec(),
    }
}

/// Loading on three ranks what four have saved.
fn planning_by_tensors(bench: &Bench) -> Outcome<Table> {
    let mut rows = Vec::new();
    for tensors in [100, 10_000, bench.scaled(1_000_000)] {
        let [four, three] = [4, 3].map(|ranks| world(&[("fsdp", ranks)], tensors));
        let task = Task::new(Kind::Ours, LOAD, || {
            std::hint::black_box(four.plan_load(&three));
            Ok(())
        });
        let measured = in_turn(vec![task], bench.runs())?;
        let seconds = measured.seconds(LOAD).unwrap_or(f64::NAN);
        let each = format!("{} us", number(micros(seconds, tensors)));
        rows.push(vec![tensors.to_string(), duration(seconds), each]);
    }
    Ok(Table {
        caption: "Planning a load by three ranks of a checkpoint of four ranks".to_owned(),
        head: ["tensors", "all ranks", "per tensor"].map(str::to_owned).to_vec(),
        rows,
    })
}

fn for_real(bench: &Bench, theme: &mut Theme) -> Outcome {
    let form = form(bench);
    let rounds = four_ranks::measure(&bench.options, &bench.path("ranks"), form, bench.runs())?;
    let mut timed = vec![
        of(&rounds, SAVE, four_ranks::SAVE, Kind::Ours),
        of(&rounds, LOAD, four_ranks::LOAD, Kind::Ours),
        of(&rounds, LOAD_COLD, four_ranks::LOAD_COLD, Kind::Ours),
    ];
    if let Some(rounds) = dcp(bench, form)? {
        timed.push(of(&rounds, DCP_SAVE, four_ranks::SAVE, Kind::Peer));
        timed.push(of(&rounds, DCP_LOAD, four_ranks::LOAD, Kind::Peer));
        timed.push(of(&rounds, DCP_LOAD_COLD, four_ranks::LOAD_COLD, Kind::Peer));
    }
    let measured = Measured(timed);
    let caption = format!("{}, split over {RANKS} ranks ({WHO}) on one machine", form.words());
    theme.tables.push(measured.table_of_rates(&caption, form.bytes()));
    let figure = |what: &str| format!("{RANKS} ranks, 2 GiB: {what}, with {RANKS} gloo ranks");
    theme.at_least(
        &figure("save, synced / `dcp.save`, synced"),
        2.,
        measured.ratio(SAVE, DCP_SAVE),
    );
    theme.at_least(
        &figure("load in place, page cache / `dcp.load`, page cache"),
        2.,
        measured.ratio(LOAD, DCP_LOAD),
    );
    theme.at_least(
        &figure("load in place, not in the page cache / `dcp.load`, not in the page cache"),
        2.,
        measured.ratio(LOAD_COLD, DCP_LOAD_COLD),
    );
    Ok(())
}

fn of(rounds: &[Round], name: &str, work: &str, kind: Kind) -> Timed {
    let times = rounds
        .iter()
        .filter(|round| round.work == work)
        .map(|round| round.seconds);
    Timed {
        name: name.to_owned(),
        kind,
        seconds: Summary::of(times.collect()),
    }
}

/// The distributed checkpoint of `PyTorch` on as many ranks; nothing where it is not installed.
fn dcp(bench: &Bench, form: Form) -> Outcome<Option<Vec<Round>>> {
    if !bench.options.peers {
        return Ok(None);
    }
    let output = Command::new("python3")
        .arg(peers::folder().join("dcp_4_ranks.py"))
        .arg(bench.path(""))
        .args([
            "--mib",
            &(form.bytes() >> 20).to_string(),
            "--runs",
            &bench.runs().to_string(),
        ])
        .stderr(std::process::Stdio::null())
        .output()?;
    let text = String::from_utf8(output.stdout)?;
    let rounds: Vec<Round> = text
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect();
    if rounds.is_empty() {
        eprintln!("peers: four ranks of DCP skipped ({})", text.trim());
        return Ok(None);
    }
    Ok(Some(rounds))
}
