#[derive(Checkpoint)]
#[checkpoint(rename_all = "camelCase")]
struct Named {
    learning_rate: f64,
    #[checkpoint(rename = "epochs_done", alias = "epoch", alias = "epochs")]
    epoch_count: u64,
    r#type: String,
}
