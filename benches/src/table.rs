//! Tables in Markdown, and the page of the book between its marks.

use std::fmt::Write;

use crate::figures::{Aim, Bound, Plot, Table, Theme};
use crate::{Outcome, Themes};

/// Where the generated part of a page begins and ends.
const MARKS: (&str, &str) = ("<!-- figures begin -->", "<!-- figures end -->");

/// Replaces what is between the marks of a page.
///
/// # Errors
/// If the page has no marks.
pub fn replace_figures(page: &str, figures: &str) -> Outcome<String> {
    let parts = page.split_once(MARKS.0).and_then(|(before, rest)| {
        let (_, after) = rest.split_once(MARKS.1)?;
        Some((before, after))
    });
    let (before, after) = parts.ok_or(format!("the page lacks {} or {}", MARKS.0, MARKS.1))?;
    Ok(format!(
        "{before}{}\n\n{}\n\n{}{after}",
        MARKS.0,
        figures.trim(),
        MARKS.1
    ))
}

/// All themes, in the order of `names`: first the answers, which are plots and all figures with an aim, then each section.
#[must_use]
pub fn page(themes: &Themes, names: &[&str], machine: &str) -> String {
    let themes: Vec<&Theme> = names.iter().filter_map(|name| themes.get(*name)).collect();
    let aims: Vec<Aim> = themes.iter().flat_map(|theme| theme.aims.clone()).collect();
    let met = aims.iter().filter(|aim| aim.is_met()).count();
    let mut page = format!("The machine: {machine}.\n\n");
    for plot in themes
        .iter()
        .flat_map(|theme| &theme.plots)
        .filter(|plot| is_first(plot))
    {
        page += &image(plot);
    }
    let _ = writeln!(page, "{}\n{met} of {} aims are met.", aim_table(&aims), aims.len());
    for theme in themes {
        let _ = write!(page, "\n{}", section(theme));
    }
    page
}

/// The page begins with this plot.
fn is_first(plot: &Plot) -> bool {
    ["load", "save"].contains(&plot.name())
}

fn image(plot: &Plot) -> String {
    format!("![{}](speed/{}.svg)\n\n", plot.title(), plot.name())
}

/// One theme for a terminal.
#[must_use]
pub fn markdown(theme: &Theme) -> String {
    let mut text = section(theme);
    if !theme.aims.is_empty() {
        let _ = write!(text, "\n{}", aim_table(&theme.aims));
    }
    text
}

fn section(theme: &Theme) -> String {
    let mut text = format!("## {}\n\n", theme.title);
    for note in &theme.notes {
        let _ = writeln!(text, "{note}\n");
    }
    text.extend(theme.plots.iter().filter(|plot| !is_first(plot)).map(image));
    for table in &theme.tables {
        let _ = writeln!(text, "{}", grid(table));
    }
    let _ = writeln!(text, "*{}*", theme.measured);
    text
}

fn aim_table(aims: &[Aim]) -> String {
    let row = |aim: &Aim| {
        let (subject, other) = aim.figure.split_once(" / ").unwrap_or((&aim.figure, ""));
        let (sign, limit, ratio) = match aim.aim {
            Bound::AtLeast(limit) => (">=", limit, "x as fast"),
            Bound::AtMost(limit) => ("<=", limit, "x the time"),
        };
        let unit = if other.is_empty() {
            format!(" {}", aim.unit)
        } else {
            ratio.to_owned()
        };
        vec![
            subject.to_owned(),
            other.to_owned(),
            format!("{}{unit}", number(aim.measured)),
            format!("{sign} {limit}{unit}"),
            if aim.is_met() { "met" } else { "**missed**" }.to_owned(),
        ]
    };
    let head = ["Fabric", "compared with", "measured", "aim", ""]
        .map(str::to_owned)
        .to_vec();
    let (caption, rows) = (String::new(), aims.iter().map(row).collect());
    // The second column has words, not numbers.
    grid(&Table { caption, head, rows }).replacen("|---|---:|", "|---|---|", 1)
}

fn grid(table: &Table) -> String {
    let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let columns = table.head.len().saturating_sub(1);
    let rule = format!("|---|{}\n", "---:|".repeat(columns));
    let caption = if table.caption.is_empty() {
        String::new()
    } else {
        format!("{}:\n\n", table.caption)
    };
    let rows: String = table.rows.iter().map(|row| line(row)).collect();
    format!("{caption}{}{rule}{rows}", line(&table.head))
}

/// A number with about three digits that mean something; nothing for what was not measured.
pub(crate) fn number(value: f64) -> String {
    let digits = match value.abs() {
        100.0.. => 0,
        10.0.. => 1,
        0.1.. => 2,
        _ => 3,
    };
    if value.is_nan() {
        String::new()
    } else {
        format!("{value:.digits$}")
    }
}

/// Seconds, in the unit that reads best.
pub(crate) fn duration(seconds: f64) -> String {
    match seconds {
        1.0.. => format!("{} s", number(seconds)),
        1e-3.. => format!("{} ms", number(seconds * 1e3)),
        _ => format!("{} us", number(seconds * 1e6)),
    }
}

/// Bytes, in the unit that leaves no fraction, or the largest.
pub(crate) fn size(bytes: f64) -> String {
    let units = ["B", "KiB", "MiB", "GiB", "TiB"];
    let (mut value, mut unit) = (bytes, 0);
    while value >= 1024. && unit + 1 < units.len() {
        value /= 1024.;
        unit += 1;
    }
    format!("{value:.0} {}", units[unit])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_between_the_marks_changes() -> Outcome {
        let page = format!("a\n{}\nold\n{}\nb\n", MARKS.0, MARKS.1);
        let once = replace_figures(&page, "new\n")?;
        assert_eq!(once, format!("a\n{}\n\nnew\n\n{}\nb\n", MARKS.0, MARKS.1));
        assert_eq!(replace_figures(&once, "new")?, once);
        assert!(replace_figures("no marks", "new").is_err());
        Ok(())
    }

    #[test]
    fn an_aim_says_how_much_how_fast_and_whether_it_is_met() {
        let aims = [Aim::at_least("a / b", 0.9, 0.93), Aim::at_most("c", 3., "us", 7.)];
        let table = aim_table(&aims);
        assert!(
            table.contains("| a | b | 0.93x as fast | >= 0.9x as fast | met |"),
            "{table}"
        );
        assert!(table.contains("| c |  | 7.00 us | <= 3 us | **missed** |"), "{table}");
    }
}
