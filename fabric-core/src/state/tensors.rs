//! Tensors, variables and variable maps.

use std::sync::PoisonError;

use candle_core::{Tensor, Var};
use candle_nn::VarMap;

use super::walk::{Role, Walk};
use super::{Checkpoint, Keys, Kind, Recorded, Types, Visitor, VisitorMut};

/// `Checkpoint` for types whose entries are all tensors. Save and load visit them alike, because a load writes a
/// tensor's memory through a shared handle.
macro_rules! tensors_only {
    ($($type:ty, $keys:expr => $entries:expr;)*) => {$(
        #[diagnostic::do_not_recommend]
        impl $crate::state::Checkpoint for $type {
            const KEYS: $crate::state::Keys = $keys;
            const RECORDED: $crate::state::Recorded = $crate::state::Recorded::Never;

            fn may_differ(_: &mut $crate::state::Types) -> bool {
                false
            }

            fn visit<'a>(&'a self, entries: &mut $crate::state::Visitor<'a>) {
                $crate::state::tensors::show(self, &mut entries.walk, $entries);
            }

            fn visit_mut<'a>(&'a mut self, entries: &mut $crate::state::VisitorMut<'a>) {
                $crate::state::tensors::show(self, &mut entries.walk, $entries);
            }
        }
    )*};
}
pub(crate) use tensors_only;

/// The tensors of a module or a map: name, tensor and role.
pub(crate) type Listed = Vec<(String, Tensor, Role)>;

/// Shows all tensors of `list`.
pub(crate) fn show<T, V, O>(owner: &T, walk: &mut Walk<V, O>, list: fn(&T) -> Listed) {
    for (name, tensor, role) in list(owner) {
        walk.push_tensor(&name, &tensor, role);
    }
}

#[diagnostic::do_not_recommend]
impl Checkpoint for Tensor {
    const KIND: Kind = Kind::Tensor;
    const KEYS: Keys = Keys::NONE;
    const RECORDED: Recorded = Recorded::Never;

    fn may_differ(_: &mut Types) -> bool {
        false
    }

    fn visit<'a>(&'a self, entries: &mut Visitor<'a>) {
        entries.tensor("", self);
    }

    fn visit_mut<'a>(&'a mut self, entries: &mut VisitorMut<'a>) {
        entries.tensor("", self);
    }
}

#[diagnostic::do_not_recommend]
impl Checkpoint for Var {
    const KIND: Kind = Kind::Tensor;
    const KEYS: Keys = Keys::NONE;
    const RECORDED: Recorded = Recorded::Never;

    fn may_differ(_: &mut Types) -> bool {
        false
    }

    fn visit<'a>(&'a self, entries: &mut Visitor<'a>) {
        entries.tensor("", self);
    }

    fn visit_mut<'a>(&'a mut self, entries: &mut VisitorMut<'a>) {
        entries.tensor("", self);
    }
}

#[diagnostic::do_not_recommend]
impl Checkpoint for VarMap {
    const KEYS: Keys = Keys::ANY;
    const RECORDED: Recorded = Recorded::Never;

    fn may_differ(_: &mut Types) -> bool {
        false
    }

    fn visit<'a>(&'a self, entries: &mut Visitor<'a>) {
        show_map(self, &mut entries.walk);
    }

    fn visit_mut<'a>(&'a mut self, entries: &mut VisitorMut<'a>) {
        show_map(self, &mut entries.walk);
    }
}

/// Shows the variables in the order of their names, because a `VarMap` returns them in random order.
fn show_map<V, O>(map: &VarMap, walk: &mut Walk<V, O>) {
    let variables = map.data().lock().unwrap_or_else(PoisonError::into_inner);
    let mut listed: Vec<(&String, &Var)> = variables.iter().collect();
    listed.sort_unstable_by_key(|(name, _)| *name);
    for (name, var) in listed {
        walk.push_tensor(name, var, Role::Parameter);
    }
}
