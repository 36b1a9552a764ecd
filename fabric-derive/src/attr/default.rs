//! `default` and `default = path::to::function`.

use quote::ToTokens;
use syn::Path;

use super::Item;
use crate::errors::Errors;
use crate::spanned::Spanned;

/// The source of the value of a field that a file lacks.
pub(crate) enum DefaultValue {
    /// The type's own `Default`.
    OfType,
    /// A function without arguments.
    Function(Path),
}

impl Item {
    /// The value of `default`; `None`, with an error, if it is no path.
    pub(crate) fn default(&self, errors: &Errors) -> Option<Spanned<DefaultValue>> {
        let value = self.value();
        if value.is_empty() {
            return Some(self.spanned(DefaultValue::OfType));
        }
        if let Ok(path) = syn::parse2::<Path>(value) {
            return Some(self.spanned(DefaultValue::Function(path)));
        }
        let found = self.at().to_token_stream();
        errors.at(
            &found,
            format_args!(
                "`default` names a function that makes the value, found `{found}`; write default = path::to::function, or \
                 `default` for the type's Default"
            ),
        );
        None
    }
}
