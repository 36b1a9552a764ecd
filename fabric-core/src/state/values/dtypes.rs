//! `Checkpoint` for candle's `DType`, stored by its name: `f32`.

use candle_core::DType;

use super::plain_value;
use crate::value::{Value, ValueError};

plain_value!(DType, |dtype| Value::of(dtype.as_str()), |stored| {
    let name: String = stored.decode()?;
    name.parse()
        .map_err(|_| ValueError::new(format!("`{name}` is no dtype of candle, such as `f32`")))
});
