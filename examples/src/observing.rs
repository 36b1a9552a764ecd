//! What a program shows of its saves and loads: bars while they last, and where the time went if somebody asks.

use std::io::{self, Write, stderr};

use fabric_core::Progress;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use tracing_subscriber::EnvFilter;

use crate::Result;

/// A bar for the bytes of one save or load, among others: what `SaveOptions::progress` and `LoadOptions::progress` take. It
/// shows on terminals only, and goes when all is done.
///
/// # Errors
/// If the bar's template is wrong.
pub fn bar(bars: &MultiProgress, title: &'static str) -> Result<impl Fn(&Progress<'_>) + Send + Sync + 'static> {
    let template = "   {prefix} {wide_bar} {bytes}/{total_bytes} {msg}";
    let style = ProgressStyle::with_template(template)?;
    let bar = bars.add(ProgressBar::no_length().with_style(style).with_prefix(title));
    Ok(move |progress: &Progress<'_>| {
        bar.set_length(progress.bytes_in_all);
        bar.set_position(progress.bytes_done);
        bar.set_message(progress.entry.to_owned());
        if progress.bytes_done == progress.bytes_in_all {
            bar.finish_and_clear();
        }
    })
}

/// Prints to the standard error, between the bars, what the environment variable `RUST_LOG` asks for: with
/// `RUST_LOG=fabric=debug`, where the time of every save and load went. Without it nothing but errors.
pub fn log(bars: &MultiProgress) {
    let bars = bars.clone();
    let filter = EnvFilter::from_default_env();
    let log = tracing_subscriber::fmt().with_env_filter(filter).without_time();
    log.with_writer(move || BetweenBars(bars.clone())).init();
}

/// The standard error, with the bars out of the way.
struct BetweenBars(MultiProgress);

impl Write for BetweenBars {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.suspend(|| stderr().write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        stderr().flush()
    }
}
