//! Names, sizes and numbers as the commands print them.

use std::borrow::Cow;

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Returns true if a terminal shows the character, and does nothing else with it. Characters that change the direction of the
/// text would let a name pass for another one.
pub(crate) fn is_printable(c: char) -> bool {
    !c.is_control()
        && !matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// A name or a text on one line: characters that are not printable are escaped.
pub(crate) fn plain(name: &str) -> Cow<'_, str> {
    if name.chars().all(is_printable) {
        return Cow::Borrowed(name);
    }
    let mut escaped = String::with_capacity(name.len());
    for c in name.chars() {
        if is_printable(c) {
            escaped.push(c);
        } else {
            escaped.extend(c.escape_default());
        }
    }
    Cow::Owned(escaped)
}

#[cfg(test)]
thread_local! {
    /// The number of calls of [`columns`].
    pub(crate) static MEASURED: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

/// The number of columns that a text takes, without the sequences of styles in it.
pub(crate) fn columns(text: &str) -> usize {
    #[cfg(test)]
    MEASURED.set(MEASURED.get() + 1);
    anstream::adapter::strip_str(text).map(UnicodeWidthStr::width).sum()
}

/// A line that fits in a number of columns. One that is too long loses its styles and its end.
pub(crate) fn fitted(line: &str, width: usize) -> Cow<'_, str> {
    if columns(line) <= width {
        return Cow::Borrowed(line);
    }
    let text = anstream::adapter::strip_str(line).to_string();
    Cow::Owned(cut(&text, width).into_owned())
}

/// A text without styles, cut to a number of columns, with `…` as its last column if something is missing.
pub(crate) fn cut(text: &str, width: usize) -> Cow<'_, str> {
    if text.width() <= width {
        return Cow::Borrowed(text);
    }
    let mut left = width.saturating_sub(1);
    let fits = |c: &char| {
        let wide = c.width().unwrap_or(0);
        let fits = wide <= left;
        left = left.saturating_sub(wide);
        fits
    };
    let mut short: String = text.chars().take_while(fits).collect();
    if width > 0 {
        short.push('…');
    }
    Cow::Owned(short)
}

/// A text without styles, cut to a number of columns at its start, with `…` as its first column if something is missing. Names that
/// differ mostly do so at their ends.
pub(crate) fn cut_start(text: &str, width: usize) -> Cow<'_, str> {
    if text.width() <= width {
        return Cow::Borrowed(text);
    }
    let reversed: String = text.chars().rev().collect();
    Cow::Owned(cut(&reversed, width).chars().rev().collect())
}

/// A number of bytes: `512 B`, `31.2 MiB`.
pub(crate) fn size(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    #[allow(clippy::cast_precision_loss, reason = "one digit after the point is shown")]
    let mut value = bytes as f64 / 1024.;
    let mut unit = 0;
    // 1023.95 would be shown as 1024.0.
    while value >= 1023.95 && unit + 1 < UNITS.len() {
        value /= 1024.;
        unit += 1;
    }
    format!("{value:.1} {}", UNITS[unit])
}

/// A number of elements: `512`, `89.2 M`.
pub(crate) fn count(number: u64) -> String {
    const UNITS: [&str; 4] = ["K", "M", "G", "T"];
    if number < 1000 {
        return number.to_string();
    }
    #[allow(clippy::cast_precision_loss, reason = "one digit after the point is shown")]
    let mut value = number as f64 / 1000.;
    let mut unit = 0;
    while value >= 999.95 && unit + 1 < UNITS.len() {
        value /= 1000.;
        unit += 1;
    }
    format!("{value:.1} {}", UNITS[unit])
}

/// `1 tensor`, `3 tensors`.
pub(crate) fn plural(count: usize, one: &str) -> String {
    if count == 1 {
        format!("1 {one}")
    } else {
        format!("{count} {one}s")
    }
}

/// `1 element`, `89.2 M elements`.
pub(crate) fn counted(number: u64, one: &str) -> String {
    let s = if number == 1 { "" } else { "s" };
    format!("{} {one}{s}", count(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_counts_have_one_digit_and_the_next_unit_in_time() {
        assert_eq!(
            [0, 1023, 1024, 1024 * 1024 - 1].map(size),
            ["0 B", "1023 B", "1.0 KiB", "1.0 MiB"]
        );
        assert_eq!(size(u64::MAX), "16.0 EiB");
        assert_eq!(
            [999, 1000, 999_949, 999_950].map(count),
            ["999", "1.0 K", "999.9 K", "1.0 M"]
        );
    }

    #[test]
    fn what_a_terminal_would_obey_is_escaped() {
        assert_eq!(plain("größe"), "größe");
        assert_eq!(
            plain("a\u{1b}[31m\n\u{202e}b\u{9b}"),
            "a\\u{1b}[31m\\n\\u{202e}b\\u{9b}"
        );
    }

    #[test]
    fn a_cut_text_fits_in_columns() {
        assert_eq!(cut("weight", 6), "weight");
        assert_eq!(cut("weight", 5), "weig…");
        assert_eq!(cut("重量重量", 5), "重量…");
        assert_eq!(cut("重量重量", 4), "重…");
        assert_eq!(cut("weight", 0), "");
        assert_eq!(cut_start("weight", 6), "weight");
        assert_eq!(cut_start("weight", 5), "…ight");
        assert_eq!(cut_start("重量重量", 4), "…量");
        assert_eq!(cut_start("weight", 0), "");
    }
}
