//! Structs that a `macro_rules!` writes, with names, types, attributes and fields from either side.

use fabric_core::Checkpoint;
use fabric_core::candle_nn::Linear;

macro_rules! fixed {
    ($name:ident) => {
        #[derive(Checkpoint, Debug)]
        struct $name {
            #[checkpoint(filter = "weight")]
            model: Linear,
            step: u64,
        }
    };
}

macro_rules! given {
    ($(#[$attr:meta])* $vis:vis $name:ident<$param:ident> { $($key:literal $field:ident: $ty:ty,)* }) => {
        #[derive(Checkpoint, Debug)]
        $(#[$attr])*
        $vis struct $name<$param> {
            $(#[checkpoint(rename = $key)] $field: $ty,)*
            last: $param,
        }
    };
}

macro_rules! filtered {
    ($name:ident, $text:literal, $function:path, $dim:literal, $ty:ty) => {
        #[derive(Checkpoint, Debug)]
        struct $name<'a> {
            #[checkpoint(filter = $text, shard(dim = $dim))]
            text: $ty,
            #[checkpoint(filter = $function)]
            function: &'a mut $ty,
            #[checkpoint(metadata)]
            metadata: Vec<String>,
        }
    };
}

fn all(_: &str, _: &fabric_core::TensorInfo) -> bool {
    true
}

fixed!(Fixed);
given! {
    #[checkpoint(version = 2)]
    pub(crate) Given<T> {
        "one" first: Option<T>,
        "two" second: Fixed,
    }
}
filtered!(Filtered, "weight", all, 0, Linear);

#[test]
fn a_struct_may_come_from_a_macro() {
    super::is_checkpoint::<Given<Fixed>>();
    super::is_checkpoint::<Filtered<'static>>();
    let fields = Given::<Fixed>::FIELDS;
    assert_eq!(fields.second.then(Fixed::FIELDS.model).name(), "two.model");
    assert_eq!(fields.first.name(), "one");
    assert_eq!(fields.last.name(), "last");
    assert_eq!(Filtered::FIELDS.function.name(), "function");
}

#[test]
fn a_struct_may_be_local_to_a_function() {
    #[derive(Debug)]
    struct Opaque;

    #[derive(Checkpoint, Debug)]
    struct Local {
        step: u64,
        #[checkpoint(skip)]
        #[allow(dead_code, reason = "nothing reads a skipped field")]
        opaque: Opaque,
    }

    #[derive(Checkpoint, Debug)]
    struct Outer {
        #[checkpoint(flatten)]
        local: Local,
    }

    super::is_checkpoint::<Outer>();
    assert_eq!(Outer::FIELDS.local.then(Local::FIELDS.step).name(), "step");
}
