//! Filters, which select the tensors of a component that belong to a checkpoint.

use std::fmt;
use std::sync::Arc;

use crate::entry::TensorInfo;

/// A filter, which selects the tensors of a component that belong to a checkpoint.
///
/// Fields declare one with `#[checkpoint(filter = ...)]`; a call adds one with
/// [`SaveOptions::filter`](crate::SaveOptions::filter). Names are relative to the field. A filter gets the element type
/// and shape of the whole tensor, even if a rank holds only a part of it, so it selects the same tensors under every
/// strategy.
#[derive(Clone)]
pub(crate) struct Filter(Rule);

type Keep = dyn Fn(&str, &TensorInfo) -> bool + Send + Sync;

#[derive(Clone)]
enum Rule {
    Text(&'static [&'static str]),
    Glob(&'static [&'static str]),
    Function(fn(&str, &TensorInfo) -> bool),
    Closure(Arc<Keep>),
}

impl Filter {
    /// Keeps names that contain at least one of these texts.
    pub(crate) const fn text(any_of: &'static [&'static str]) -> Self {
        Self(Rule::Text(any_of))
    }

    /// Keeps names that match at least one of these shell patterns; `*` also matches dots.
    ///
    /// The derive macro checks patterns. An invalid pattern matches no name, and a save reports that the filter keeps
    /// nothing.
    pub(crate) const fn glob(any_of: &'static [&'static str]) -> Self {
        Self(Rule::Glob(any_of))
    }

    /// Keeps tensors for which the function returns true.
    pub(crate) const fn function(keep: fn(&str, &TensorInfo) -> bool) -> Self {
        Self(Rule::Function(keep))
    }

    /// Keeps tensors for which the closure returns true.
    pub(crate) fn closure(keep: impl Fn(&str, &TensorInfo) -> bool + Send + Sync + 'static) -> Self {
        Self(Rule::Closure(Arc::new(keep)))
    }

    /// Returns true if the filter keeps the tensor `name`, whose name is relative to the filtered field.
    pub(crate) fn keeps(&self, name: &str, tensor: &TensorInfo) -> bool {
        match &self.0 {
            Rule::Text(any_of) => any_of.iter().any(|text| name.contains(text)),
            Rule::Glob(any_of) => any_of.iter().any(|pattern| glob_matches(pattern, name)),
            Rule::Function(keep) => keep(name, tensor),
            Rule::Closure(keep) => keep(name, tensor),
        }
    }

    /// Returns true if the filters are known to be equal: equal texts or patterns, or one function.
    pub(crate) fn is_surely(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Rule::Text(these), Rule::Text(those)) | (Rule::Glob(these), Rule::Glob(those)) => these == those,
            (Rule::Function(this), Rule::Function(that)) => std::ptr::fn_addr_eq(*this, *that),
            _ => false,
        }
    }

    /// Returns true if the filters may be equal: all functions may be equal, and all closures, because they cannot be compared.
    pub(crate) fn may_be(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Rule::Text(these), Rule::Text(those)) | (Rule::Glob(these), Rule::Glob(those)) => these == those,
            (Rule::Function(_), Rule::Function(_)) | (Rule::Closure(_), Rule::Closure(_)) => true,
            _ => false,
        }
    }

    /// Returns true if the filter may depend on the element type or the shape.
    pub(crate) fn looks_at_tensors(&self) -> bool {
        matches!(self.0, Rule::Function(_) | Rule::Closure(_))
    }
}

/// Matches a name against a shell pattern. A run of `*` counts as one: dots are not path separators, so `**` has no
/// special meaning.
fn glob_matches(pattern: &str, name: &str) -> bool {
    parse(pattern).is_ok_and(|pattern| pattern.matches(name))
}

fn parse(pattern: &str) -> Result<glob::Pattern, glob::PatternError> {
    let mut single = String::with_capacity(pattern.len());
    for c in pattern.chars() {
        if !(c == '*' && single.ends_with('*')) {
            single.push(c);
        }
    }
    glob::Pattern::new(&single)
}

/// Shell patterns that a caller gives at run time, with the syntax of [`Filter::glob`].
#[derive(Debug)]
pub(crate) struct Patterns(Vec<glob::Pattern>);

impl Patterns {
    /// # Errors
    /// A sentence about the first invalid pattern.
    pub(crate) fn parse<P: AsRef<str>>(patterns: &[P]) -> Result<Self, String> {
        let each = patterns.iter().map(AsRef::as_ref);
        let parsed =
            each.map(|pattern| parse(pattern).map_err(|error| format!("the pattern {pattern:?} is invalid: {error}")));
        parsed.collect::<Result<_, _>>().map(Self)
    }

    /// True if at least one pattern matches the name.
    pub(crate) fn matches(&self, name: &str) -> bool {
        self.0.iter().any(|pattern| pattern.matches(name))
    }
}

impl fmt::Debug for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Filter({self})")
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Rule::Text(any_of) => write!(f, "text {any_of:?}"),
            Rule::Glob(any_of) => write!(f, "glob {any_of:?}"),
            Rule::Function(_) => f.write_str("a function"),
            Rule::Closure(_) => f.write_str("a closure"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::DType;

    #[test]
    fn each_rule_keeps_what_it_says() {
        let info = TensorInfo::new(DType::F32, vec![2, 3]);
        let keeps = |filter: Filter, name: &str| filter.keeps(name, &info);
        assert!(keeps(Filter::text(&["weight", "scale"]), "fc1.weight"));
        assert!(!keeps(Filter::text(&["weight"]), "fc1.bias"));
        assert!(keeps(Filter::glob(&["**.weight"]), "a.b.weight"));
        assert!(keeps(Filter::glob(&["fc?.*"]), "fc1.weight"));
        assert!(!keeps(Filter::glob(&["fc?.*"]), "fc12.weight"));
        assert!(keeps(Filter::function(|_, t| t.shape().len() == 2), "x"));
        let wanted = String::from("x");
        assert!(!keeps(Filter::closure(move |name, _| name == wanted), "y"));
    }
}
