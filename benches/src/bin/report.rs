//! Measures every theme, and writes the tables and plots of the book:
//! `cargo run --release -p fabric-benches --bin report`.
//!
//! What was measured is kept in `figures.json` beside the plots, so that a run with `--only` replaces its themes and leaves
//! the others. A `--quick` run does not touch the book: its page goes to the directory for build outputs.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use fabric_benches::{Bench, Mode, NAMES, Options, Outcome, Themes, build_directory, plot, table};
use serde::{Deserialize, Serialize};

/// What is kept between runs.
#[derive(Default, Serialize, Deserialize)]
struct Stored {
    machine: String,
    themes: Themes,
}

fn main() -> Outcome {
    if fabric_benches::restart::run()? {
        return Ok(());
    }
    let options = Options::from_environment()?;
    if let (Mode::Child, [theme]) = (options.mode, &options.only[..]) {
        return fabric_benches::run(theme);
    }
    let book = Path::new(env!("CARGO_MANIFEST_DIR")).join("../book/src");
    let out = match (&options.out, options.quick) {
        (Some(out), _) => page_in(out.clone(), &book)?,
        (None, true) => page_in(build_directory()?.join("quick-report"), &book)?,
        (None, false) => book,
    };
    let file = out.join("speed/figures.json");
    let mut stored: Stored = if file.exists() {
        serde_json::from_slice(&fs::read(&file)?)?
    } else {
        Stored::default()
    };
    if options.mode != Mode::Render {
        stored.machine = machine()?;
        measure(options, &mut stored.themes)?;
    }
    fs::create_dir_all(out.join("speed"))?;
    fs::write(&file, serde_json::to_string_pretty(&stored)? + "\n")?;
    for plot in stored.themes.values().flat_map(|theme| &theme.plots) {
        fs::write(out.join(format!("speed/{}.svg", plot.name())), plot::svg(plot)?)?;
    }
    let page = out.join("speed.md");
    let figures = table::page(&stored.themes, &NAMES, &stored.machine);
    fs::write(&page, table::replace_figures(&fs::read_to_string(&page)?, &figures)?)?;
    println!("{}", page.display());
    Ok(())
}

fn measure(options: Options, themes: &mut Themes) -> Outcome {
    let only = options.only.clone();
    let mut bench = Bench::new(options)?;
    for name in NAMES
        .iter()
        .filter(|name| only.is_empty() || only.iter().any(|only| only == *name))
    {
        let begin = Instant::now();
        let theme = bench.measure(name)?;
        eprintln!("{name}: {:.0} s", begin.elapsed().as_secs_f64());
        themes.insert((*name).to_owned(), theme);
    }
    Ok(())
}

/// A folder for the page, with the book's words, if it has none yet.
fn page_in(folder: PathBuf, book: &Path) -> Outcome<PathBuf> {
    fs::create_dir_all(&folder)?;
    let page = folder.join("speed.md");
    if !page.exists() {
        fs::copy(book.join("speed.md"), page)?;
    }
    Ok(folder)
}

/// The processor, its cores and the memory, in words.
fn machine() -> Outcome<String> {
    let processor = fs::read_to_string("/proc/cpuinfo")?;
    let model = processor
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let memory = fs::read_to_string("/proc/meminfo")?;
    let kib = memory
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:")?.trim().strip_suffix(" kB"));
    let gib = kib
        .and_then(|kib| kib.parse::<f64>().ok())
        .map_or(f64::NAN, |kib| kib / 1024. / 1024.);
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease")?;
    let cores = std::thread::available_parallelism()?;
    let model = model.map_or("an unknown processor", |(_, model)| model);
    Ok(format!(
        "{model}, {cores} cores, {gib:.0} GiB of memory, Linux {}",
        kernel.trim()
    ))
}
