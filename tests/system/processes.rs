//! Real processes: what one does to another by way of the file system, and what limits of the system do to one.
//!
//! Each test is bounded to seconds. A longer campaign of the same code runs on demand: `CAMPAIGN=60` multiplies the rounds.

mod background;
#[cfg(target_os = "linux")]
mod file_size;
#[cfg(target_os = "linux")]
mod kills;
mod leases;
#[cfg(unix)]
mod limits;
mod power;
#[cfg(unix)]
mod runs;
mod savers;
mod simple;
mod tool;

/// How many rounds a test runs that could run for ever.
fn rounds(few: usize) -> usize {
    let factor = std::env::var("CAMPAIGN").ok().and_then(|factor| factor.parse().ok());
    few * factor.unwrap_or(1)
}
