use fabric_core::candle_nn::Linear;

#[derive(Checkpoint)]
pub(crate) struct Borrowed<'a, T: ?Sized> {
    model: &'a mut Linear,
    head: &'a mut T,
    #[checkpoint(skip)]
    names: &'a [String],
}
