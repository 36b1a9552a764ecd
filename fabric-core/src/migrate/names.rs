//! Arguments that a program may write in several ways.

use candle_core::Shape;

use super::Pattern;

/// A list of names, or one name whose last `*` stands for numbers. [`Migrations::stack`](super::Migrations::stack) takes either.
#[derive(Clone, Debug)]
pub struct EntryNames(pub(crate) Vec<Pattern>);

impl From<&str> for EntryNames {
    fn from(pattern: &str) -> Self {
        Self(vec![Pattern::new(pattern)])
    }
}

impl From<String> for EntryNames {
    fn from(pattern: String) -> Self {
        Self(vec![Pattern::new(pattern)])
    }
}

impl<S: Into<String>, const N: usize> From<[S; N]> for EntryNames {
    fn from(names: [S; N]) -> Self {
        Self(names.into_iter().map(Pattern::new).collect())
    }
}

impl<S: Into<String>> From<Vec<S>> for EntryNames {
    fn from(names: Vec<S>) -> Self {
        Self(names.into_iter().map(Pattern::new).collect())
    }
}

/// The shape for [`Migrations::reshape`](super::Migrations::reshape): a list of lengths, or a tuple of them as candle takes it.
#[derive(Clone, Debug)]
pub struct NewShape(pub(crate) Vec<usize>);

impl<const N: usize> From<[usize; N]> for NewShape {
    fn from(shape: [usize; N]) -> Self {
        Self(shape.to_vec())
    }
}

impl<const N: usize> From<&[usize; N]> for NewShape {
    fn from(shape: &[usize; N]) -> Self {
        Self(shape.to_vec())
    }
}

macro_rules! as_in_candle {
    ($($shape:ty),*) => {$(
        impl From<$shape> for NewShape {
            fn from(shape: $shape) -> Self {
                Self(Shape::from(shape).into_dims())
            }
        }
    )*};
}

as_in_candle! {
    &[usize], Vec<usize>, Shape, &Shape, (), usize, (usize,), (usize, usize), (usize, usize, usize), (usize, usize, usize, usize),
    (usize, usize, usize, usize, usize), (usize, usize, usize, usize, usize, usize)
}
