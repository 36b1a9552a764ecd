//! Wrong usage, help and the version.

#[cfg(target_os = "linux")]
use candle_core::{DType, Device, Tensor};
#[cfg(target_os = "linux")]
use fabric_core::Fabric;

use crate::support::run;
#[cfg(target_os = "linux")]
use crate::support::{ckpt, said};

#[test]
fn wrong_usage_ends_with_64_and_help_with_0() {
    let here = std::env::temp_dir();
    for wrong in [&["no-such-command"][..], &["completions", "--no-such-option"], &[]] {
        let said = run(&here, wrong);
        assert_eq!((said.status, said.out.as_str()), (64, ""), "{wrong:?}: {}", said.error);
        assert!(said.error.contains("Usage"), "{}", said.error);
    }
    for right in ["--help", "--version", "help"] {
        let said = run(&here, &[right]);
        assert_eq!((said.status, said.error.as_str()), (0, ""), "{right}");
    }
}

/// A device that takes no byte.
#[cfg(target_os = "linux")]
fn full() -> std::process::Stdio {
    let device = std::fs::File::options().write(true).open("/dev/full");
    device.expect("/dev/full").into()
}

#[cfg(target_os = "linux")]
#[test]
fn output_that_cannot_be_written_is_a_failure_and_no_finding() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let zeros = Tensor::zeros(3, DType::F32, &Device::Cpu).expect("memory");
    Fabric::new()
        .save(directory.path().join("x.ckpt"), &(zeros, 1u64))
        .expect("a save");
    for (arguments, status) in [
        (&["verify", "x.ckpt"][..], 2),
        (&["verify", "--json", "x.ckpt"], 2),
        (&["diff", "x.ckpt", "x.ckpt"], 2),
        (&["ls", "x.ckpt"], 1),
        (&["show", "x.ckpt", "1"], 1),
        (&["--help"], 1),
        (&["--version"], 1),
    ] {
        let mut call = ckpt(directory.path());
        let found = said(call.args(arguments).stdout(full()).output().expect("ckpt starts"));
        assert_eq!(found.status, status, "{arguments:?}: {}", found.error);
        assert!(found.error.contains("cannot write the output"), "{}", found.error);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn standard_error_that_cannot_be_written_changes_no_status() {
    let here = std::env::temp_dir();
    for (arguments, status) in [
        (&["verify", "no-such.ckpt"][..], 2),
        (&["diff", "no-such.ckpt", "no-such.ckpt"], 2),
        (&["ls", "no-such.ckpt"], 1),
        (&["no-such-command"], 64),
    ] {
        let output = ckpt(&here).args(arguments).stderr(full()).output();
        assert_eq!(said(output.expect("ckpt starts")).status, status, "{arguments:?}");
    }
}
