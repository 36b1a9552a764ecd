//! `Checkpoint` for numbers of 16 bits. Their stored form is a float, as that of `f32`, so a field may become wider.

use half::{bf16, f16};

use super::plain_value;
use crate::value::{Value, ValueError};

/// Every bit comes back, also those of a quiet NaN. A wider float is rounded, and refused if it is out of range, as it is
/// by `f32`. An integer is refused: serde's form of the crate half stores the bits as an integer, and 15360 would be
/// taken for the number where 1.0 was meant.
macro_rules! halves {
    ($($type:ident, $name:literal;)*) => {$(
        plain_value!($type, |number| Value::of(&number.to_f64()), |stored| {
            let float = stored.as_float().ok_or_else(|| {
                ValueError::new(format!("expected a float for `{}`, found {}", $name, stored.describe()))
            })?;
            let rounded = $type::from_f64(float);
            if rounded.is_infinite() && float.is_finite() {
                return Err(ValueError::new(format!("expected a number in the range of {}, found {float:?}", $name)));
            }
            Ok(rounded)
        });
    )*};
}

halves! {
    f16, "f16";
    bf16, "bf16";
}
