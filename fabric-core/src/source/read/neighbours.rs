//! Groups tensors that lie together in a file, so that one call reads each group.

use std::ops::Range;

use crate::source::Extent;

/// The largest gap between neighbours, in bytes: the framing of an archive member, or of an archive around each tensor.
const GAP: u64 = 2048;

/// Divides `all`, sorted by their places, into groups of neighbours that span at most `most` bytes. An item without
/// neighbours, or without a place, is a group by itself.
pub(crate) fn neighbours<T>(all: &[T], most: u64, place: impl Fn(&T) -> Option<Extent>) -> Vec<Range<usize>> {
    let mut runs: Vec<Range<usize>> = Vec::new();
    let mut last: Option<(Extent, u64)> = None;
    for (at, place) in all.iter().map(place).enumerate() {
        let end = place.map_or(0, |place| place.start.saturating_add(place.len));
        let joins = |(first, before): (Extent, u64), place: Extent| {
            let near = place.start.checked_sub(before).is_some_and(|gap| gap <= GAP);
            near && first.file == place.file && end - first.start <= most
        };
        match (last.zip(place), runs.last_mut()) {
            (Some(((first, before), place)), Some(run)) if joins((first, before), place) => {
                run.end = at + 1;
                last = Some((first, end));
            }
            _ => {
                runs.push(at..at + 1);
                last = place.map(|place| (place, end));
            }
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runs(places: &[Option<(usize, u64, u64)>], most: u64) -> Vec<Range<usize>> {
        neighbours(places, most, |place| {
            place.map(|(file, start, len)| Extent { file, start, len })
        })
    }

    #[test]
    fn what_is_near_in_one_file_goes_together() {
        let near = [
            Some((0, 0, 10)),
            Some((0, 10, 5)),
            Some((0, 15 + GAP, 5)),
            Some((0, 21 + 2 * GAP, 5)),
        ];
        assert_eq!(runs(&near, 1 << 20), [0..3, 3..4], "a byte more than the gap");
        assert_eq!(runs(&near, 15), [0..2, 2..3, 3..4], "longer than the most");
        let files = [Some((0, 0, 10)), Some((1, 10, 5)), Some((1, 15, 5))];
        assert_eq!(runs(&files, 1 << 20), [0..1, 1..3]);
        let overlapping = [Some((0, 0, 10)), Some((0, 5, 10))];
        assert_eq!(runs(&overlapping, 1 << 20), [0..1, 1..2]);
    }

    #[test]
    fn what_has_no_place_is_by_itself_and_so_is_what_comes_after() {
        assert_eq!(
            runs(&[Some((0, 0, 1)), None, Some((0, 1, 1)), Some((0, 2, 1))], 9),
            [0..1, 1..2, 2..4]
        );
        assert_eq!(runs(&[], 9), Vec::<Range<usize>>::new());
    }
}
