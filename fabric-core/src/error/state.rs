//! The errors of states and schemas that cannot be saved or loaded.

use crate::entry::shown;

/// A mistake in a state or its schema, found before a file is read or written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StateError {
    /// Two entries have the same name.
    #[error("entry `{}` is there twice; rename one of the two fields or keys", shown(.0))]
    Duplicate(String),

    /// Two entries of the state would both load this entry of a file.
    #[error(
        "an entry `{}` of a file would belong to both `{}` and `{}`; rename one of the two fields or keys, or remove the alias",
        shown(name),
        shown(first),
        shown(second)
    )]
    Ambiguous {
        /// The name of the file's entry.
        name: String,
        /// The first entry of the state.
        first: String,
        /// The second entry of the state.
        second: String,
    },

    /// An entry has a name that a file gives to one rank's value of a `per_rank` field.
    #[error(
        "entry `{}` has the name that a checkpoint gives to the value of rank {rank} of `{}`, which is marked `per_rank`; rename \
         one of the two",
        shown(name),
        shown(per_rank)
    )]
    RankedName {
        /// The entry, or an alias of it.
        name: String,
        /// The field marked `per_rank`.
        per_rank: String,
        /// The rank in the name.
        rank: usize,
    },

    /// A field handle belongs to another state.
    #[error("the handle of `{}` is of `{of}`, and {}", shown(handle), shown(what))]
    Handle {
        /// The handle's name.
        handle: String,
        /// The type that the handle belongs to.
        of: String,
        /// The type of the state, and a handle that fits.
        what: String,
    },

    /// `visit` and `visit_mut` of a hand-written implementation of [`Checkpoint`](crate::Checkpoint) show different
    /// entries. A load finds this before it changes anything.
    #[error(
        "`visit` and `visit_mut` of the state differ: `visit` shows {visit}, `visit_mut` shows {visit_mut}; a file holds the \
         entries of `visit`, so correct the hand-written `visit_mut` and load the file again"
    )]
    Asymmetric {
        /// The first entry of `visit` that differs from `visit_mut`.
        visit: String,
        /// The entry at the same position of `visit_mut`.
        visit_mut: String,
    },

    /// A load cannot write to an entry, or to the entries below a name: the state holds a shared borrow. The load has
    /// changed nothing.
    #[error("{} {what}", if name.is_empty() { "the state".to_owned() } else { format!("entry `{}`", shown(name)) })]
    ReadOnly {
        /// The name; empty for the whole state.
        name: String,
        /// The reason, and the state to load into.
        what: &'static str,
    },

    /// An entry has a name that no file can hold.
    #[error("entry name `{}` {what}", shown(name))]
    Name {
        /// The name.
        name: String,
        /// The mistake.
        what: &'static str,
    },

    /// A filter keeps no tensor of its component.
    #[error(
        "the filter on `{}` ({}) keeps none of {}; correct it or leave the component out",
        shown(declared),
        shown(filter),
        shown(seen)
    )]
    EmptyFilter {
        /// The field that declares the filter, or the field that a call filters.
        declared: String,
        /// The filter.
        filter: String,
        /// The names that the filter rejected.
        seen: String,
    },

    /// An option names a field or an entry that the state does not have, by a handle or by a text.
    #[error("{}", no_such_component(name, level, components, near.as_deref()))]
    NoSuchComponent {
        /// The name.
        name: String,
        /// The innermost level of the name that the state has; empty for the state itself.
        level: String,
        /// The names at that level.
        components: String,
        /// The name of the state that is most similar, if one is.
        near: Option<String>,
    },

    /// A value cannot be stored.
    #[error("value `{}` {}", shown(name), shown(what))]
    Value {
        /// The entry.
        name: String,
        /// The reason.
        what: String,
    },

    /// An optimizer holds a parameter without a name in this state.
    #[error(
        "optimizer `{}` updates parameter {position} ({tensor}), which no module of this state holds; \
         add the module or its VarMap to the state, or name the parameters: `from_named` of AdamW and Sgd, `ParamState::named` in another OptimizerState",
        shown(optimizer)
    )]
    UnnamedParameter {
        /// The optimizer's field.
        optimizer: String,
        /// The parameter's index in the optimizer's list of parameters.
        position: usize,
        /// Its element type and shape.
        tensor: String,
    },

    /// An optimizer holds the same parameter twice.
    #[error(
        "parameters {first} and {second} of optimizer `{}` are both `{}`; give the optimizer each parameter once",
        shown(optimizer),
        shown(name)
    )]
    RepeatedParameter {
        /// The optimizer's field.
        optimizer: String,
        /// The parameter.
        name: String,
        /// The first index in the optimizer's list of parameters.
        first: usize,
        /// The second index.
        second: usize,
    },

    /// A tensor cannot be written in place.
    #[error("tensor `{}` {}", shown(name), shown(what))]
    Tensor {
        /// The entry.
        name: String,
        /// The reason.
        what: String,
    },
}

/// The message of [`StateError::NoSuchComponent`].
fn no_such_component(name: &str, level: &str, components: &str, near: Option<&str>) -> String {
    let there = match (level, components) {
        ("", "") => "it has no entries".to_owned(),
        ("", components) => format!("it has {}", shown(components)),
        (level, "") => format!("`{}` is one entry", shown(level)),
        (level, components) => format!("`{}` has {}", shown(level), shown(components)),
    };
    let near = near.map(|near| format!("; did you mean `{}`?", shown(near)));
    let near = near.unwrap_or_default();
    format!("the state has no component `{}`; {there}{near}", shown(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_breaks_the_line_of_a_message() {
        let name = || "a\nb\u{1b}[31m".to_owned();
        for error in [
            StateError::Duplicate(name()),
            StateError::Handle {
                handle: name(),
                of: "State".to_owned(),
                what: name(),
            },
            StateError::EmptyFilter {
                declared: name(),
                filter: name(),
                seen: name(),
            },
            StateError::NoSuchComponent {
                name: name(),
                level: name(),
                components: name(),
                near: Some(name()),
            },
            StateError::NoSuchComponent {
                name: name(),
                level: name(),
                components: String::new(),
                near: None,
            },
            StateError::Value {
                name: name(),
                what: name(),
            },
            StateError::UnnamedParameter {
                optimizer: name(),
                position: 0,
                tensor: "F32 [2]".to_owned(),
            },
            StateError::Tensor {
                name: name(),
                what: name(),
            },
        ] {
            let text = error.to_string();
            assert!(!text.contains(['\n', '\u{1b}']), "{text}");
        }
    }
}
