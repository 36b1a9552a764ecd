//! Output on a terminal: its width, its colours, and the variables that forbid them.

use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::Stdio;

use rustix::fs::{Mode, OFlags};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};
use unicode_width::UnicodeWidthStr;

use crate::support::ckpt;

/// Both ends of a terminal with so many columns.
fn terminal(columns: u16) -> (File, OwnedFd) {
    let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a pseudo terminal");
    grantpt(&ours).expect("it is ours");
    unlockpt(&ours).expect("it is ours");
    let name = ptsname(&ours, Vec::new()).expect("a name");
    let theirs = rustix::fs::open(name, OFlags::RDWR | OFlags::NOCTTY, Mode::empty()).expect("the other end");
    let size = Winsize {
        ws_row: 24,
        ws_col: columns,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    tcsetwinsize(&theirs, size).expect("a size");
    (File::from(ours), theirs)
}

/// The output of a call on a terminal, with lines that end as in a file.
fn on_terminal(directory: &Path, columns: u16, variables: &[(&str, &str)], arguments: &[&str]) -> String {
    let (mut ours, theirs) = terminal(columns);
    let mut process = ckpt(directory);
    process.env("TERM", "xterm-256color").envs(variables.iter().copied());
    process
        .args(arguments)
        .stdout(Stdio::from(theirs))
        .stderr(Stdio::null());
    let mut child = process.spawn().expect("ckpt starts");
    // The last end of the terminal on the other side is that of the child.
    drop(process);
    let mut output = Vec::new();
    // The end of the other side is an error of the device.
    let _ = ours.read_to_end(&mut output);
    let status = child.wait().expect("it ends").code();
    // 1 is the status of `diff` on checkpoints that differ.
    let expected = i32::from(arguments.first() == Some(&"diff"));
    assert_eq!(status, Some(expected), "{arguments:?}");
    String::from_utf8(output).expect("UTF-8").replace("\r\n", "\n")
}

#[test]
fn lines_fit_the_terminal_at_every_width() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    crate::samples::write(directory.path());
    for columns in [20, 40, 80, 200] {
        for arguments in [
            &["ls", "gpt.ckpt"][..],
            &["ls", "--flat", "sharded"],
            &["ls", "runs/gpt/step-000001500.ckpt"],
            &["show", "gpt.ckpt", "model.embed"],
            &["show", "gpt.ckpt", "model"],
            &["runs", "runs/gpt", "--metric", "val_loss"],
            &["prune", "runs/gpt", "--keep-last", "1", "--dry-run"],
            &["diff", "runs/gpt/step-000001000.ckpt", "gpt.ckpt"],
            &["diff", "gpt.ckpt", "model.safetensors"],
        ] {
            let output = on_terminal(directory.path(), columns, &[], arguments);
            let plain = anstream::adapter::strip_str(&output).to_string();
            // Sentences about the whole comparison may take several lines.
            let is_sentence = |line: &&str| line.starts_with("differ: ") || line.starts_with("only in ");
            for line in plain.lines().filter(|line| !is_sentence(line)) {
                assert!(line.width() <= usize::from(columns), "{columns} columns: {line:?}");
            }
            assert!(output.lines().count() > 3, "{output}");
        }
    }
    let wide = on_terminal(directory.path(), 200, &[], &["ls", "gpt.ckpt"]);
    let plain = anstream::adapter::strip_str(&wide).to_string();
    let file = crate::support::run(directory.path(), &["ls", "gpt.ckpt"]).out;
    assert_eq!(plain, file, "nothing is cut where there is room");
}

#[test]
fn the_ends_of_names_stay_in_a_comparison() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    crate::samples::write(directory.path());
    let arguments = ["diff", "runs/gpt/step-000001000.ckpt", "gpt.ckpt"];
    let output = on_terminal(directory.path(), 80, &[], &arguments);
    let rows = output.lines().filter(|line| line.trim_end().ends_with(" of 48"));
    let names: Vec<&str> = rows.filter_map(|line| line.split_whitespace().next()).collect();
    assert!(names.len() > 3, "{output}");
    for name in names {
        assert!(name.starts_with('…') && name.contains(".norm."), "{output}");
        assert!(name.ends_with(".exp_avg") || name.ends_with(".exp_avg_sq"), "{output}");
    }
}

#[test]
fn colours_are_on_a_terminal_only_and_no_color_forbids_them() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    crate::samples::write(directory.path());
    let list = |variables: &[(&str, &str)], more: &[&str]| {
        let arguments = [&["ls", "gpt.ckpt"], more].concat();
        on_terminal(directory.path(), 80, variables, &arguments).contains('\u{1b}')
    };
    assert!(list(&[], &[]));
    assert!(!list(&[("NO_COLOR", "1")], &[]));
    assert!(!list(&[("TERM", "dumb")], &[]));
    assert!(!list(&[], &["--color", "never"]));
    assert!(list(&[("NO_COLOR", "1")], &["--color", "always"]));
    let piped = |more: &[&str]| {
        let arguments = [&["ls", "gpt.ckpt"], more].concat();
        crate::support::run(directory.path(), &arguments).out.contains('\u{1b}')
    };
    assert!(!piped(&[]) && piped(&["--color", "always"]));
}
