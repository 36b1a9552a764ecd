//! The plan of a save of several ranks.
//!
//! A filter may ask for the whole shape of a tensor of which each rank holds a part. The first message of every rank
//! says which tensors its filters ask about. If there are any, the ranks exchange the shapes of their parts, and then
//! plan.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::agree::{Hello, PLAN, decode, encode, wholes};
use super::shape_queries::ShapeQueries;
use super::{Prepared, prepare};
use crate::dist::ranks::{Lines, Ranks, digest};
use crate::dist::shard;
use crate::error::Result;
use crate::io::checksum;
use crate::options::SaveOptions;
use crate::save::plan::{ResolvedState, WholeShapes};

/// The message of a rank at the first step of a save.
#[derive(Debug, Serialize, Deserialize)]
struct First {
    /// The digest of the shape queries; equal on all ranks.
    queries: u64,
    /// The digest of the sizes of the parts that the queries are about.
    sizes: u64,
    /// The encoded [`Hello`]; empty if there are shape queries.
    hello: Vec<u8>,
}

/// The plan of a rank before the other ranks have answered.
enum Planned<'s> {
    Ready(Box<Prepared>),
    WaitsForShapes(Box<(ResolvedState<'s>, SaveOptions)>),
}

/// Plans a save of the state that `resolve` gives. Returns the plan and the encoded [`Hello`] of every rank.
pub(super) fn plan<'s>(
    ranks: &Ranks,
    path: &Path,
    options: SaveOptions,
    resolve: impl FnOnce() -> Result<ResolvedState<'s>>,
) -> Result<(Prepared, Vec<Vec<u8>>)> {
    let plan_locally = || {
        let state = resolve()?;
        let queries = ShapeQueries::of(&state, &options.filters, &ranks.strategy, &ranks.mesh)?;
        let mut hello = Vec::new();
        let planned = if queries.is_empty() {
            let prepared = prepare(ranks, state, options, &WholeShapes::default())?;
            hello = Hello::of(&prepared, ranks, path)?.encode()?;
            Planned::Ready(Box::new(prepared))
        } else {
            Planned::WaitsForShapes(Box::new((state, options)))
        };
        let first = First {
            queries: digest(&lines(&queries, ranks, path)),
            sizes: checksum::of(&shard::sizes(&queries.locals)),
            hello,
        };
        let said = encode(&first)?;
        Ok(((planned, queries), said))
    };
    let ((planned, queries), said) = ranks.step(PLAN, plan_locally)?;
    let firsts = said
        .iter()
        .map(|bytes| decode::<First>(bytes))
        .collect::<Result<Vec<_>>>()?;
    let digests: Vec<u64> = firsts.iter().map(|first| first.queries).collect();
    ranks.require_same("save: compare", &digests, || lines(&queries, ranks, path))?;
    let (state, options) = match planned {
        Planned::Ready(prepared) => {
            let hellos = firsts.into_iter().map(|first| first.hello).collect();
            return Ok((*prepared, hellos));
        }
        Planned::WaitsForShapes(state) => *state,
    };
    let alike = firsts.iter().all(|first| first.sizes == firsts[0].sizes);
    let globals = wholes(ranks, "save: shapes", &queries.locals, alike)?;
    let wholes = queries.wholes(globals);
    ranks.step("save: filter", || {
        let prepared = prepare(ranks, state, options, &wholes)?;
        let said = Hello::of(&prepared, ranks, path)?.encode()?;
        Ok((prepared, said))
    })
}

/// The shape queries, which must be the same on all ranks.
fn lines(queries: &ShapeQueries, ranks: &Ranks, path: &Path) -> Lines {
    let queries = queries.locals.iter().map(|local| {
        let about = format!("a filter by shape over `{}`", local.name);
        (about, format!("asked about {}", local.describe(&ranks.mesh)))
    });
    let path = ("the path".to_owned(), path.display().to_string());
    std::iter::once(path).chain(queries).collect()
}
