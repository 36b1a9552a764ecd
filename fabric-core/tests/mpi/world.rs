//! The suite of process groups, and what MPI promises beside it, on the world that `mpirun` makes:
//!
//! ```sh
//! cargo test --workspace --features candle-fabric-core/mpi --test mpi --no-run
//! mpirun -n 4 target/debug/deps/mpi-*
//! ```
//!
//! A sentence that does not hold on one rank ends its process, and `mpirun` the others.

#[path = "../it/group/suite.rs"]
mod suite;

use std::thread;
use std::time::Duration;

use fabric_core::group::{GroupError, MpiGroup, ProcessGroup};
use suite::{HASTY, PATIENT};

const PATIENCE: Duration = Duration::from_secs(120);

const HASTE: Duration = Duration::from_millis(500);

pub(crate) fn run() {
    let world = MpiGroup::world().unwrap().timeout(PATIENCE);
    if std::env::args().any(|argument| argument == "forsaken") {
        forsaken(world);
    }
    let patient = PATIENT.iter().map(|sentence| (sentence, PATIENCE));
    let hasty = HASTY.iter().map(|sentence| (sentence, HASTE));
    for ((name, sentence), timeout) in patient.chain(hasty) {
        say(&world, name);
        let group = world.split("a new group", 0, world.rank()).unwrap().timeout(timeout);
        let watch = world.split("its watch", 0, world.rank()).unwrap();
        sentence(Box::new(group), &watch);
    }
    beside_the_suite(&world);
    world.barrier("the end").unwrap();
    say(&world, &format!("all of it holds on {} processes", world.world_size()));
}

/// Prints on the first rank.
fn say(world: &MpiGroup, what: &str) {
    if world.rank() == 0 {
        println!("{what}");
    }
}

fn beside_the_suite(world: &MpiGroup) {
    type Sentence = fn(&MpiGroup);
    let sentences: [(&str, Sentence); 5] = [
        ("a_handle_can_be_shared_and_printed", a_handle_can_be_shared_and_printed),
        ("the_world_can_be_asked_for_again", the_world_can_be_asked_for_again),
        ("a_split_brings_together_a_color", a_split_brings_together_a_color),
        (
            "groups_may_be_made_at_once_in_any_order",
            groups_may_be_made_at_once_in_any_order,
        ),
        (
            "a_message_too_long_for_mpi_is_an_error",
            a_message_too_long_for_mpi_is_an_error,
        ),
    ];
    for (name, sentence) in sentences {
        say(world, name);
        sentence(world);
    }
}

fn a_handle_can_be_shared_and_printed(world: &MpiGroup) {
    fn shared<T: Send + Sync>(_: &T) {}
    shared(world);
    let (rank, world_size) = (world.rank(), world.world_size());
    let printed = format!("MpiGroup {{ rank: {rank}, world_size: {world_size}, timeout: 120s, .. }}");
    assert_eq!(format!("{world:?}"), printed);
}

fn the_world_can_be_asked_for_again(world: &MpiGroup) {
    let again = MpiGroup::world().unwrap();
    assert_eq!(again.rank(), world.rank());
    again.barrier("again").unwrap();
}

fn a_split_brings_together_a_color(world: &MpiGroup) {
    let (rank, world_size) = (world.rank(), world.world_size());
    let half = world.split("split", rank % 2, world_size - rank).unwrap();
    let members = half.all_gather("who is here", &rank.to_le_bytes()).unwrap();
    let expected = (0..world_size).rev().filter(|other| other % 2 == rank % 2);
    assert_eq!(members, expected.map(usize::to_le_bytes).collect::<Vec<_>>());
    assert_eq!(members[half.rank()], rank.to_le_bytes());
}

/// Each process makes them in another order: were it one collective call each, they would wait for each other.
fn groups_may_be_made_at_once_in_any_order(world: &MpiGroup) {
    let mut groups = Vec::new();
    for _ in 0..4 {
        groups.push(world.duplicate().unwrap());
    }
    groups.rotate_left(world.rank() % 4);
    thread::scope(|scope| {
        for group in &groups {
            scope.spawn(move || {
                let duplicate = group.duplicate().unwrap();
                duplicate.barrier("together").unwrap();
            });
        }
    });
}

fn a_message_too_long_for_mpi_is_an_error(world: &MpiGroup) {
    let group = world.split("a new group", 0, world.rank()).unwrap();
    let last = world.rank() + 1 == world.world_size();
    // Zeros that nobody touches need no memory.
    let bytes = vec![0; if last { 1 << 31 } else { 0 }];
    let error = group.all_gather("too much", &bytes).unwrap_err();
    assert!(
        matches!(&error, GroupError::Engine { step, .. } if step == "too much"),
        "{error}"
    );
    assert!(error.to_string().contains("and MPI carries 2147483647"), "{error}");
}

/// The last rank never comes and never ends; the others must end all the same.
fn forsaken(world: MpiGroup) -> ! {
    let world = world.timeout(HASTE);
    if world.rank() + 1 == world.world_size() {
        loop {
            thread::park();
        }
    }
    let error = world.barrier("rendezvous").unwrap_err();
    say(&world, &error.to_string());
    drop(world);
    std::process::exit(1)
}
