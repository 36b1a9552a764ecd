//! Arrays of numbers, viewed index by index.

/// Numbers in row-major order.
#[derive(Clone, Debug)]
pub(super) struct Array {
    pub(super) shape: Vec<usize>,
    pub(super) data: Vec<f32>,
}

impl Array {
    /// An array in which every number is another.
    #[expect(clippy::cast_precision_loss, reason = "the numbers are small")]
    pub(super) fn new(shape: &[usize]) -> Self {
        let count: usize = shape.iter().product();
        Self {
            shape: shape.to_vec(),
            data: (0..count).map(|number| number as f32 + 0.5).collect(),
        }
    }

    /// An array of this shape, whose number at an index is that of `self` at the index that `old` gives.
    fn of(&self, shape: Vec<usize>, old: impl Fn(&mut Vec<usize>)) -> Self {
        let count: usize = shape.iter().product();
        let mut index = Vec::new();
        let data = (0..count).map(|number| {
            index.clear();
            index.resize(shape.len(), 0);
            let mut rest = number;
            for dim in (0..shape.len()).rev() {
                index[dim] = rest % shape[dim];
                rest /= shape[dim];
            }
            old(&mut index);
            let at = index
                .iter()
                .zip(&self.shape)
                .fold(0, |at, (index, len)| at * len + index);
            self.data[at]
        });
        Self {
            data: data.collect(),
            shape,
        }
    }

    pub(super) fn narrowed(&self, dim: usize, from: usize, len: usize) -> Self {
        let mut shape = self.shape.clone();
        shape[dim] = len;
        self.of(shape, |index| index[dim] += from)
    }

    pub(super) fn transposed(&self, a: usize, b: usize) -> Self {
        let mut shape = self.shape.clone();
        shape.swap(a, b);
        self.of(shape, |index| index.swap(a, b))
    }

    pub(super) fn selected(&self, dim: usize, at: usize) -> Self {
        let mut shape = self.shape.clone();
        shape.remove(dim);
        self.of(shape, |index| index.insert(dim, at))
    }

    pub(super) fn reshaped(&self, shape: &[usize]) -> Self {
        Self {
            shape: shape.to_vec(),
            data: self.data.clone(),
        }
    }

    pub(super) fn concatenated(arrays: &[&Self], dim: usize) -> Self {
        let mut shape = arrays[0].shape.clone();
        let outer: usize = shape[..dim].iter().product();
        shape[dim] = arrays.iter().map(|array| array.shape[dim]).sum();
        let mut data = Vec::new();
        for at in 0..outer {
            for array in arrays {
                let row = array.data.len() / outer;
                data.extend_from_slice(&array.data[at * row..(at + 1) * row]);
            }
        }
        Self { shape, data }
    }

    pub(super) fn stacked(arrays: &[&Self], dim: usize) -> Self {
        let with = |array: &&Self| {
            let mut shape = array.shape.clone();
            shape.insert(dim, 1);
            array.reshaped(&shape)
        };
        let with: Vec<Self> = arrays.iter().map(with).collect();
        Self::concatenated(&with.iter().collect::<Vec<_>>(), dim)
    }
}

/// A shape with `count` elements.
pub(super) fn factors(count: usize, a: usize, b: usize, c: usize) -> Vec<usize> {
    if count == 0 {
        return vec![vec![0], vec![a % 4, 0], vec![0, b % 4, 7]].swap_remove(c % 3);
    }
    let mut shape = vec![];
    let mut left = count;
    for number in [a, b, c].into_iter().take(a % 4) {
        let divisors: Vec<usize> = (1..=left.min(5000))
            .filter(|divisor| left.is_multiple_of(*divisor))
            .collect();
        let divisor = divisors[number % divisors.len()];
        shape.push(divisor);
        left /= divisor;
    }
    if left > 1 || a.is_multiple_of(2) {
        shape.insert(b % (shape.len() + 1), left);
    }
    shape
}
