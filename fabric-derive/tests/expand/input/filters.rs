use fabric_core::TensorInfo;
use fabric_core::candle_nn::Linear;

fn matrices(_: &str, tensor: &TensorInfo) -> bool {
    tensor.shape().len() == 2
}

#[derive(Checkpoint)]
struct Filtered {
    #[checkpoint(filter("weight", "scale"))]
    any_text: Linear,
    #[checkpoint(filter = glob("*.weight", "fc[0-9].*"))]
    any_glob: Linear,
    #[checkpoint(filter = self::matrices)]
    function: Linear,
}
