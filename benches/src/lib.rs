//! What saving and loading cost, beside the floors of the machine and beside other libraries.
//!
//! A theme measures its tasks in turn, round by round, on the same bytes. `cargo bench -p fabric-benches --bench load`
//! prints one theme; the program `report` runs all of them and writes the tables and plots of the book.

mod compile;
pub mod figures;
mod files;
mod floors;
mod four_ranks;
mod measured;
mod options;
mod peers;
pub mod plot;
mod resident;
pub mod restart;
mod states;
mod system;
pub mod table;
mod themes;
mod timing;

use std::error::Error;

use figures::Theme;
pub use options::{Mode, Options, build_directory};
pub use themes::{Bench, NAMES};

/// What a measurement gives, or why it could not be taken.
pub type Outcome<T = ()> = Result<T, Box<dyn Error>>;

/// Measures one theme and prints it: the whole of a bench target.
///
/// # Errors
/// If the arguments are not understood, or the theme cannot be measured.
pub fn run(theme: &str) -> Outcome {
    let options = Options::from_environment()?;
    let child = options.mode == Mode::Child;
    #[cfg(feature = "mpi")]
    if child && theme == "scale" {
        return Bench::new(options)?.scale_as_rank();
    }
    let theme = Bench::new(options)?.measure(theme)?;
    if child {
        println!("{}", serde_json::to_string(&theme)?);
    } else {
        println!("{}", table::markdown(&theme));
    }
    Ok(())
}

/// A theme as it is stored between runs.
pub type Themes = std::collections::BTreeMap<String, Theme>;
