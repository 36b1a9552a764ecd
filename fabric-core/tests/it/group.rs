//! Every process group is held to one suite; then threads to what they alone promise.
//!
//! MPI passes the same suite in `tests/mpi/world.rs`, which is built with the feature `mpi` and started by `mpirun`.

mod suite;
mod threads;

use std::thread;
use std::time::Duration;

use self::suite::{HASTY, PATIENT, Sentence};
use fabric_core::group::{Single, ThreadGroup};

/// Long enough that it passes only if ranks wait for what will never come.
const PATIENCE: Duration = Duration::from_secs(120);

const HASTE: Duration = Duration::from_millis(300);

fn on_threads(world_size: usize, name: &str, sentence: Sentence, timeout: Duration) {
    println!("{name}, {world_size} threads");
    let groups = ThreadGroup::with_timeout(world_size, timeout);
    let watches = ThreadGroup::with_timeout(world_size, PATIENCE);
    thread::scope(|scope| {
        for (group, watch) in groups.into_iter().zip(watches) {
            scope.spawn(move || sentence(Box::new(group), &watch));
        }
    });
}

#[test]
fn one_process_by_itself_conforms() {
    for (name, sentence) in PATIENT.iter().chain(HASTY) {
        println!("{name}");
        sentence(Box::new(Single), &Single);
    }
}

#[test]
fn threads_conform() {
    for world_size in [1, 2, 3, 8] {
        for (name, sentence) in PATIENT {
            on_threads(world_size, name, *sentence, PATIENCE);
        }
        for (name, sentence) in HASTY {
            on_threads(world_size, name, *sentence, HASTE);
        }
    }
}
