//! Public structs with private fields and private field types, raw identifiers, deprecated fields, renamed fields.

use fabric_core::Checkpoint;
use fabric_core::candle_nn::Linear;

/// A public schema with private parts.
#[derive(Checkpoint, Debug)]
#[checkpoint(rename_all = "camelCase")]
pub struct Public {
    /// Documented.
    pub learning_rate: f64,
    hidden_part: Hidden,
    #[checkpoint(rename = "kind")]
    r#type: u64,
    r#match: u64,
    /// Old.
    #[deprecated = "use learning_rate"]
    pub rate: f64,
}

#[derive(Checkpoint, Debug)]
struct Hidden {
    layer: Linear,
}

/// A public generic schema whose bound mentions a private type.
#[derive(Checkpoint, Debug)]
pub struct Generic<T> {
    part: HiddenGeneric<T>,
}

#[derive(Checkpoint, Debug)]
struct HiddenGeneric<T> {
    layer: T,
}

type Two<T> = (Option<Box<Option<T>>>, Option<Box<Option<T>>>);

/// So many types that their sum is a complex one, though none of them is.
#[derive(Checkpoint, Debug)]
pub struct Wide {
    a: Option<Box<[[Two<u64>; 2]; 2]>>,
    b: Option<Box<[[Two<u64>; 2]; 2]>>,
    c: Option<Box<[[Two<u64>; 2]; 2]>>,
    d: Option<Box<[[Two<u64>; 2]; 2]>>,
}

/// Everything about it is old.
#[deprecated = "use Public"]
#[derive(Checkpoint)]
#[allow(
    missing_debug_implementations,
    reason = "a derived Debug would warn of the deprecation"
)]
pub struct Old {
    step: u64,
}

#[derive(Checkpoint, Debug)]
#[allow(non_camel_case_types, reason = "a raw identifier as a type")]
struct r#async {
    r#type: u64,
}

#[derive(Checkpoint, Debug)]
#[allow(non_snake_case, reason = "names as a foreign format has them")]
#[checkpoint(rename_all = "snake_case")]
struct Foreign {
    hiddenSize: u64,
    Head: Linear,
}

pub(crate) mod inner {
    #[derive(fabric_core::Checkpoint, Debug)]
    pub(in crate::hygiene::visible) struct Restricted {
        pub(super) step: u64,
    }
}

#[test]
fn handles_carry_the_stored_names() {
    assert_eq!(Public::FIELDS.learning_rate.name(), "learningRate");
    assert_eq!(Public::FIELDS.r#type.name(), "kind");
    assert_eq!(Public::FIELDS.r#match.name(), "match");
    assert_eq!(Public::FIELDS.rate.name(), "rate");
    assert_eq!(
        Public::FIELDS.hidden_part.then(Hidden::FIELDS.layer).name(),
        "hiddenPart.layer"
    );
    assert_eq!(r#async::FIELDS.r#type.name(), "type");
    assert_eq!(Foreign::FIELDS.hiddenSize.name(), "hidden_size");
    assert_eq!(Foreign::FIELDS.Head.name(), "head");
    assert_eq!(inner::Restricted::FIELDS.step.name(), "step");
}

#[test]
fn a_handle_is_a_constant() {
    const MODEL: fabric_core::Field<Public, f64> = Public::FIELDS.learning_rate;
    const DEEP: fabric_core::Field<Generic<Linear>, Linear> = Generic::FIELDS.part.then(HiddenGeneric::FIELDS.layer);
    assert_eq!(MODEL.name(), "learningRate");
    assert_eq!(DEEP.name(), "part.layer");
}
