//! States and schemas that cannot be saved or loaded.

use crate::entry::shown;

/// A mistake in a state or its schema, found before a byte is read or written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StateError {
    /// Two entries have one name.
    #[error("entry `{}` is there twice; rename one of the two fields or keys", shown(.0))]
    Duplicate(String),

    /// A file's entry of this name would belong to two entries of the state.
    #[error(
        "an entry `{}` of a file would belong to both `{}` and `{}`; rename one of the two fields or keys, or remove the alias",
        shown(name),
        shown(first),
        shown(second)
    )]
    Ambiguous {
        /// The name in the file.
        name: String,
        /// One entry of the state.
        first: String,
        /// The other one.
        second: String,
    },

    /// An entry has the name that a file gives to one rank's value of a `per_rank` field.
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
        /// The rank.
        rank: usize,
    },

    /// A field handle that does not belong to this state.
    #[error("the handle of `{}` is of `{of}`, and {what}", shown(handle))]
    Handle {
        /// The handle's name.
        handle: String,
        /// The type that the handle belongs to.
        of: String,
        /// The type of the state, and the handle that fits.
        what: String,
    },

    /// `visit` and `visit_mut` of a hand-written implementation of [`Checkpoint`](crate::Checkpoint) show different entries.
    /// Found by a load, before it changes anything.
    #[error(
        "`visit` and `visit_mut` of the state differ: `visit` shows {visit}, `visit_mut` shows {visit_mut}; a file holds what \
         `visit` shows, so correct the hand-written `visit_mut` and load the file again"
    )]
    Asymmetric {
        /// The first entry of `visit` that differs.
        visit: String,
        /// The entry in its place in `visit_mut`.
        visit_mut: String,
    },

    /// A name that no file can hold.
    #[error("entry name `{}` {what}", shown(name))]
    Name {
        /// The name.
        name: String,
        /// The mistake.
        what: &'static str,
    },

    /// A filter that leaves nothing of its component.
    #[error("the filter on `{declared}` ({filter}) keeps none of {seen}; correct it or leave the component out")]
    EmptyFilter {
        /// Where the filter is declared.
        declared: String,
        /// The filter.
        filter: String,
        /// The names it was asked about.
        seen: String,
    },

    /// A field handle that names nothing that the state holds.
    #[error("the state has no component `{}`; it has {components}", shown(name))]
    NoSuchComponent {
        /// The handle's name.
        name: String,
        /// The components there are.
        components: String,
    },

    /// A value that cannot be stored.
    #[error("value `{}` {what}", shown(name))]
    Value {
        /// The entry.
        name: String,
        /// Why not.
        what: String,
    },

    /// An optimizer holds a parameter that has no name in this state.
    #[error(
        "optimizer `{optimizer}` updates parameter {position} ({tensor}), which no module of this state holds; \
         add the module or its VarMap to the state, or name the parameters: `from_named` of AdamW and Sgd, `ParamState::named` in an OptimizerState of another one"
    )]
    UnnamedParameter {
        /// The optimizer's field.
        optimizer: String,
        /// The parameter's place in the order in which the optimizer was given them.
        position: usize,
        /// Its element type and shape.
        tensor: String,
    },

    /// An optimizer holds a parameter twice.
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
        /// Its place in the order in which the optimizer was given its parameters.
        first: usize,
        /// Its other place.
        second: usize,
    },

    /// A tensor that cannot be written in place.
    #[error("tensor `{}` {what}", shown(name))]
    Tensor {
        /// The entry.
        name: String,
        /// Why not.
        what: String,
    },
}
