//! `cargo bench -p fabric-benches --bench build_time`: the theme of the same name, printed.

fn main() -> fabric_benches::Outcome {
    fabric_benches::run("build_time")
}
