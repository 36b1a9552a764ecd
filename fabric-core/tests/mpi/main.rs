//! Process groups over MPI, where an MPI is there to build with.

#[cfg(feature = "mpi")]
mod world;

#[cfg(feature = "mpi")]
fn main() {
    world::run();
}

#[cfg(not(feature = "mpi"))]
fn main() {
    println!("process groups over MPI are NOT TESTED here: they need an MPI and --features mpi, see CONTRIBUTING.md");
}
