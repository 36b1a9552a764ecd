use fabric_core::Checkpoint;
use fabric_core::candle_nn::Linear;

#[derive(Checkpoint)]
#[checkpoint(rename_all = "Camel", version = 0)]
struct TrainState<'a> {
    #[checkpoint(fliter = "weight")]
    model: Linear,
    #[checkpoint(skip, optional)]
    device: String,
    #[checkpoint(rename = "a.b", shard(dim = -1))]
    head: Linear,
    #[checkpoint(filter = glob("["))]
    teacher: &'a Linear,
}

// None of the mistakes above may show up here a second time.
fn uses_of_the_schema(state: &TrainState<'_>) -> impl Checkpoint {
    let _handle = TrainState::FIELDS.model;
    let _step = state.head.weight();
    None::<Option<Inner>>
}

#[derive(Checkpoint)]
struct Inner {
    state: Option<TrainState<'static>>,
}

fn main() {}
