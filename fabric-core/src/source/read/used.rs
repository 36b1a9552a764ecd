//! Records the ranges of a run that were read.

/// The ranges of a run, in the order of the reads. Ranges of one length at equal distances are one record, so the
/// columns of a matrix take no more memory than its rows.
#[derive(Clone, Debug, Default)]
pub(super) struct Used(Vec<Steps>);

#[derive(Clone, Copy, Debug)]
struct Steps {
    start: u64,
    len: u64,
    /// The bytes from the start of one range to the start of the next; at least 1.
    step: u64,
    count: u64,
}

impl Steps {
    /// Adds a range, if it continues the record.
    fn takes(&mut self, start: u64, len: u64) -> bool {
        if len != self.len || start <= self.start {
            return false;
        }
        if self.count == 1 {
            self.step = start - self.start;
        } else if start - self.start != self.step * self.count {
            return false;
        }
        self.count += 1;
        true
    }
}

impl Used {
    pub(crate) fn add(&mut self, start: u64, len: u64) {
        if !self.0.last_mut().is_some_and(|last| last.takes(start, len)) {
            self.0.push(Steps {
                start,
                len,
                step: 1,
                count: 1,
            });
        }
    }

    /// Adds to `into`, in an exclusive or, those of `bytes`, which begin at offset `at` of the run, that were read an odd number of
    /// times, with zeros for all others: in an exclusive or, a byte that was read twice cancels out.
    pub(crate) fn mask(&self, at: u64, bytes: &[u8], into: &mut [u8]) {
        let end = at + bytes.len() as u64;
        for steps in &self.0 {
            let first = at.saturating_sub(steps.start + steps.len) / steps.step;
            for number in first..steps.count {
                let start = steps.start + number * steps.step;
                if start >= end {
                    break;
                }
                let place = |place: u64| usize::try_from(place.clamp(at, end) - at).unwrap_or(usize::MAX);
                let range = place(start)..place(start + steps.len);
                for (into, byte) in into[range.clone()].iter_mut().zip(&bytes[range]) {
                    *into ^= byte;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_read_is_left_and_everything_else_is_zero() {
        let mut used = Used::default();
        let ranges = [(0, 3), (10, 2), (20, 2), (30, 2), (45, 2), (50, 20), (90, 10)];
        for (start, len) in ranges {
            used.add(start, len);
        }
        assert_eq!(used.0.len(), 5, "equal steps are one record");
        let bytes: Vec<u8> = (1..=100).collect();
        for piece in [1, 7, 33, 100] {
            let mut found = Vec::new();
            for (number, bytes) in bytes.chunks(piece).enumerate() {
                let mut into = vec![0; bytes.len()];
                used.mask((number * piece) as u64, bytes, &mut into);
                found.extend(into);
            }
            let is_used = |at: u64| ranges.iter().any(|(start, len)| (*start..start + len).contains(&at));
            let expected = bytes
                .iter()
                .zip(0..)
                .map(|(byte, at)| if is_used(at) { *byte } else { 0 });
            assert!(found.into_iter().eq(expected), "pieces of {piece}");
        }
    }

    #[test]
    fn what_was_read_twice_counts_as_not_read() {
        let mut used = Used::default();
        used.add(0, 4);
        used.add(2, 4);
        let mut into = [0; 8];
        used.mask(0, &[1; 8], &mut into);
        assert_eq!(into, [1, 1, 0, 0, 1, 1, 0, 0]);
    }
}
