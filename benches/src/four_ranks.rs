//! Ranks on this machine that save and load a state together: processes of MPI, or threads.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use candle_core::{Device, Tensor};
use fabric_core::group::ProcessGroup;
use fabric_core::{Checkpoint, Fabric, Strategy};
use serde::{Deserialize, Serialize};

use crate::states::Form;
use crate::{Outcome, files};

pub(crate) const RANKS: usize = 4;

/// What a round does.
pub(crate) const SAVE: &str = "save";
/// Loading from the page cache.
pub(crate) const LOAD: &str = "load";
/// Loading from the device.
pub(crate) const LOAD_COLD: &str = "load cold";

/// One round of one rank's work, as `benches/peers/dcp_4_ranks.py` prints it too.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Round {
    #[serde(rename = "do")]
    pub(crate) work: String,
    pub(crate) seconds: f64,
}

#[derive(Checkpoint)]
struct Parts {
    #[checkpoint(shard(dim = 0))]
    layers: BTreeMap<String, Tensor>,
}

/// What one rank does; all ranks do it together. The form is that of the whole state. A round's time is from a barrier
/// before it to a barrier after it; the first round does not count.
fn as_rank(group: &dyn ProcessGroup, path: &Path, form: Form, runs: usize) -> Outcome<Vec<Round>> {
    const COLUMNS: usize = 1024;
    let fabric = Fabric::builder()
        .strategy(Strategy::fsdp())
        .process_group(Shared(group.duplicate()?))
        .build()?;
    let rows = form.each / 4 / COLUMNS / group.world_size();
    let layer = |number: usize| -> Outcome<_> {
        let tensor = Tensor::rand(0f32, 1., (rows, COLUMNS), &Device::Cpu)?;
        Ok((format!("layer{number:02}"), tensor))
    };
    let layers = (0..form.tensors).map(layer).collect::<Outcome<_>>()?;
    let mut state = Parts { layers };
    let mut rounds = Vec::new();
    for run in 0..=runs {
        if group.rank() == 0 {
            files::remove(path)?;
        }
        for work in [SAVE, LOAD, LOAD_COLD] {
            match work {
                LOAD if group.rank() == 0 => files::fill_pages(path)?,
                LOAD_COLD if group.rank() == 0 => files::drop_pages(path)?,
                _ => {}
            }
            group.barrier("before a round")?;
            let begin = Instant::now();
            if work == SAVE {
                fabric.save(path, &state)?;
            } else {
                fabric.load(path, &mut state)?;
            }
            group.barrier("after a round")?;
            let seconds = begin.elapsed().as_secs_f64();
            let work = work.to_owned();
            rounds.extend((run > 0).then_some(Round { work, seconds }));
        }
    }
    group.barrier("the end")?;
    if group.rank() == 0 {
        files::remove(path)?;
    }
    Ok(rounds)
}

/// A boxed group as a group.
#[derive(Debug)]
struct Shared(Box<dyn ProcessGroup>);

impl ProcessGroup for Shared {
    fn rank(&self) -> usize {
        self.0.rank()
    }

    fn world_size(&self) -> usize {
        self.0.world_size()
    }

    fn all_gather(&self, step: &str, bytes: &[u8]) -> Result<Vec<Vec<u8>>, fabric_core::group::GroupError> {
        self.0.all_gather(step, bytes)
    }

    fn duplicate(&self) -> Result<Box<dyn ProcessGroup>, fabric_core::group::GroupError> {
        self.0.duplicate()
    }
}

#[cfg(not(feature = "mpi"))]
pub(crate) use threads::{WHO, measure};

#[cfg(not(feature = "mpi"))]
mod threads {
    use fabric_core::group::ThreadGroup;

    use super::{Form, Outcome, Path, RANKS, Round, as_rank};
    use crate::Options;

    pub(crate) const WHO: &str = "threads of one process";

    /// The rounds of rank 0.
    pub(crate) fn measure(_: &Options, path: &Path, form: Form, runs: usize) -> Outcome<Vec<Round>> {
        let of_rank = |group: ThreadGroup| as_rank(&group, path, form, runs).map_err(|error| error.to_string());
        std::thread::scope(|scope| {
            let groups = ThreadGroup::new(RANKS).into_iter();
            let ranks: Vec<_> = groups.map(|group| scope.spawn(move || of_rank(group))).collect();
            let mut outcomes = ranks
                .into_iter()
                .map(|rank| rank.join().map_err(|_| "a rank has panicked")?);
            let first = outcomes.next().ok_or("there are no ranks")??;
            outcomes.collect::<Result<Vec<_>, String>>()?;
            Ok(first)
        })
    }
}

#[cfg(feature = "mpi")]
pub(crate) use processes::{WHO, measure, measure_as_rank};

#[cfg(feature = "mpi")]
mod processes {
    use std::process::Command;

    use fabric_core::group::{MpiGroup, ProcessGroup};

    use super::{Form, Outcome, Path, RANKS, Round, as_rank};
    use crate::Options;

    pub(crate) const WHO: &str = "MPI processes";

    /// Starts this program again, once for each rank.
    pub(crate) fn measure(options: &Options, path: &Path, _: Form, _: usize) -> Outcome<Vec<Round>> {
        let mut job = Command::new("mpirun");
        // More ranks than cores are meant, and containers often have no other user than root.
        job.envs([("OMPI_ALLOW_RUN_AS_ROOT", "1"), ("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1")]);
        job.envs([
            ("OMPI_MCA_rmaps_base_oversubscribe", "1"),
            ("PRTE_MCA_rmaps_default_mapping_policy", ":oversubscribe"),
        ]);
        job.args(["-n", &RANKS.to_string()]).arg(std::env::current_exe()?);
        job.args(["--child", "--only", "scale", "--dir"])
            .arg(path.parent().unwrap_or(path));
        if options.quick {
            job.arg("--quick");
        }
        let output = job.stderr(std::process::Stdio::inherit()).output()?;
        if !output.status.success() {
            return Err("the ranks of MPI failed".into());
        }
        let text = String::from_utf8(output.stdout)?;
        text.lines().map(|line| Ok(serde_json::from_str(line)?)).collect()
    }

    /// What each of the processes does; rank 0 prints its rounds.
    pub(crate) fn measure_as_rank(path: &Path, form: Form, runs: usize) -> Outcome {
        let group = MpiGroup::world()?;
        let rounds = as_rank(&group, path, form, runs)?;
        for round in rounds.iter().filter(|_| group.rank() == 0) {
            println!("{}", serde_json::to_string(round)?);
        }
        Ok(())
    }
}
