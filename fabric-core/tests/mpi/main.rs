//! Process groups over MPI, where an MPI is there to build with.

#[cfg(feature = "mpi")]
mod runs;
#[cfg(feature = "mpi")]
mod world;

#[cfg(feature = "mpi")]
fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.first().map(String::as_str) {
        Some("train") => runs::train(std::path::Path::new(&arguments[1])),
        Some("disturbed") => runs::disturbed(),
        _ => world::run(),
    }
}

#[cfg(not(feature = "mpi"))]
fn main() {
    println!("process groups over MPI are NOT TESTED here: they need an MPI and --features mpi, see CONTRIBUTING.md");
}
