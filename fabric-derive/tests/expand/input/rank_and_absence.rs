#[derive(Checkpoint)]
struct Progress {
    #[checkpoint(optional)]
    best: Option<f64>,
    #[checkpoint(per_rank)]
    position: u64,
    #[checkpoint(metadata, per_rank, optional)]
    generator: [u8; 32],
}
