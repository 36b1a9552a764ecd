//! The vocabulary of all rooms above: element types, shapes, regions, entry names and rows.

mod dtype;
mod element;
mod elements;
mod name;
mod region;
mod row;
mod selection;
mod shown;

pub use dtype::DType;
pub use element::Element;
pub(crate) use element::serialize_float;
pub(crate) use elements::decode;
pub(crate) use name::{MAX_LEN, check_name, first_twice, join, of_rank, root, strip, without_rank};
pub(crate) use region::Region;
pub(crate) use region::covers;
pub(crate) use row::Row;
pub(crate) use selection::Selection;
pub(crate) use shown::{entries, shown, shown_path};

use smallvec::SmallVec;

/// The name of the entry, beside those of the contents, that records the variant of an enum of components.
pub(crate) const VARIANT: &str = "variant";

/// The number of dimensions of a shape that messages show.
const MOST_SHOWN: usize = 16;

/// One number for each dimension, without an allocation for a few dimensions.
pub(crate) type Dims = SmallVec<[usize; 4]>;

/// The element type and the shape of a tensor.
///
/// Filters get the name and the `TensorInfo` of an entry:
///
/// ```
/// # use fabric_core::{DType, TensorInfo};
/// let weight = TensorInfo::new(DType::F32, vec![128, 64]);
/// assert_eq!(weight.shape().len(), 2);
/// assert_eq!(weight.byte_len(), Some(4 * 128 * 64));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TensorInfo {
    dtype: DType,
    shape: Dims,
}

impl TensorInfo {
    /// A tensor of `dtype` whose dimensions are `shape`, outermost first; `[]` is a scalar.
    #[must_use]
    pub fn new(dtype: DType, shape: Vec<usize>) -> Self {
        let shape = Dims::from_vec(shape);
        Self { dtype, shape }
    }

    /// A tensor of `dtype` with a copy of these dimensions.
    pub(crate) fn of(dtype: DType, shape: &[usize]) -> Self {
        let shape = Dims::from_slice(shape);
        Self { dtype, shape }
    }

    /// The element type; comparable with candle's.
    #[must_use]
    pub fn dtype(&self) -> DType {
        self.dtype
    }

    /// The dimensions, outermost first; empty for a scalar.
    #[must_use]
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The number of elements, or `None` if no tensor can have this shape: see [`byte_len`](Self::byte_len).
    #[must_use]
    pub fn elements(&self) -> Option<usize> {
        let reach = self.reach()?;
        Some(if self.shape.contains(&0) { 0 } else { reach })
    }

    /// The size in bytes, elements packed without gaps, or `None` if no tensor can have this shape.
    ///
    /// A shape is possible if its dimensions, those of length 0 left out, span no more bytes than an allocation can
    /// have (`isize::MAX`). Candle multiplies dimensions in either order, so a 0 among them makes no product smaller.
    #[must_use]
    pub fn byte_len(&self) -> Option<usize> {
        let elements = self.elements()?;
        Some((elements * self.dtype.bits()).div_ceil(8))
    }

    /// The product of the dimensions that are not 0, if a tensor can have them.
    fn reach(&self) -> Option<usize> {
        let mut lengths = self.shape.iter().filter(|&&len| len > 0);
        let reach = lengths.try_fold(1usize, |reach, &len| reach.checked_mul(len))?;
        let bits = reach.checked_mul(self.dtype.bits())?;
        isize::try_from(bits.div_ceil(8)).is_ok().then_some(reach)
    }
}

impl From<&candle_core::Tensor> for TensorInfo {
    fn from(tensor: &candle_core::Tensor) -> Self {
        Self::of(tensor.dtype().into(), tensor.dims())
    }
}

impl std::fmt::Display for TensorInfo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Some((first, rest)) = self
            .shape
            .split_at_checked(MOST_SHOWN)
            .filter(|(_, rest)| !rest.is_empty())
        else {
            return write!(f, "{} {:?}", self.dtype, self.shape);
        };
        let first: Vec<String> = first.iter().map(usize::to_string).collect();
        write!(f, "{} [{}, and {} more]", self.dtype, first.join(", "), rest.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shape_is_possible_or_not_in_any_order_of_its_dimensions() {
        let half = 1 << (usize::BITS / 2);
        for shape in [[0, half, half], [half, 0, half], [half, half, 0], [1, half, half]] {
            let info = TensorInfo::new(DType::U8, shape.to_vec());
            assert_eq!((info.elements(), info.byte_len()), (None, None), "{shape:?}");
        }
        for shape in [[0, half, 5], [half, 0, 5], [half, 5, 0]] {
            assert_eq!(
                TensorInfo::new(DType::F64, shape.to_vec()).byte_len(),
                Some(0),
                "{shape:?}"
            );
        }
        let most = isize::MAX.unsigned_abs() / 4;
        assert!(TensorInfo::new(DType::F32, vec![most / 8]).byte_len().is_some());
        assert_eq!(TensorInfo::new(DType::F32, vec![most + 1]).byte_len(), None);
    }

    #[test]
    fn long_shapes_are_shown_by_their_first_dimensions() {
        assert_eq!(TensorInfo::new(DType::F32, vec![2, 3]).to_string(), "F32 [2, 3]");
        let long = TensorInfo::new(DType::F32, vec![1; 1000]).to_string();
        assert!(long.ends_with("1, and 984 more]") && long.len() < 100, "{long}");
    }
}
