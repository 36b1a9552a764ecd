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
    #[error("the handle of `{}` is of `{of}`, and {what}", shown(handle))]
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

    /// An entry has a name that no file can hold.
    #[error("entry name `{}` {what}", shown(name))]
    Name {
        /// The name.
        name: String,
        /// The mistake.
        what: &'static str,
    },

    /// A filter keeps no tensor of its component.
    #[error("the filter on `{declared}` ({filter}) keeps none of {seen}; correct it or leave the component out")]
    EmptyFilter {
        /// The field that declares the filter, or the field that a call filters.
        declared: String,
        /// The filter.
        filter: String,
        /// The names that the filter rejected.
        seen: String,
    },

    /// A field handle names a field that the state does not have.
    #[error("the state has no component `{}`; it has {components}", shown(name))]
    NoSuchComponent {
        /// The handle's name.
        name: String,
        /// The components of the state.
        components: String,
    },

    /// A value cannot be stored.
    #[error("value `{}` {what}", shown(name))]
    Value {
        /// The entry.
        name: String,
        /// The reason.
        what: String,
    },

    /// An optimizer holds a parameter without a name in this state.
    #[error(
        "optimizer `{optimizer}` updates parameter {position} ({tensor}), which no module of this state holds; \
         add the module or its VarMap to the state, or name the parameters: `from_named` of AdamW and Sgd, `ParamState::named` in another OptimizerState"
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
    #[error("tensor `{}` {what}", shown(name))]
    Tensor {
        /// The entry.
        name: String,
        /// The reason.
        what: String,
    },
}
