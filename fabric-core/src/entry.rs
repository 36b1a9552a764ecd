//! The words everything above speaks: element types, shapes, regions and entry names.

mod dtype;
mod name;
mod region;

pub use dtype::DType;
pub(crate) use name::{check_name, first_twice, join, of_rank, root, strip, without_rank};
pub use region::Region;
pub(crate) use region::{covers, is_all};

use smallvec::SmallVec;

/// One number for each dimension, without an allocation for the usual few.
pub(crate) type Dims = SmallVec<[usize; 4]>;

/// What is known of a tensor without reading it: its element type and its shape.
///
/// Filters receive one beside the entry's name:
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

    /// The same from dimensions that stay where they are.
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

    /// The number of elements, or `None` if it does not fit a `usize`.
    #[must_use]
    pub fn elements(&self) -> Option<usize> {
        self.shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d))
    }

    /// The size in bytes, elements packed without gaps, or `None` if it does not fit a `usize`.
    #[must_use]
    pub fn byte_len(&self) -> Option<usize> {
        let bits = self.elements()?.checked_mul(self.dtype.bits())?;
        Some(bits.div_ceil(8))
    }
}

impl From<&candle_core::Tensor> for TensorInfo {
    fn from(tensor: &candle_core::Tensor) -> Self {
        Self::of(tensor.dtype().into(), tensor.dims())
    }
}

impl std::fmt::Display for TensorInfo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {:?}", self.dtype, self.shape)
    }
}
