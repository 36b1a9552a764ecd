//! Which entries of a component belong to a checkpoint.

use std::fmt;
use std::sync::Arc;

use crate::entry::TensorInfo;

/// Decides, entry by entry, what belongs to a checkpoint.
///
/// Fields declare one with `#[checkpoint(filter = ...)]`; a call adds one with
/// [`SaveOptions::filter`](crate::SaveOptions::filter). Names are relative to the field. Where a rank holds a part of a
/// tensor, filters are told the element type and shape of the whole: they keep the same under every strategy.
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
    /// Keeps names that contain any of these texts.
    pub(crate) const fn text(any_of: &'static [&'static str]) -> Self {
        Self(Rule::Text(any_of))
    }

    /// Keeps names that match any of these shell patterns; `*` also crosses dots.
    ///
    /// The derive macro has checked the patterns; one that does not parse matches nothing, which a save reports.
    pub(crate) const fn glob(any_of: &'static [&'static str]) -> Self {
        Self(Rule::Glob(any_of))
    }

    /// Keeps what the function keeps.
    pub(crate) const fn function(keep: fn(&str, &TensorInfo) -> bool) -> Self {
        Self(Rule::Function(keep))
    }

    /// Keeps what the closure keeps.
    pub(crate) fn closure(keep: impl Fn(&str, &TensorInfo) -> bool + Send + Sync + 'static) -> Self {
        Self(Rule::Closure(Arc::new(keep)))
    }

    /// Whether the entry called `name`, relative to the filtered field, is kept.
    pub(crate) fn keeps(&self, name: &str, tensor: &TensorInfo) -> bool {
        match &self.0 {
            Rule::Text(any_of) => any_of.iter().any(|text| name.contains(text)),
            Rule::Glob(any_of) => any_of.iter().any(|pattern| glob_matches(pattern, name)),
            Rule::Function(keep) => keep(name, tensor),
            Rule::Closure(keep) => keep(name, tensor),
        }
    }

    /// Whether the other filter is known to be the same one.
    pub(crate) fn is_surely(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Rule::Text(these), Rule::Text(those)) | (Rule::Glob(these), Rule::Glob(those)) => these == those,
            (Rule::Function(this), Rule::Function(that)) => std::ptr::fn_addr_eq(*this, *that),
            _ => false,
        }
    }

    /// Whether the other filter may be the same one: closures and functions are not compared.
    pub(crate) fn may_be(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Rule::Text(these), Rule::Text(those)) | (Rule::Glob(these), Rule::Glob(those)) => these == those,
            (Rule::Function(_), Rule::Function(_)) | (Rule::Closure(_), Rule::Closure(_)) => true,
            _ => false,
        }
    }

    /// Whether more than the name may decide.
    pub(crate) fn looks_at_tensors(&self) -> bool {
        matches!(self.0, Rule::Function(_) | Rule::Closure(_))
    }
}

/// Runs of `*` count as one: dots are no path separators, so `**` has no meaning of its own.
fn glob_matches(pattern: &str, name: &str) -> bool {
    let mut single = String::with_capacity(pattern.len());
    for c in pattern.chars() {
        if !(c == '*' && single.ends_with('*')) {
            single.push(c);
        }
    }
    glob::Pattern::new(&single).is_ok_and(|pattern| pattern.matches(name))
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
