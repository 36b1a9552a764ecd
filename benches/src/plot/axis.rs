//! From quantities to places on the page, and the numbers written beside them.

use crate::figures::Axis;
use crate::table::size;

/// An axis with the range it shows.
pub(super) struct Scale {
    logarithmic: bool,
    bytes: bool,
    range: (f64, f64),
    /// Where the range begins and ends on the page.
    place: (f64, f64),
}

impl Scale {
    /// A scale that shows all values. A linear one begins at zero.
    pub(super) fn new(axis: &Axis, values: impl Iterator<Item = f64>, place: (f64, f64)) -> Self {
        let shown = values.filter(|value| value.is_finite() && (!axis.logarithmic || *value > 0.));
        let (low, high) = shown.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| {
            (low.min(value), high.max(value))
        });
        let (low, high) = if low > high { (1., 10.) } else { (low, high) };
        let range = match (axis.logarithmic, axis.bytes) {
            // Values on the horizontal axis are whole sizes: no margin.
            (true, true) => (low, high.max(low * 2.)),
            (true, false) => (
                10f64.powf(low.log10().floor()),
                10f64.powf((high * 1.05).log10().ceil()),
            ),
            (false, _) => (0., if high > 0. { high * 1.08 } else { 1. }),
        };
        Self {
            logarithmic: axis.logarithmic,
            bytes: axis.bytes,
            range,
            place,
        }
    }

    pub(super) fn at(&self, value: f64) -> f64 {
        let (low, high) = self.range;
        let part = if self.logarithmic {
            (value.max(low) / low).ln() / (high / low).ln()
        } else {
            (value - low) / (high - low)
        };
        self.place.0 + part * (self.place.1 - self.place.0)
    }

    /// The values with a number, and that number.
    pub(super) fn ticks(&self) -> Vec<(f64, String)> {
        let values = match (self.logarithmic, self.bytes) {
            (true, true) => self.factors(4.),
            (true, false) => self.factors(10.),
            (false, _) => self.steps(),
        };
        let label = |value: f64| if self.bytes { size(value) } else { plain(value) };
        values.into_iter().map(|value| (value, label(value))).collect()
    }

    fn factors(&self, factor: f64) -> Vec<f64> {
        let begin = self.range.0;
        let values = std::iter::successors(Some(begin), |value| Some(value * factor));
        let mut values: Vec<f64> = values.take_while(|value| *value <= self.range.1 * 1.001).collect();
        // Labels of sizes are wide: at most eight.
        let every = values.len().div_ceil(8);
        values = values.into_iter().step_by(every.max(1)).collect();
        values
    }

    fn steps(&self) -> Vec<f64> {
        let rough = self.range.1 / 6.;
        let power = 10f64.powf(rough.log10().floor());
        let step = [1., 2., 5., 10.]
            .map(|factor| factor * power)
            .into_iter()
            .find(|step| *step >= rough);
        let step = step.unwrap_or(power * 10.);
        let values = std::iter::successors(Some(0.), |value| Some(value + step));
        values.take_while(|value| *value <= self.range.1).collect()
    }
}

fn plain(value: f64) -> String {
    // Steps are multiples of a power of ten: rounding removes what addition left behind.
    let text = format!("{value:.6}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text.is_empty() {
        "0".to_owned()
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn axis(logarithmic: bool, bytes: bool) -> Axis {
        Axis {
            label: String::new(),
            logarithmic,
            bytes,
        }
    }

    fn labels(scale: &Scale) -> Vec<String> {
        scale.ticks().into_iter().map(|(_, label)| label).collect()
    }

    #[test]
    fn linear_axes_begin_at_zero_and_step_by_round_numbers() {
        let scale = Scale::new(&axis(false, false), [3., 17.].into_iter(), (0., 100.));
        assert_eq!(labels(&scale), ["0", "5", "10", "15"]);
        assert!((scale.at(0.) - 0.).abs() < 1e-9);
    }

    #[test]
    fn sizes_are_written_in_their_units() {
        let scale = Scale::new(&axis(true, true), [16_777_216., 4_294_967_296.].into_iter(), (0., 100.));
        assert_eq!(labels(&scale), ["16 MiB", "64 MiB", "256 MiB", "1 GiB", "4 GiB"]);
        assert!((scale.at(268_435_456.) - 50.).abs() < 1e-9);
    }

    #[test]
    fn logarithmic_axes_end_at_powers_of_ten() {
        let scale = Scale::new(&axis(true, false), [0.03, 8.].into_iter(), (100., 0.));
        assert_eq!(labels(&scale), ["0.01", "0.1", "1", "10"]);
        assert!((scale.at(0.01) - 100.).abs() < 1e-9);
    }
}
