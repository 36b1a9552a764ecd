//! A bar on standard error for work that takes a while. There is none where standard error is no terminal.

use fabric_core::Progress;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// A bar over a number of bytes.
#[derive(Clone, Debug)]
pub(crate) struct Bar(ProgressBar);

impl Bar {
    /// A bar that begins with a verb, `verify` for instance. It appears with the first bytes.
    pub(crate) fn new(verb: &'static str) -> Self {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(10));
        let style = "{prefix} {wide_bar} {binary_bytes} of {binary_total_bytes}, {binary_bytes_per_sec}, {eta}";
        let style = ProgressStyle::with_template(style).unwrap_or_else(|_| ProgressStyle::default_bar());
        bar.set_style(style);
        bar.set_prefix(verb);
        Self(bar)
    }

    /// The callback for a `progress` option of the library.
    pub(crate) fn callback(&self) -> impl Fn(&Progress<'_>) + Send + Sync + 'static + use<> {
        let bar = self.0.clone();
        move |progress| {
            bar.set_length(progress.bytes_in_all);
            bar.set_position(progress.bytes_done);
        }
    }

    /// Removes the bar from the terminal.
    pub(crate) fn clear(&self) {
        self.0.finish_and_clear();
    }
}
