//! The syntax of `--slice`.

use std::ops::Range;

use crate::text::plural;

/// A box of a tensor.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Slice {
    /// A range for each dimension of the tensor.
    pub(super) ranges: Vec<Range<usize>>,
    /// The shape of the box, without the dimensions that an index selects.
    pub(super) shape: Vec<usize>,
}

impl Slice {
    /// All of a tensor.
    pub(super) fn whole(shape: &[usize]) -> Self {
        Self {
            ranges: shape.iter().map(|len| 0..*len).collect(),
            shape: shape.to_vec(),
        }
    }

    /// Reads `0,:8` and the like, with the meaning that Python gives it: an index drops its dimension, negative numbers count from the
    /// end, ends of ranges are cut to the length, and dimensions that are not named are whole.
    ///
    /// # Errors
    /// A sentence about the first part that is wrong.
    pub(super) fn parse(text: &str, shape: &[usize]) -> Result<Self, String> {
        let parts: Vec<&str> = text.split(',').map(str::trim).collect();
        if parts.len() > shape.len() {
            let (dims, parts) = (plural(shape.len(), "dimension"), plural(parts.len(), "part"));
            return Err(format!("the slice {text:?} has {parts}, and the tensor has {dims}"));
        }
        let mut slice = Self {
            ranges: Vec::with_capacity(shape.len()),
            shape: Vec::new(),
        };
        for (dim, len) in shape.iter().enumerate() {
            let (range, is_kept) = match parts.get(dim) {
                None => (0..*len, true),
                Some(part) => {
                    one(part, *len).map_err(|what| format!("dimension {dim} of the slice {text:?}: {what}"))?
                }
            };
            if is_kept {
                slice.shape.push(range.end - range.start);
            }
            slice.ranges.push(range);
        }
        Ok(slice)
    }
}

/// The range of one dimension, and whether the dimension is kept.
fn one(part: &str, len: usize) -> Result<(Range<usize>, bool), String> {
    let number = |text: &str| -> Result<i64, String> {
        let number = text.trim().parse();
        number.map_err(|_| format!("{text:?} is no index; write an index or a range: 3, -1, 2:8, :8, 2: or :"))
    };
    let from_start = |index: i64| {
        let distance = usize::try_from(index.unsigned_abs()).unwrap_or(usize::MAX);
        if index < 0 {
            len.checked_sub(distance)
        } else {
            Some(distance)
        }
    };
    let Some((start, end)) = part.split_once(':') else {
        let index = number(part)?;
        let at = from_start(index).filter(|at| *at < len);
        let at = at.ok_or_else(|| format!("the index {index} is outside of the length {len}"))?;
        return Ok((at..at + 1, false));
    };
    let bound = |text: &str, default: usize| match text.trim() {
        "" => Ok(default),
        text => number(text).map(|index| from_start(index).unwrap_or(0).min(len)),
    };
    let (start, end) = (bound(start, 0)?, bound(end, len)?);
    Ok((start..end.max(start), true))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> (Vec<Range<usize>>, Vec<usize>) {
        let slice = Slice::parse(text, &[3, 10]).unwrap();
        (slice.ranges, slice.shape)
    }

    #[test]
    fn slices_mean_what_they_mean_in_python() {
        assert_eq!(parsed("0,:8"), (vec![0..1, 0..8], vec![8]));
        assert_eq!(parsed("-1"), (vec![2..3, 0..10], vec![10]));
        assert_eq!(parsed("1:, -3:-1"), (vec![1..3, 7..9], vec![2, 2]));
        assert_eq!(parsed(":,5:99"), (vec![0..3, 5..10], vec![3, 5]));
        assert_eq!(parsed("2:1,-99:"), (vec![2..2, 0..10], vec![0, 10]));
        assert_eq!(parsed("0,0"), (vec![0..1, 0..1], vec![]));
    }

    #[test]
    fn other_texts_are_errors() {
        for (text, says) in [
            ("3", "outside of the length 3"),
            ("-4", "outside"),
            ("0,0,0", "3 parts"),
            ("", "no index"),
            ("a:", "no index"),
            ("0:9:2", "no index"),
            ("99999999999999999999", "no index"),
        ] {
            let error = Slice::parse(text, &[3, 10]).unwrap_err();
            assert!(error.contains(says), "{text}: {error}");
        }
        assert!(Slice::parse("0", &[]).is_err());
    }
}
