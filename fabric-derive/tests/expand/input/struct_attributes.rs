use fabric_core::candle_core::Tensor;

#[derive(Checkpoint)]
#[checkpoint(version = 3, crate = "::fabric_core", bound = "T: fabric_core::Checkpoint + Copy")]
struct Versioned<T> {
    inner: Option<T>,
}

#[derive(Checkpoint)]
#[checkpoint(version = 2, migrate = Self::migrations)]
struct Migrated {
    weight: Tensor,
}

impl Migrated {
    fn migrations(m: &mut fabric_core::Migrations) {
        m.from(1, "a clearer name").rename("w", "weight");
    }
}
