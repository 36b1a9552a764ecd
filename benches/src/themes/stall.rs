//! How long training waits for a save in the background.

use super::Bench;
use crate::Outcome;
use crate::figures::{Kind, Theme};
use crate::floors::{self, Aligned};
use crate::states::{Form, state_in_file};
use crate::timing::{Task, in_turn};

const COPY: &str = "memcpy of the state";

pub(super) fn measure(bench: &Bench) -> Outcome<Theme> {
    let mut theme = Theme::new("Saving in the background");
    let form = Form {
        tensors: 64,
        each: bench.scaled(1 << 30) / 64,
    };
    let (plain, made) = (bench.path("state.safetensors"), bench.path("made"));
    state_in_file(form, &plain)?;
    let source = Aligned::new(form.bytes());
    let mut into = vec![1; form.bytes()];
    let peers = bench.peers();
    let mut tasks = vec![Task::new(Kind::Floor, COPY, || {
        floors::copy(source.bytes(), &mut into, 1);
        Ok(())
    })];
    if let Some(peers) = &peers
        && peers.prepare("dcp", &plain, &made)?
    {
        let task = peers.task("dcp.async_save, until it returns", "dcp", "save_async", &plain, &made);
        tasks.push(task.making(&made));
    }
    let measured = in_turn(tasks, bench.runs())?;
    theme.tables.push(measured.table(&form.words(), form.bytes(), COPY));
    Ok(theme)
}
