//! The L2 norm of numbers of any size.

/// The numbers whose squares, and sums of them, are ordinary floats.
const ORDINARY: std::ops::Range<f64> = 1e-130..1e130;

/// A sum of squares, of which neither overflows nor becomes 0: those of `numbers / scale`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Norm {
    scale: f64,
    squares: f64,
}

impl Default for Norm {
    fn default() -> Self {
        Self { scale: 1., squares: 0. }
    }
}

impl Norm {
    /// Adds finite numbers.
    pub(super) fn add(&mut self, numbers: &[f64]) {
        let largest = numbers.iter().fold(0f64, |largest, number| largest.max(number.abs()));
        if ORDINARY.contains(&largest) {
            let squares = numbers.iter().map(|number| number * number).sum();
            self.merge(Self { scale: 1., squares });
        } else if largest > 0. {
            let squares = numbers.iter().map(|number| (number / largest).powi(2)).sum();
            self.merge(Self {
                scale: largest,
                squares,
            });
        }
    }

    pub(super) fn merge(&mut self, other: Self) {
        if other.squares == 0. {
            return;
        }
        if self.squares == 0. {
            *self = other;
            return;
        }
        let (large, small) = if self.scale >= other.scale {
            (*self, other)
        } else {
            (other, *self)
        };
        *self = Self {
            scale: large.scale,
            squares: large.squares + small.squares * (small.scale / large.scale).powi(2),
        };
    }

    /// This norm divided by another one; infinite if the other one is 0.
    pub(super) fn over(self, other: Self) -> f64 {
        if other.squares == 0. {
            return if self.squares == 0. { 0. } else { f64::INFINITY };
        }
        (self.squares / other.squares).sqrt() * (self.scale / other.scale)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(numbers: &[f64]) -> Norm {
        let mut norm = Norm::default();
        norm.add(numbers);
        norm
    }

    #[test]
    fn numbers_of_every_size_have_a_norm() {
        let near = |a: f64, b: f64| (a / b - 1.).abs() < 1e-12;
        for unit in [1., 1e-200, 1e200, 1e-310] {
            assert!(
                near(of(&[6. * unit, 8. * unit]).over(of(&[3. * unit, 4. * unit])), 2.),
                "{unit}"
            );
        }
        assert!(of(&[1e300]).over(of(&[1e-300])).is_infinite(), "it is no float");
        assert!(near(of(&[1.]).over(of(&[1e-200])), 1e200));
        assert!(of(&[]).over(of(&[0.])).abs() < f64::MIN_POSITIVE);
        assert!(of(&[1e-320]).over(of(&[])).is_infinite());
    }

    #[test]
    fn norms_of_pieces_are_that_of_the_whole() {
        let mut pieces = of(&[3e200]);
        pieces.merge(of(&[1., 2.]));
        pieces.merge(of(&[4e200]));
        pieces.merge(Norm::default());
        assert!((pieces.over(of(&[5e200])) - 1.).abs() < 1e-12);
    }
}
