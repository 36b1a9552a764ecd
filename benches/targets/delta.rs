//! `cargo bench -p fabric-benches --bench delta`: the theme of the same name, printed.

fn main() -> fabric_benches::Outcome {
    fabric_benches::run("delta")
}
