//! `cargo bench -p fabric-benches --features cuda --bench cuda`: the theme of the same name, printed. It needs a device.

fn main() -> fabric_benches::Outcome {
    fabric_benches::run("cuda")
}
