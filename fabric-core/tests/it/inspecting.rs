//! Looking into a checkpoint without a state: its description, its optimizers, statistics and elements of its tensors.

#![allow(clippy::float_cmp, reason = "numbers of one computation are equal to the bit")]

mod description;
mod optimizers;
mod statistics;
mod versions;

use fabric_core::testing::Memory;
use fabric_core::{ExportOptions, Fabric, RawCheckpoint, Strategy};
use testkit::files::{fixture, on};
use testkit::world;

/// One state of `world` saved by three ranks, and the same contents in every other format, by name.
fn every_format() -> (Fabric, Vec<(&'static str, RawCheckpoint)>) {
    let storage = Memory::new();
    let mesh = Strategy::mesh([("dp", 1), ("tp", 3), ("fsdp", 1)]);
    world::run(&mesh, 3, &storage, |fabric| {
        fabric.save("three", &world::State::new(fabric, 3)).expect("saved");
    });
    let fabric = on(storage);
    fabric.consolidate("three", "one.ckpt").expect("one file");
    fabric
        .reshard("one.ckpt", "four", Strategy::fsdp().ranks(4))
        .expect("four files");
    for name in ["all.pt", "weights.safetensors"] {
        fabric.export("one.ckpt", name, ExportOptions::new()).expect("exported");
    }
    let names = ["one.ckpt", "three", "four", "all.pt", "weights.safetensors"];
    let opened = names.map(|name| (name, fabric.open(name).expect("opened")));
    (fabric, opened.into())
}

/// A checkpoint that PyTorch wrote.
fn pytorch(name: &str) -> RawCheckpoint {
    Fabric::new().open(fixture(name)).expect("a fixture")
}
