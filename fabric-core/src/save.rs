//! Carries out a save: new files beside the old ones, made durable, then put in their place.
//!
//! At every instant the path names the old checkpoint or the new one, complete; the order of the steps below is what
//! `docs/design.md` argues.

pub(crate) mod background;
pub(crate) mod claim;
pub(crate) mod contents;
pub(crate) mod heading;
pub(crate) mod image;
mod one_file;
pub(crate) mod parts;
pub(crate) mod plan;
pub(crate) mod publish;
pub(crate) mod site;
pub(crate) mod writing;

use std::path::Path;
use std::sync::Arc;

use candle_core::Tensor;

use self::contents::{Live, Part};
use self::image::{Contents, Piece};
use self::writing::{Watched, Writing};
use crate::absolute::Absolute;
use crate::device;
use crate::dist::asked::Wholes;
use crate::dist::mesh::Split;
use crate::dist::ranks::Ranks;
use crate::dist::save::replicas::Prints;
use crate::dist::shard::{Global, Local};
use crate::dist::strategy::Layout;
use crate::error::{Error, Result, StateError};
use crate::hash::HashMap;
use crate::options::{Durability, Replicas, SaveOptions};
use crate::phases::{Phase, Phases, is_anybody_listening};
use crate::progress::Callback;
use crate::save::plan::{PlannedTensor, Reading, SavePlan, plan};
use crate::state::{Checkpoint, Content, Visitor, resolve};
use crate::storage::Storage;

/// How checkpoints call their writer. For people; nothing depends on it.
pub(crate) const WRITER: &str = concat!("fabric-core ", env!("CARGO_PKG_VERSION"));

/// What a save wrote.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub struct SaveReport {
    /// The entries in the checkpoint, tensors and values, each name counted.
    pub entries: usize,
    /// The length in bytes of all files that were written, by all ranks together.
    pub bytes: u64,
    /// The entries that filters left out, sorted. The checkpoint records them.
    pub filtered: Vec<String>,
    /// The tensors and values that were not the same on all ranks, sorted: buffers, and with
    /// [`Replicas::RankZero`](crate::Replicas::RankZero) also others. The checkpoint has those of rank 0, or of the first rank that
    /// holds the part.
    pub differing: Vec<String>,
    /// Whether nothing was written, because an earlier save was on its way and the call asked for
    /// [`WhenBusy::Skip`](crate::WhenBusy::Skip).
    pub skipped: bool,
}

impl SaveReport {
    /// The report as a message to other ranks.
    pub(crate) fn encode(&self) -> Result<Vec<u8>> {
        bincode::serde::encode_to_vec(self, bincode::config::standard())
            .map_err(|error| Error::Internal(error.to_string()))
    }

    /// The report of another rank.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self> {
        const LIMIT: usize = 1 << 30;
        bincode::serde::decode_from_slice(bytes, bincode::config::standard().with_limit::<LIMIT>())
            .map(|(report, _)| report)
            .map_err(|error| Error::Protocol(format!("its report: {error}")))
    }
}

/// What of a state is saved: it was found fit to be, and is not needed any more but for the memory of its tensors.
pub(crate) struct Prepared {
    /// The live tensors of the plan, in its order; none any more once it is decided who writes what.
    pub(crate) tensors: Vec<Tensor>,
    pub(crate) plan: SavePlan,
    /// The tensors of the plan, and how they are cut.
    pub(crate) locals: Vec<Local>,
    /// Which of them are buffers.
    pub(crate) buffers: Vec<bool>,
    pub(crate) prints: Prints,
    pub(crate) replicas: Replicas,
    pub(crate) version: u32,
    pub(crate) durability: Durability,
}

/// A save that all ranks have agreed on. Of the state it needs nothing more than the bytes of this rank's pieces.
pub(crate) struct Decided {
    pub(crate) prepared: Prepared,
    pub(crate) agreed: Agreed,
    /// What this rank writes, sorted by name.
    pub(crate) pieces: Vec<Piece>,
    pub(crate) phases: Arc<Phases>,
    /// Who wants to know how far it is.
    progress: Option<Callback>,
}

/// Saves `state` there, together with the other ranks. If `before` fails, no rank saves.
pub(crate) fn save<S: Checkpoint + ?Sized>(
    ranks: &Ranks,
    storage: &dyn Storage,
    absolute: &Absolute,
    state: &S,
    options: SaveOptions,
    before: impl FnOnce() -> Result<()>,
) -> Result<SaveReport> {
    let phases = Phases::of_save(absolute.given(), ranks.rank(), false);
    phases
        .within(|| {
            let (mut decided, parts) = decide(&phases, ranks, absolute, state, options, before)?;
            let path = absolute.path()?;
            let contents = Live { parts };
            if decided.progress.is_none() {
                return decided.write(ranks, storage, path, &contents);
            }
            let writing = decided.watch();
            let watched = Watched {
                contents: &contents,
                writing: &writing,
            };
            let outcome = decided.write(ranks, storage, path, &watched);
            writing.meter().unwind();
            outcome
        })
        .map_err(|error| absolute.named(error))
        .inspect(|report| phases.saved(report.bytes))
        .inspect_err(|error| phases.failed(error))
}

/// Finds out what is to be saved, and by whom; gives the parts of the state that this rank's pieces hold, in their order.
/// If `before` fails, no rank saves.
pub(crate) fn decide<S: Checkpoint + ?Sized>(
    phases: &Arc<Phases>,
    ranks: &Ranks,
    absolute: &Absolute,
    state: &S,
    mut options: SaveOptions,
    before: impl FnOnce() -> Result<()>,
) -> Result<(Decided, Vec<Part>)> {
    let progress = options.progress.take();
    let mut planning = None;
    let read = || {
        absolute.path()?;
        before()?;
        // Not earlier: it may have waited for another save.
        planning = Some(phases.begin(Phase::Plan));
        let mut visitor = Visitor::new();
        state.visit(&mut visitor);
        Ok(resolve(visitor.finish())?)
    };
    let (mut prepared, said) = crate::dist::save::asking::plan(ranks, absolute.given(), S::VERSION, options, read)?;
    let agreed = crate::dist::save::agree::agree(ranks, &prepared, absolute.given(), &said)?;
    let mut tensors = std::mem::take(&mut prepared.tensors);
    for (at, right) in &agreed.replaced {
        tensors[*at] = right.clone();
    }
    let (pieces, parts) = match ranks.strategy.layout() {
        Layout::OneFile => one_file::own(ranks, &prepared, &tensors),
        Layout::Directory => crate::dist::save::directory::own(ranks, &prepared, &agreed, &tensors),
    };
    if is_anybody_listening()
        && let Some(planning) = &planning
    {
        planning.bytes(writing::bytes(&pieces));
    }
    let decided = Decided {
        prepared,
        agreed,
        pieces,
        phases: phases.clone(),
        progress,
    };
    Ok((decided, parts))
}

impl Decided {
    /// What this rank writes, sorted by name.
    pub(crate) fn pieces(&self) -> &[Piece] {
        &self.pieces
    }

    /// Counts what will be written, and says who else wants to know.
    pub(crate) fn watch(&mut self) -> Writing {
        Writing::new(&self.pieces, self.progress.take())
    }

    /// Writes what was decided, together with the other ranks.
    pub(crate) fn write(
        self,
        ranks: &Ranks,
        storage: &dyn Storage,
        path: &Path,
        contents: &dyn Contents,
    ) -> Result<SaveReport> {
        let write = match ranks.strategy.layout() {
            Layout::OneFile => one_file::save,
            Layout::Directory => crate::dist::save::directory::save,
        };
        write(ranks, storage, path, self, contents)
    }
}

/// What the ranks know of each other before anything is written.
pub(crate) struct Agreed {
    /// The whole of each local tensor.
    pub(crate) globals: Vec<Global>,
    /// How a file holds tensors that only the first of their replicas writes.
    pub(crate) of_first: HashMap<usize, Split>,
    /// Tensors without dimensions that differ, as the first replica has them.
    pub(crate) replaced: Vec<(usize, Tensor)>,
    /// The names of what differs between ranks, sorted.
    pub(crate) differing: Vec<String>,
    /// Values by rank: name, rank, CBOR bytes.
    pub(crate) per_rank: Vec<(String, u32, Vec<u8>)>,
}

/// Plans what is written of a state, whose tensors in parts are `wholes` as far as filters ask about them.
pub(crate) fn prepare(
    ranks: &Ranks,
    mut reading: Reading<'_>,
    options: SaveOptions,
    version: u32,
    wholes: &Wholes,
) -> Result<Prepared> {
    let (durability, replicas) = (options.durability, options.replicas);
    let mut plan = plan(&mut reading, options, wholes)?;
    if ranks.alone() {
        // What differs by rank is like everything else where there is one.
        let own = std::mem::take(&mut plan.per_rank);
        plan.values.extend(own);
        plan.values.sort();
    } else {
        check_per_rank(&reading)?;
    }
    let local = |tensor: &PlannedTensor| {
        let shards = &reading.items[tensor.item].scope.shards;
        Local::new(&tensor.name, tensor.info.clone(), shards, &ranks.strategy, &ranks.mesh)
    };
    let locals: Vec<Local> = plan.tensors.iter().map(local).collect::<Result<_, StateError>>()?;
    let live = |tensor: &PlannedTensor| match &reading.items[tensor.item].content {
        Content::Tensor(tensor, _) => Some(tensor.clone()),
        _ => None,
    };
    let tensors: Vec<Tensor> = plan.tensors.iter().filter_map(live).collect();
    device::settle(plan.tensors.iter().map(|tensor| &*tensor.name).zip(&tensors))?;
    let buffer = |tensor: &PlannedTensor| reading.items[tensor.item].scope.buffer;
    let buffers: Vec<bool> = plan.tensors.iter().map(buffer).collect();
    let prints = if ranks.alone() {
        Prints::default()
    } else {
        check_ties(&plan, &locals, &reading, ranks)?;
        Prints::of(&tensors, &locals, &buffers, &ranks.mesh, replicas == Replicas::Whole)?
    };
    Ok(Prepared {
        tensors,
        plan,
        locals,
        buffers,
        prints,
        replicas,
        version,
        durability,
    })
}

/// Only values are kept for each rank: a tensor of its own for each has no place in the names of a checkpoint.
fn check_per_rank(reading: &Reading<'_>) -> Result<()> {
    let tensor = |content: &Content<_>| !matches!(content, Content::Value(_));
    match reading.items.iter().find(|item| item.scope.per_rank && tensor(&item.content)) {
        None => Ok(()),
        Some(item) => Err(Error::State(StateError::Tensor {
            name: item.scope.name.clone(),
            what: "lies below a field marked `per_rank`, which is for values; split the tensor with `shard`, or keep it as a \
                   value, in a Vec"
                .to_owned(),
        })),
    }
}

/// Names of one tensor in memory must be cut alike: the checkpoint holds it once, and every name loads what it says.
fn check_ties(plan: &SavePlan, locals: &[Local], reading: &Reading<'_>, ranks: &Ranks) -> Result<()> {
    let items = reading
        .items
        .iter()
        .map(|item| (item.scope.name.as_str(), &item.scope.shards));
    let shards: HashMap<&str, _> = if plan.ties.is_empty() {
        HashMap::default()
    } else {
        items.collect()
    };
    for (name, target) in &plan.ties {
        let (held, Some(shards)) = (&locals[*target], shards.get(name.as_str())) else {
            continue;
        };
        let tied = Local::cut(
            &name.as_str().into(),
            held.info.clone(),
            shards,
            &ranks.strategy,
            &ranks.mesh,
        )?;
        if tied.cuts != held.cuts {
            return Err(Error::State(StateError::Tensor {
                name: name.clone(),
                what: format!(
                    "is tied to `{}`, and their attributes `shard` cut them in two ways, {} and {}; give both fields the same \
                     attributes",
                    held.name,
                    tied.describe(&ranks.mesh),
                    held.describe(&ranks.mesh),
                ),
            }));
        }
    }
    Ok(())
}

impl Prepared {
    pub(crate) fn report(&self, bytes: u64, differing: Vec<String>) -> SaveReport {
        let plan = &self.plan;
        SaveReport {
            entries: plan.tensors.len() + plan.ties.len() + plan.values.len() + plan.per_rank.len(),
            bytes,
            filtered: plan.filtered.clone(),
            differing,
            skipped: false,
        }
    }
}
