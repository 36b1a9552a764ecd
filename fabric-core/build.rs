//! Chooses between the system calls and loops of one platform and the portable code beside them.
//!
//! The portable code uses the standard library alone. It serves every system and every processor that has nothing of its own
//! here; with `FABRIC_PORTABLE` in the environment it serves all of them, so that its tests run on Linux.

use std::env;
use std::path::Path;

fn main() {
    println!("cargo::rerun-if-env-changed=FABRIC_PORTABLE");
    println!("cargo::rustc-check-cfg=cfg(fabric_linux, fabric_x86_64, fabric_repository)");
    // Some unit tests read files that PyTorch wrote. They are not in the published package.
    if Path::new("../tests/fixtures/pytorch").exists() {
        println!("cargo::rustc-cfg=fabric_repository");
    }
    if env::var_os("FABRIC_PORTABLE").is_some() {
        return;
    }
    let target = |name: &str| env::var(format!("CARGO_CFG_TARGET_{name}")).unwrap_or_default();
    if target("OS") == "linux" {
        println!("cargo::rustc-cfg=fabric_linux");
    }
    if target("ARCH") == "x86_64" {
        println!("cargo::rustc-cfg=fabric_x86_64");
    }
}
