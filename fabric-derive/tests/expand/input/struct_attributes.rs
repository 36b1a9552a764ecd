#[derive(Checkpoint)]
#[checkpoint(version = 3, crate = "::fabric_core", bound = "T: fabric_core::Checkpoint + Copy")]
struct Versioned<T> {
    inner: Option<T>,
}
