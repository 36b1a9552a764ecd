//! Plans a save, with the other ranks if filters ask about tensors that no rank knows the whole shape of.
//!
//! Whether they do is a part of what ranks say at the first step, so all of them know whether another one follows.

use std::path::Path;

use bincode::config;
use serde::{Deserialize, Serialize};

use super::agree::Hello;
use super::{Prepared, prepare};
use crate::checksum;
use crate::error::{Error, Result};
use crate::options::SaveOptions;
use crate::plan::asked::{Asked, Wholes};
use crate::plan::save::Reading;
use crate::plan::shard;
use crate::ranks::{Lines, Ranks, digest};

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
    Asking(Reading<'s>, SaveOptions),
}

/// Plans a save of what `read` gives; returns what every rank says of its plan too.
pub(super) fn plan<'s>(
    ranks: &Ranks,
    path: &Path,
    version: u32,
    options: SaveOptions,
    read: impl FnOnce() -> Result<Reading<'s>>,
) -> Result<(Prepared, Vec<Vec<u8>>)> {
    let alone = || {
        let reading = read()?;
        let asked = Asked::of(&reading, &options.filters, ranks)?;
        let mut hello = Vec::new();
        let planned = if asked.is_empty() {
            let prepared = prepare(ranks, reading, options, version, &Wholes::default())?;
            hello = Hello::of(&prepared, ranks, path).encode()?;
            Planned::Ready(Box::new(prepared))
        } else {
            Planned::Asking(reading, options)
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
    let ((planned, asked), said) = ranks.step("save: plan", alone)?;
    let firsts = said.iter().map(|bytes| decode(bytes)).collect::<Result<Vec<_>>>()?;
    let questions: Vec<u64> = firsts.iter().map(|first| first.questions).collect();
    ranks.same("save: compare", &questions, || lines(&asked, ranks, path))?;
    let (reading, options) = match planned {
        Planned::Ready(prepared) => {
            let hellos = firsts.into_iter().map(|first| first.hello).collect();
            return Ok((*prepared, hellos));
        }
        Planned::Asking(reading, options) => (reading, options),
    };
    let globals = if firsts.iter().all(|first| first.sizes == firsts[0].sizes) {
        shard::uniform(&asked.locals, &ranks.mesh)?
    } else {
        let ((), sizes) = ranks.step("save: shapes", || Ok(((), shard::sizes(&asked.locals))))?;
        shard::uneven(&asked.locals, &ranks.mesh, &sizes)?
    };
    let wholes = asked.wholes(globals);
    ranks.step("save: filter", || {
        let prepared = prepare(ranks, reading, options, version, &wholes)?;
        let said = Hello::of(&prepared, ranks, path).encode()?;
        Ok((prepared, said))
    })
}

fn lines(asked: &Asked, ranks: &Ranks, path: &Path) -> Lines {
    let mut lines = vec![("the path".to_owned(), path.display().to_string())];
    lines.extend(asked.lines(ranks));
    lines
}

fn encode(first: &First) -> Result<Vec<u8>> {
    bincode::serde::encode_to_vec(first, config::standard()).map_err(|error| Error::Options(error.to_string()))
}

fn decode(bytes: &[u8]) -> Result<First> {
    // As long as what a rank says of its plan, which has its own values.
    const LIMIT: usize = 1 << 31;
    bincode::serde::decode_from_slice(bytes, config::standard().with_limit::<LIMIT>())
        .map(|(first, _)| first)
        .map_err(|error| Error::Options(format!("a rank's message cannot be read: {error}")))
}
