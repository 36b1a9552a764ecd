//! Plans a save, with the other ranks if filters ask about tensors that no rank knows the whole shape of.
//!
//! Whether they do is a part of what ranks say at the first step, so all of them know whether another one follows.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::agree::{Hello, PLAN, decode, encode, wholes};
use super::{Prepared, prepare};
use crate::dist::asked::Asked;
use crate::dist::ranks::{Lines, Ranks, digest};
use crate::dist::shard;
use crate::error::Result;
use crate::format::manifest::StructRecord;
use crate::io::checksum;
use crate::options::SaveOptions;
use crate::save::plan::{Reading, Wholes};

/// What a rank says at the first step of a save.
#[derive(Debug, Serialize, Deserialize)]
struct First {
    /// Of what filters ask about; the same on all ranks.
    questions: u64,
    /// Of the sizes of the parts that they ask about.
    sizes: u64,
    /// Nothing, if filters ask.
    hello: Vec<u8>,
}

/// How far one rank comes by itself.
enum Planned<'s> {
    Ready(Box<Prepared>),
    Asking(Box<(Reading<'s>, SaveOptions)>),
}

/// Plans a save of what `read` gives; returns what every rank says of its plan too.
pub(crate) fn plan<'s>(
    ranks: &Ranks,
    path: &Path,
    state: &StructRecord,
    options: SaveOptions,
    read: impl FnOnce() -> Result<Reading<'s>>,
) -> Result<(Prepared, Vec<Vec<u8>>)> {
    let alone = || {
        let reading = read()?;
        let asked = if ranks.alone() {
            Asked::default()
        } else {
            Asked::of(&reading, &options.filters, &ranks.strategy, &ranks.mesh)?
        };
        let mut hello = Vec::new();
        let planned = if asked.is_empty() {
            let prepared = prepare(ranks, reading, options, state, &Wholes::default())?;
            hello = Hello::of(&prepared, ranks, path)?.encode()?;
            Planned::Ready(Box::new(prepared))
        } else {
            Planned::Asking(Box::new((reading, options)))
        };
        let first = First {
            questions: if ranks.alone() {
                0
            } else {
                digest(&lines(&asked, ranks, path))
            },
            sizes: checksum::of(&shard::sizes(&asked.locals)),
            hello,
        };
        let said = encode(&first)?;
        Ok(((planned, asked), said))
    };
    let ((planned, asked), said) = ranks.step(PLAN, alone)?;
    let firsts = said
        .iter()
        .map(|bytes| decode::<First>(bytes))
        .collect::<Result<Vec<_>>>()?;
    let questions: Vec<u64> = firsts.iter().map(|first| first.questions).collect();
    ranks.same("save: compare", &questions, || lines(&asked, ranks, path))?;
    let (reading, options) = match planned {
        Planned::Ready(prepared) => {
            let hellos = firsts.into_iter().map(|first| first.hello).collect();
            return Ok((*prepared, hellos));
        }
        Planned::Asking(both) => *both,
    };
    let alike = firsts.iter().all(|first| first.sizes == firsts[0].sizes);
    let wholes = asked.wholes(wholes(ranks, "save: shapes", &asked.locals, alike)?);
    ranks.step("save: filter", || {
        let prepared = prepare(ranks, reading, options, state, &wholes)?;
        let said = Hello::of(&prepared, ranks, path)?.encode()?;
        Ok((prepared, said))
    })
}

/// What all ranks must ask about alike.
fn lines(asked: &Asked, ranks: &Ranks, path: &Path) -> Lines {
    let questions = asked.locals.iter().map(|local| {
        let about = format!("a filter by shape over `{}`", local.name);
        (about, format!("asked about {}", local.describe(&ranks.mesh)))
    });
    let path = ("the path".to_owned(), path.display().to_string());
    std::iter::once(path).chain(questions).collect()
}
