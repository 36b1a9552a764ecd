//! Every name that generated code could be tempted to use means something else here.

use fabric_core as library;
use library::candle_nn::Linear;

type Text = ::std::string::String;
type Number = ::std::primitive::u64;

#[derive(Debug)]
struct Option;
#[derive(Debug)]
struct Result;
#[derive(Debug)]
struct Vec;
#[derive(Debug)]
struct String;
#[derive(Debug)]
struct Field;
#[derive(Debug)]
struct Keys;
#[allow(non_camel_case_types, reason = "it stands for the primitive type")]
#[derive(Debug)]
struct u32;
#[allow(non_camel_case_types, reason = "it stands for the primitive type")]
#[derive(Debug)]
struct str;
#[allow(non_camel_case_types, reason = "it stands for the primitive type")]
#[derive(Debug)]
struct bool;
#[derive(Debug)]
struct Fields;

/// Not the trait of the library.
trait Checkpoint {
    fn visit(&self);
    #[allow(dead_code, reason = "it must not be called")]
    fn enter(&self) {}
}

impl<T> Checkpoint for T {
    fn visit(&self) {}
}

mod core {}
mod std {}
#[allow(unused_macros, reason = "it must not be used")]
macro_rules! panic {
    ($($anything:tt)*) => {
        compile_error!("the library's own panic is shadowed")
    };
}

mod filters {
    pub(super) fn all(_: &::core::primitive::str, _: &fabric_core::TensorInfo) -> ::core::primitive::bool {
        true
    }
}

#[derive(library::Checkpoint, Debug)]
#[checkpoint(version = 7)]
struct Surrounded {
    #[checkpoint(filter = filters::all, shard(dim = 0))]
    model: Linear,
    step: Number,
    #[checkpoint(metadata)]
    name: Text,
    #[checkpoint(skip)]
    #[allow(dead_code, reason = "nothing reads a skipped field")]
    shadows: (Option, Result, Vec, String, Field, Keys, (u32, str, bool)),
    #[checkpoint(flatten)]
    holder: SurroundedFields,
}

/// The name that the struct of handles would have.
#[derive(library::Checkpoint, Debug)]
struct SurroundedFields {
    fields: Number,
    #[checkpoint(skip)]
    #[allow(dead_code, reason = "nothing reads a skipped field")]
    more: Fields,
}

#[test]
fn shadowed_names_do_not_disturb() {
    super::is_checkpoint::<Surrounded>();
    (Surrounded::FIELDS.step, SurroundedFields::FIELDS.fields).visit();
    let through = Surrounded::FIELDS.holder.then(SurroundedFields::FIELDS.fields);
    assert_eq!(through.name(), "fields");
    assert_eq!(Surrounded::FIELDS.model.name(), "model");
    assert_eq!((Surrounded::FIELDS.name.name(), ()), ("name".into(), ()));
}
