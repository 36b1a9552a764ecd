//! Groups runs: those of one block, and those that one call reads.

use super::runs::CopyRun;
use crate::io::checksum::BLOCK;

/// Groups runs so that reading each group with one call reads at most a quarter more than the runs, or gaps of at most `gap`
/// bytes.
pub(super) fn coalesced(runs: &[CopyRun], gap: usize) -> Vec<&[CopyRun]> {
    let mut groups = Vec::new();
    let mut from = 0;
    while from < runs.len() {
        let (mut to, mut wanted) = (from + 1, runs[from].len);
        while let Some(next) = runs.get(to) {
            let span = next.from + next.len - runs[from].from;
            let before = runs[to - 1];
            let is_near = next.from - (before.from + before.len) <= gap;
            if !is_near && span > (wanted + next.len) + (wanted + next.len) / 4 {
                break;
            }
            wanted += next.len;
            to += 1;
        }
        groups.push(&runs[from..to]);
        from = to;
    }
    groups
}

/// Splits runs at the borders of blocks, and groups the pieces by block.
pub(super) struct InBlocks<R> {
    runs: R,
    rest: Option<CopyRun>,
}

impl<R: Iterator<Item = CopyRun>> InBlocks<R> {
    pub(super) fn new(runs: R) -> Self {
        Self { runs, rest: None }
    }

    pub(super) fn next(&mut self) -> Option<(usize, Vec<CopyRun>)> {
        let mut runs = Vec::new();
        let mut number = 0;
        while let Some(run) = self.rest.take().or_else(|| self.runs.next()) {
            if runs.is_empty() {
                number = run.from / BLOCK;
            } else if run.from / BLOCK != number {
                self.rest = Some(run);
                break;
            }
            let here = run.len.min((number + 1) * BLOCK - run.from);
            runs.push(CopyRun { len: here, ..run });
            if here < run.len {
                self.rest = Some(CopyRun {
                    from: run.from + here,
                    to: run.to + here,
                    len: run.len - here,
                });
                break;
            }
        }
        (!runs.is_empty()).then_some((number, runs))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(from: usize, len: usize) -> CopyRun {
        CopyRun { from, to: from, len }
    }

    #[test]
    fn runs_are_split_where_blocks_end() {
        let runs = [run(10, 5), run(BLOCK - 3, 6), run(BLOCK + 9, 2 * BLOCK)];
        let mut blocks = InBlocks::new(runs.into_iter());
        let mut found = Vec::new();
        while let Some(block) = blocks.next() {
            found.push(block);
        }
        let expected = [
            (0, vec![run(10, 5), run(BLOCK - 3, 3)]),
            (1, vec![run(BLOCK, 3), run(BLOCK + 9, BLOCK - 9)]),
            (2, vec![run(2 * BLOCK, BLOCK)]),
            (3, vec![run(3 * BLOCK, 9)]),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn one_call_reads_a_quarter_more_or_short_gaps() {
        let runs = [run(0, 80), run(100, 20), run(200, 4), run(300, 4)];
        let lens = |gap: usize| coalesced(&runs, gap).iter().map(|runs| runs.len()).collect::<Vec<_>>();
        assert_eq!(lens(0), [2, 1, 1]);
        assert_eq!(lens(80), [3, 1]);
        assert_eq!(lens(96), [4]);
    }
}
