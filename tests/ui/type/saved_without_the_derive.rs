use fabric_core::Fabric;

struct Mlp;

fn save(model: &Mlp) -> fabric_core::Result<()> {
    Fabric::new().save("model", model)?;
    Ok(())
}

fn main() {}
