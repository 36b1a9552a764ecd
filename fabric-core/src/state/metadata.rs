//! Serde values as fields: the trait behind `#[checkpoint(metadata)]`.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::slot::Slot;
use super::{Visitor, VisitorMut};

/// A type that `#[checkpoint(metadata)]` can store. Only generated code names this trait, so that the compiler reports
/// a type without serde's traits once, at the field.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be stored as metadata",
    label = "this type lacks serde's Serialize or DeserializeOwned",
    note = "if `{Self}` is a type of this program, add #[derive(serde::Serialize, serde::Deserialize)] to it; borrowed data \
            cannot be restored",
    note = "if `{Self}` is a tensor, a module or an optimizer, it has entries of its own: remove `metadata`",
    note = "if `{Self}` need not be restored, mark the field #[checkpoint(skip)]"
)]
pub trait Metadata {
    /// Shows the value to `entries`.
    fn visit<'a>(&'a self, entries: &mut Visitor<'a>);

    /// Shows the place of the value to `entries`.
    fn visit_mut<'a>(&'a mut self, entries: &mut VisitorMut<'a>);

    /// Shows the place of the value, which takes the value of `default` if the file lacks it.
    fn visit_mut_or<'a>(&'a mut self, entries: &mut VisitorMut<'a>, default: fn() -> Self)
    where
        Self: Sized;
}

#[diagnostic::do_not_recommend]
impl<T: Serialize + DeserializeOwned> Metadata for T {
    fn visit<'a>(&'a self, entries: &mut Visitor<'a>) {
        entries.readable(self);
    }

    fn visit_mut<'a>(&'a mut self, entries: &mut VisitorMut<'a>) {
        entries.readable(self);
    }

    fn visit_mut_or<'a>(&'a mut self, entries: &mut VisitorMut<'a>, default: fn() -> Self) {
        entries.slot(Slot::metadata(self).or(default));
    }
}
