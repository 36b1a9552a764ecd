//! The structs of a state, with the version and the recipe of each.
//!
//! A derived struct records itself at the begin of its `visit`, so that it is recorded also where a hand-written
//! implementation calls `visit` for it. A hand-written `visit` cannot record itself, so the code that shows the part does it
//! ([`Checkpoint::visit_part`]). Containers, tensors, plain values and optimizers are no structs.

use super::Checkpoint;
use super::aliases::Names;
use super::walk::Walk;
use crate::migrate::Migrations;

/// The code that records a type among the structs of a state.
///
/// Only generated code names this type, so a hand-written implementation of [`Checkpoint`] is always recorded where it is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recorded {
    /// The code that shows the part records it: the implementation is hand-written.
    WhereShown,
    /// The generated `visit` and `visit_mut` record the type.
    ByItself,
    /// The type is no struct.
    Never,
}

/// A struct of a state.
#[derive(Clone, Debug)]
pub(crate) struct StructPlace {
    /// The path below which the fields of the struct are, with the paths by aliases; empty for the state itself.
    pub(crate) names: Names,
    /// The name of the type without its path and its generic arguments.
    pub(crate) name: &'static str,
    pub(crate) version: u32,
    pub(crate) recipe: fn(&mut Migrations),
}

impl StructPlace {
    /// Returns true if the recipe may leave entries of the state as they are.
    pub(crate) fn keeps(&self) -> bool {
        let mut recipe = Migrations::default();
        (self.recipe)(&mut recipe);
        recipe.keeps()
    }
}

impl<V, O> Walk<V, O> {
    /// Records that the present level is a struct, unless the type is one plain value.
    pub(super) fn record<T: Checkpoint + ?Sized>(&mut self) {
        if T::KIND.is_value() {
            return;
        }
        let names = self.names();
        self.push_struct(StructPlace {
            names,
            ..struct_of::<T>(String::new())
        });
    }
}

/// The struct `T` at a path.
pub(super) fn struct_of<T: Checkpoint + ?Sized>(path: String) -> StructPlace {
    StructPlace {
        names: Names::of(path),
        name: short(std::any::type_name::<T>()),
        version: T::VERSION,
        recipe: T::recipe,
    }
}

/// The name of a type without its path and its generic arguments. The path may have generic arguments too: a type may be local to
/// a method of a trait.
fn short(name: &str) -> &str {
    let (mut depth, mut start, mut before) = (0_usize, 0, ' ');
    for (at, now) in name.char_indices() {
        match now {
            '<' => depth += 1,
            '>' if before != '-' => depth = depth.saturating_sub(1),
            ':' if depth == 0 => start = at + 1,
            _ => {}
        }
        before = now;
    }
    let name = &name[start..];
    name.split('<').next().unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_name_has_neither_path_nor_generic_arguments() {
        for (name, expected) in [
            ("Model", "Model"),
            ("crate::net::Model", "Model"),
            ("crate::net::Model<crate::a::B<c::D>>", "Model"),
            ("crate::net::Model<fn(a::B) -> c::D, e::F>", "Model"),
            ("<crate::A<b::C> as crate::D>::f::Local", "Local"),
            ("crate::<impl crate::D for crate::A>::f::Local<x::Y>", "Local"),
        ] {
            assert_eq!(short(name), expected, "{name}");
        }
    }
}
