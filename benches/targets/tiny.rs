//! `cargo bench -p fabric-benches --bench tiny`: the theme of the same name, printed.

fn main() -> fabric_benches::Outcome {
    fabric_benches::run("tiny")
}
