//! No prelude: not one name can be taken for granted.
#![no_implicit_prelude]

use ::fabric_core::candle_nn::Linear;

fn learned(name: &str, _: &::fabric_core::TensorInfo) -> bool {
    !name.is_empty()
}

#[derive(::fabric_core::Checkpoint, ::core::fmt::Debug)]
#[checkpoint(version = 2)]
pub(crate) struct Everything<'a, T, const N: usize>
where
    T: ::core::fmt::Debug,
{
    #[checkpoint(filter("weight", "bias"), shard(dim = 0))]
    texts: Linear,
    #[checkpoint(filter = glob("*.weight"), shard(dim = 0), shard(dim = 1, axis = "tp"), alias = "old")]
    globs: ::std::vec::Vec<Linear>,
    #[checkpoint(filter = learned, optional)]
    function: ::core::option::Option<Linear>,
    #[checkpoint(metadata, per_rank)]
    metadata: ::std::string::String,
    #[checkpoint(rename = "renamed")]
    generic: [T; N],
    borrowed: &'a mut Linear,
    #[checkpoint(skip)]
    #[allow(dead_code, reason = "nothing reads a skipped field")]
    skipped: &'a str,
    #[checkpoint(flatten)]
    flattened: Inner,
}

#[derive(::fabric_core::Checkpoint, ::core::fmt::Debug)]
pub(crate) struct Inner {
    step: u64,
}

#[test]
fn every_attribute_works_without_the_prelude() {
    super::is_checkpoint::<Everything<'static, u64, 2>>();
    let fields = Everything::<'static, u64, 2>::FIELDS;
    ::std::assert_eq!(fields.generic.name(), "renamed");
    ::std::assert_eq!(fields.flattened.then(Inner::FIELDS.step).name(), "step");
}
