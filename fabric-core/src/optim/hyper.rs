//! Hyper-parameters as a file holds them: possibly integers, possibly absent, possibly nonsense.

use serde::Deserialize;
use serde::de::{Deserializer, Visitor};

use crate::state::ParamGroup;
use crate::value::ValueError;

/// A number of any kind: PyTorch writes `weight_decay: 0`.
#[derive(Clone, Copy, Debug, PartialEq)]
struct HyperNumber(f64);

/// The finite number called `name`.
pub(super) fn number(group: &ParamGroup, name: &str) -> Result<f64, ValueError> {
    finite(name, group.get::<HyperNumber>(name)?)
}

/// The two decay rates of Adam, each in [0, 1).
pub(super) fn betas(group: &ParamGroup) -> Result<(f64, f64), ValueError> {
    let both = group.get::<Vec<HyperNumber>>("betas")?;
    let &[beta1, beta2] = both.as_slice() else {
        return Err(refused(
            "betas",
            format_args!("a list of {}", both.len()),
            "it must have two numbers",
        ));
    };
    let (beta1, beta2) = (finite("betas", beta1)?, finite("betas", beta2)?);
    if (0.0..1.0).contains(&beta1) && (0.0..1.0).contains(&beta2) {
        Ok((beta1, beta2))
    } else {
        Err(refused(
            "betas",
            format_args!("[{beta1}, {beta2}]"),
            "each must be at least 0 and below 1",
        ))
    }
}

/// The flag called `name`; `absent` if there is none.
pub(super) fn flag(group: &ParamGroup, name: &str, absent: bool) -> Result<bool, ValueError> {
    if has(group, name) { group.get(name) } else { Ok(absent) }
}

/// Refuses a flag that asks for something this library does not do.
pub(super) fn expect_flag(group: &ParamGroup, name: &str, expected: bool) -> Result<(), ValueError> {
    match flag(group, name, expected)? {
        found if found == expected => Ok(()),
        found => Err(refused(name, found, "this optimizer does not do that")),
    }
}

/// Refuses a number other than zero, where there is one.
pub(super) fn expect_zero(group: &ParamGroup, name: &str) -> Result<(), ValueError> {
    match if has(group, name) { number(group, name)? } else { 0.0 } {
        0.0 => Ok(()),
        found => Err(refused(name, found, "this optimizer does not do that")),
    }
}

/// The error for a value that is well formed but cannot be taken over.
pub(super) fn refused(name: &str, found: impl std::fmt::Display, why: &str) -> ValueError {
    ValueError::new(format!("hyper-parameter `{name}` is {found}: {why}"))
}

fn finite(name: &str, HyperNumber(number): HyperNumber) -> Result<f64, ValueError> {
    if number.is_finite() {
        Ok(number)
    } else {
        Err(refused(name, number, "it must be finite"))
    }
}

fn has(group: &ParamGroup, name: &str) -> bool {
    group.options.iter().any(|(key, _)| key == name)
}

impl<'de> Deserialize<'de> for HyperNumber {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AnyNumber;

        #[allow(clippy::cast_precision_loss, reason = "no hyper-parameter is an integer beyond 2^53")]
        impl Visitor<'_> for AnyNumber {
            type Value = HyperNumber;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a number")
            }

            fn visit_f64<E>(self, number: f64) -> Result<HyperNumber, E> {
                Ok(HyperNumber(number))
            }

            fn visit_i64<E>(self, number: i64) -> Result<HyperNumber, E> {
                Ok(HyperNumber(number as f64))
            }

            fn visit_u64<E>(self, number: u64) -> Result<HyperNumber, E> {
                Ok(HyperNumber(number as f64))
            }
        }

        deserializer.deserialize_any(AnyNumber)
    }
}
