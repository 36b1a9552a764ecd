//! `cargo bench -p fabric-benches --bench replaced`: the theme of the same name, printed.

fn main() -> fabric_benches::Outcome {
    fabric_benches::run("replaced")
}
