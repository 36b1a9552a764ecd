//! A run on four ranks, each a process of `mpirun`, that is killed and asked to end.
//!
//! `mpi train DIRECTORY STEPS` is a rank of the training, and `mpi disturbed` starts such trainings with `mpirun` and disturbs
//! them: after each disturbance the training goes on, and it ends with the bits of the uninterrupted one.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use candle_core::{DType, Device, Var};
use fabric_core::group::{MpiGroup, ProcessGroup};
use fabric_core::run::{self, Every, Keep, Run};
use fabric_core::{Checkpoint, Fabric, Strategy};

const RANKS: usize = 4;
const STEPS: u64 = 300;
const INTERVAL: u64 = 10;

#[derive(Checkpoint)]
struct State {
    weight: Var,
    step: u64,
}

/// One rank of the training.
pub(crate) fn train(directory: &Path) {
    let world = MpiGroup::world().unwrap().timeout(Duration::from_secs(60));
    let rank = world.rank();
    fs::write(directory.join(format!("rank-{rank}")), std::process::id().to_string()).unwrap();
    let strategy = Strategy::fsdp();
    let fabric = Fabric::builder()
        .strategy(strategy)
        .process_group(world)
        .build()
        .unwrap();
    let mut run = Run::at(directory.join("run"))
        .keep(Keep::last(2).every(100))
        .save_every(Every::steps(INTERVAL))
        .stop_on_signals()
        .open(&fabric)
        .unwrap();
    let mut state = State {
        weight: Var::zeros(1000, DType::F64, &Device::Cpu).unwrap(),
        step: 0,
    };
    let resumed = run.resume(&mut state).unwrap();
    let mut step = resumed.map_or(0, |resumed| resumed.step);
    let say = |word: &str, step: u64| {
        if rank == 0 {
            println!("{word} {step}");
        }
    };
    say("resumed", step);
    while step < STEPS {
        step += 1;
        let number = f64::from(u32::try_from(step).unwrap());
        state
            .weight
            .set(&state.weight.affine(0.99, 1. / number).unwrap())
            .unwrap();
        state.step = step;
        let stop = run.stop_requested().unwrap();
        if run.due(step) || stop {
            run.save(step, &state, &[("loss", 1. / number)]).unwrap();
        }
        say("at", step);
        if stop {
            break;
        }
        sleep(Duration::from_millis(2));
    }
    run.wait().unwrap();
    say("ended", step);
}

/// A disturbance of the training.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    /// SIGUSR1 to `mpirun`, which forwards it.
    ByLauncher,
    /// SIGTERM to every rank.
    Ranks,
    /// SIGTERM to one rank, which tells the others.
    OneRank,
    /// SIGKILL to one rank; `mpirun` ends the others.
    Killed,
}

struct Training {
    launcher: Child,
    directory: PathBuf,
}

impl Training {
    fn start(directory: &Path) -> Self {
        for rank in 0..RANKS {
            // It may not be there.
            let _ = fs::remove_file(directory.join(format!("rank-{rank}")));
        }
        let said = fs::File::create(directory.join("said")).unwrap();
        let mut command = Command::new("mpirun");
        command
            .args(["--oversubscribe", "-n", &RANKS.to_string()])
            .arg(std::env::current_exe().unwrap());
        command.arg("train").arg(directory).stdout(said).stderr(Stdio::null());
        Self {
            launcher: command.spawn().expect("mpirun starts"),
            directory: directory.to_path_buf(),
        }
    }

    /// The number in the last whole line that begins with this word.
    fn number(&self, word: &str) -> Option<u64> {
        let said = fs::read_to_string(self.directory.join("said")).unwrap();
        let whole = &said[..=said.rfind('\n')?];
        let line = whole.lines().filter_map(|line| line.strip_prefix(word)).next_back()?;
        line.trim().parse().ok()
    }

    /// Waits until the training has done so many steps since it resumed; false if it ends before.
    fn advance(&mut self, steps: u64) -> bool {
        let begun = Instant::now();
        loop {
            if let (Some(resumed), Some(at)) = (self.number("resumed"), self.number("at"))
                && at >= resumed + steps
            {
                return self.launcher.try_wait().unwrap().is_none();
            }
            if self.launcher.try_wait().unwrap().is_some() {
                return false;
            }
            assert!(begun.elapsed() < Duration::from_secs(120), "the training hangs");
            sleep(Duration::from_millis(2));
        }
    }

    fn disturb(&self, fault: Fault) {
        let rank = |rank: usize| fs::read_to_string(self.directory.join(format!("rank-{rank}"))).unwrap();
        let send = |signal: &str, id: &str| {
            // The process may have ended since.
            let _ = Command::new("kill")
                .args([signal, id])
                .stderr(Stdio::null())
                .status()
                .unwrap();
        };
        match fault {
            Fault::ByLauncher => send("-USR1", &self.launcher.id().to_string()),
            Fault::Ranks => (0..RANKS).for_each(|at| send("-TERM", &rank(at))),
            Fault::OneRank => send("-TERM", &rank(2)),
            Fault::Killed => send("-KILL", &rank(1)),
        }
    }

    /// Waits for the end; returns whether the ranks ended by themselves.
    fn end(&mut self) -> bool {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.launcher.try_wait().unwrap() {
                return status.success();
            }
            assert!(begun.elapsed() < Duration::from_secs(120), "the training does not end");
            sleep(Duration::from_millis(2));
        }
    }
}

impl Drop for Training {
    fn drop(&mut self) {
        let _ = self.launcher.kill();
        let _ = self.launcher.wait();
    }
}

fn result(directory: &Path) -> Vec<u64> {
    let raw = Fabric::new().open(directory.join("run/step-000000300.ckpt")).unwrap();
    let weight = raw.tensor("weight", &Device::Cpu).unwrap().to_vec1::<f64>().unwrap();
    weight.into_iter().map(f64::to_bits).collect()
}

/// Disturbs trainings, and compares their ends with that of an undisturbed one.
pub(crate) fn disturbed() {
    let place = tempfile::tempdir().unwrap();
    let [straight, directory] = ["straight", "disturbed"].map(|name| place.path().join(name));
    for directory in [&straight, &directory] {
        fs::create_dir_all(directory).unwrap();
    }
    assert!(Training::start(&straight).end(), "the undisturbed training fails");
    let expected = result(&straight);

    let faults = [Fault::ByLauncher, Fault::Killed, Fault::Ranks, Fault::OneRank];
    let (mut reached, mut saved) = (0, None);
    for at in 0.. {
        let mut training = Training::start(&directory);
        let goes_on = training.advance(25 + at * 7 % 40);
        let fault = faults[usize::try_from(at).unwrap() % faults.len()];
        if goes_on {
            training.disturb(fault);
        }
        let is_done = training.end();
        let resumed = training.number("resumed").unwrap();
        assert!(
            reached - resumed <= INTERVAL,
            "{fault:?}: at {reached}, and then {resumed}"
        );
        assert!(
            saved.is_none_or(|saved| saved == resumed),
            "{saved:?} was saved, and then {resumed}"
        );
        reached = training.number("at").unwrap();
        saved = training.number("ended").filter(|_| is_done);
        println!("{fault:?} between steps {resumed} and {reached}");
        if saved == Some(STEPS) {
            break;
        }
        assert!(
            is_done || fault == Fault::Killed,
            "{fault:?}: the ranks did not end by themselves"
        );
    }
    assert_eq!(result(&directory), expected);
    let listing = run::list(&Fabric::new(), directory.join("run")).unwrap();
    let steps: Vec<u64> = listing.checkpoints.iter().map(|one| one.step).collect();
    assert!(
        steps.len() >= 4 && [100, 200, 300].iter().all(|step| steps.contains(step)),
        "{steps:?}"
    );
    println!("a run on {RANKS} ranks that is killed and asked to end goes on and ends with the same bits");
}
