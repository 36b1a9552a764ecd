//! `cargo bench -p fabric-benches --bench restart`: the theme of the same name, printed.

fn main() -> fabric_benches::Outcome {
    if fabric_benches::restart::run()? {
        return Ok(());
    }
    fabric_benches::run("restart")
}
