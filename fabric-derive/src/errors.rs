//! Collects errors, so that one compilation reports every mistake in a struct.

use std::cell::RefCell;
use std::fmt::Display;

use quote::ToTokens;

/// Collects errors through a shared reference. It panics if it is dropped before [`finish`](Self::finish), which would
/// lose errors.
pub(crate) struct Errors {
    /// `None` after `finish`.
    found: RefCell<Option<Vec<syn::Error>>>,
}

impl Errors {
    pub(crate) fn new() -> Self {
        Self {
            found: RefCell::new(Some(Vec::new())),
        }
    }

    /// Adds an error that underlines all of `tokens`.
    pub(crate) fn at(&self, tokens: &impl ToTokens, message: impl Display) {
        self.add(syn::Error::new_spanned(tokens, message));
    }

    pub(crate) fn add(&self, error: syn::Error) {
        if let Some(found) = self.found.borrow_mut().as_mut() {
            found.push(error);
        }
    }

    /// Combines all errors into one; `Ok` if there are none.
    pub(crate) fn finish(self) -> syn::Result<()> {
        let mut found = self.found.borrow_mut().take().unwrap_or_default().into_iter();
        let Some(mut first) = found.next() else { return Ok(()) };
        for error in found {
            first.combine(error);
        }
        Err(first)
    }
}

impl Drop for Errors {
    fn drop(&mut self) {
        let reported = self.found.borrow().is_none();
        assert!(
            reported || std::thread::panicking(),
            "errors were collected and not reported"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_errors_come_out_in_the_order_they_went_in() {
        let errors = Errors::new();
        errors.at(&quote::quote!(a), "first");
        errors.at(&quote::quote!(b), "second");
        let all: Vec<_> = errors
            .finish()
            .unwrap_err()
            .into_iter()
            .map(|e| e.to_string())
            .collect();
        assert_eq!(all, ["first", "second"]);
    }

    #[test]
    #[should_panic(expected = "not reported")]
    fn a_forgotten_bag_is_loud() {
        drop(Errors::new());
    }
}
