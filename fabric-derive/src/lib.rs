//! The derive macro of fabric-core; use it from there.
#![deny(clippy::unwrap_used, clippy::expect_used)]

mod attr;
mod bounds;
mod check;
mod derive;
mod errors;
mod expand;
mod fallback;
mod key;
mod schema;
mod spanned;
mod vocab;

use proc_macro::TokenStream;
use syn::{DeriveInput, parse_macro_input};

/// Makes a struct with named fields a state: something that can be saved, and restored in place.
///
/// ```
/// use fabric_core::Checkpoint;
/// use fabric_core::candle_core::Device;
/// use fabric_core::candle_nn::Linear;
///
/// #[derive(serde::Serialize, serde::Deserialize)]
/// struct HParams {
///     learning_rate: f64,
/// }
///
/// #[derive(Checkpoint)]
/// struct Mlp {
///     fc1: Linear,
///     fc2: Linear,
/// }
///
/// #[derive(Checkpoint)]
/// struct TrainState {
///     #[checkpoint(filter = "weight")]
///     model: Mlp,
///     iteration: u64,
///     #[checkpoint(metadata)]
///     hparams: HParams,
///     #[checkpoint(skip)]
///     device: Device,
/// }
///
/// // Every stored field has a typed handle, and handles can be chained.
/// let fc1 = TrainState::FIELDS.model.then(Mlp::FIELDS.fc1);
/// assert_eq!(fc1.name(), "model.fc1");
/// ```
///
/// Every field is part of the checkpoint, under its own name, unless an attribute says otherwise. A field's type
/// implements `Checkpoint` itself: tensors, modules, optimizers, numbers, `bool`, `String`, containers of those, and
/// whatever derives it. All mistakes of a struct are reported together.
///
/// # Attributes of a field
///
/// Written `#[checkpoint(…)]`, several in one or each on its own.
///
/// | attribute | meaning | not together with |
/// |---|---|---|
/// | `metadata` | any serde type: one value, replaced whole on load | `filter`, `shard`, `buffer`, `flatten` |
/// | `skip` | no part of the checkpoint, never touched | everything else |
/// | `filter = "text"` | only entries whose name, relative to the field, contains the text | `metadata` |
/// | `filter = glob("fc?.*")` | only entries whose name matches the pattern; `*` crosses dots | `metadata` |
/// | `filter("a", "b")`, `filter = glob("a", "b")` | only entries that fit one of them | `metadata` |
/// | `filter = path::to::function` | only entries that a `fn(&str, &TensorInfo) -> bool` keeps | `metadata` |
/// | `rename = "name"` | the name in the file; `r#type` is called `type` without it | `flatten` |
/// | `alias = "old"` | a further name that is accepted on load; may be repeated | `flatten` |
/// | `optional` | no error if the file lacks it: the value in place stays | |
/// | `flatten` | its entries join this level, as if its fields stood here | `rename`, `alias`, `metadata` |
/// | `shard(dim = 0)` | the tensors hold this rank's part, split along `dim` over the strategy's shard axis | `metadata`, `per_rank` |
/// | `shard(dim = 1, axis = "tp")` | split over the named axis of the mesh; a second `shard` names another axis | `metadata`, `per_rank` |
/// | `per_rank` | differs by rank: each rank stores its own and is given it back | `shard`, `buffer` |
/// | `buffer` | the tensors are kept and not learned: ranks may hold different ones, and rank 0's are saved | `metadata`, `per_rank` |
///
/// `filter`, `shard`, `buffer` and `flatten` need a type with entries of its own; on a number or a text they are errors.
///
/// # Attributes of the struct
///
/// | attribute | meaning |
/// |---|---|
/// | `rename_all = "camelCase"` | how field names are written in the file: also `snake_case`, `PascalCase`, `kebab-case`, `SCREAMING_SNAKE_CASE`, `SCREAMING-KEBAB-CASE`, `lowercase`, `UPPERCASE`; `rename` overrules it |
/// | `version = 2` | the version of the schema, recorded in the file; 1 without it |
/// | `crate = "facade::fabric_core"` | where fabric-core is, if not at `::fabric_core` |
/// | `bound = "T: Checkpoint"` | the conditions of the implementation, in place of the inferred ones |
///
/// # Names, filters, parts
///
/// ```
/// use fabric_core::candle_core::Tensor;
/// use fabric_core::candle_nn::Linear;
/// use fabric_core::{Checkpoint, TensorInfo};
///
/// fn matrices(_name: &str, tensor: &TensorInfo) -> bool {
///     tensor.shape().len() == 2
/// }
///
/// #[derive(Checkpoint)]
/// struct Counters {
///     step: u64,
///     epoch: u64,
/// }
///
/// #[derive(Checkpoint)]
/// #[checkpoint(rename_all = "camelCase", version = 2)]
/// struct Run {
///     #[checkpoint(alias = "net", filter = matrices)]
///     language_model: Linear, // `languageModel.weight`, also found as `net.weight`
///     #[checkpoint(filter = glob("*.weight", "*.scale"))]
///     blocks: Vec<Linear>, // `blocks.0.weight`
///     #[checkpoint(shard(dim = 0), shard(dim = 1, axis = "tp"))]
///     table: Tensor,
///     #[checkpoint(flatten)]
///     counters: Counters, // `step`, `epoch`
///     #[checkpoint(optional)]
///     best_loss: Option<f64>, // `bestLoss`, if the file has it
///     #[checkpoint(per_rank)]
///     position: u64,
/// }
///
/// assert_eq!(Run::FIELDS.language_model.name(), "languageModel");
/// assert_eq!(Run::FIELDS.counters.then(Counters::FIELDS.step).name(), "step");
/// ```
///
/// # Generics
///
/// A field whose type mentions a type parameter adds the condition that this type implements `Checkpoint` (with
/// `metadata`: serde's traits). A type that contains the struct itself adds none; schemas that contain each other in
/// turn state their conditions with `bound`.
///
/// ```
/// # use fabric_core::Checkpoint;
/// #[derive(Checkpoint)]
/// struct Ensemble<'a, M, const N: usize> {
///     members: [M; N],
///     shared: &'a mut M,
/// }
/// ```
#[proc_macro_derive(Checkpoint, attributes(checkpoint))]
pub fn derive_checkpoint(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    derive::derive(&input).into()
}
