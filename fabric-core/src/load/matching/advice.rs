//! The causes of a refused load, each with the call that mends it. The advice is tried on the names and shapes first: a
//! person who follows it gets these entries.

mod calls;
mod lists;
mod moved;
mod near;
mod order;
mod single;
mod two_names;

use self::moved::{Move, Moves};
use self::single::Likely;
use super::Matching;
use crate::load::entries::StateEntry;
use crate::report::MismatchKind;
use crate::source::names::{WRAPPERS, without};

/// More names, or pairs of names, than this are not looked through.
const MOST: usize = 1 << 20;

impl Matching<'_, '_> {
    /// Puts the causes and the calls into the report.
    pub(crate) fn advise(&mut self) {
        let mut parts = self.lists_of_other_lengths();
        parts.extend(self.filled_with_nothing());
        let mut advice: Vec<String> = parts.iter().map(|part| self.sentence_of(part)).collect();
        self.plan.report.parts = parts;
        advice.extend(self.part_of_a_tensor());
        advice.extend(self.flattened_nothing());
        advice.extend(self.named_and_numbered());
        advice.extend(self.two_names());
        let is_open = !self.plan.report.missing.is_empty() || self.plan.consumed.is_empty();
        if is_open && self.index.len() <= MOST {
            self.plan.report.suggestions = self.suggestions();
            let mut moves = self.moves();
            self.plan.report.is_explained = moves.explains(&self.plan.report.missing);
            let likely = self.likely_beside(&moves);
            moves.moves.extend(likely.moves);
            advice.extend(calls::sentences(&moves, self.index, &self.known));
            advice.extend(likely.sentences);
        }
        self.plan.report.advice = advice;
    }

    /// A reader loads whole tensors, and the state holds a part of one.
    fn part_of_a_tensor(&self) -> Option<String> {
        let is_part = |entry: &&StateEntry<'_>| {
            let mut mismatched = self.plan.report.mismatched.iter();
            mismatched.any(|found| found.kind == MismatchKind::Shape && found.name == entry.name)
        };
        let mut sharded = self.entries.iter().filter(|entry| entry.is_sharded);
        let part = sharded.find(is_part).filter(|_| self.policy.by_reader)?;
        let (alone, together) = if self.policy.whole {
            ("RawCheckpoint::load_raw", "load_raw_from")
        } else {
            ("RawCheckpoint::load", "load_from")
        };
        Some(format!(
            "`{}` may be a part of a tensor (#[checkpoint(shard)]), and {alone} restores whole tensors on one process: all \
             ranks together call fabric.{together}(&entries, &mut state)",
            part.name
        ))
    }

    /// The other names that make most of what is missing match: as the names are, or without what a wrapper left in them.
    fn moves(&self) -> Moves {
        let unused: Vec<&str> = self.index.names().filter(|name| !self.known.contains(*name)).collect();
        let plain = unused.iter().map(|name| ((*name).to_owned(), *name)).collect();
        let mut best = Moves {
            wrapper: None,
            moves: self.find_moves(plain, false),
        };
        for wrapper in WRAPPERS {
            if !unused.iter().any(|name| name.contains(wrapper)) {
                continue;
            }
            let stripped = unused.iter().map(|name| (without(name, wrapper), *name)).collect();
            let moves = Moves {
                wrapper: Some(wrapper),
                moves: self.find_moves(stripped, true),
            };
            let is_simpler = moves.count() == best.count() && moves.moves.len() < best.moves.len();
            if moves.count() > best.count() || is_simpler {
                best = moves;
            }
        }
        best.moves.extend(self.near_moves(&best));
        best
    }

    /// Single entries that are likely to be others of the file. A load that is not strict stays the last resort for them.
    fn likely_beside(&self, moves: &Moves) -> Likely {
        let is_whole = |part: &Move| part.from.is_empty() || part.to.is_empty();
        if moves.wrapper.is_some() || moves.moves.iter().any(is_whole) {
            return Likely::default();
        }
        let taken = |name: &str| moves.moves.iter().any(|part| part.takes(name));
        self.likely(|name| moves.covers(name), taken)
    }

    /// Single entries whose name nearly is that of one in the file.
    fn near_moves(&self, moves: &Moves) -> Vec<Move> {
        let suggestions = self.plan.report.suggestions.iter();
        let is_taken = |name: &str| moves.moves.iter().any(|part| part.takes(name));
        let single = suggestions.filter(|(missing, near)| !moves.covers(missing) && !is_taken(near));
        let single = single.filter(|(missing, near)| {
            let entry = self.entries.iter().find(|entry| entry.name == missing);
            let stored = self.index.entry(near);
            entry
                .zip(stored)
                .is_some_and(|(entry, stored)| moved::is_alike(entry, stored))
        });
        let single = single.map(|(missing, near)| Move::single(near, missing));
        single.collect()
    }
}
