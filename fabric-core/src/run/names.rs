//! The names of a run's checkpoints, which every shell sorts by their steps.

/// The digits of a step. Steps that need more get a letter that every shell sorts behind the digits, and all digits of a `u64`.
const DIGITS: usize = 9;

const MOST_DIGITS: usize = 20;

const PREFIX: &str = "step-";

const ENDING: &str = ".ckpt";

/// The ending of a damaged checkpoint that a later save of its step has set aside.
pub(super) const DAMAGED: &str = ".damaged";

/// `step-000000500.ckpt`.
pub(super) fn of(step: u64) -> String {
    let digits = format!("{step:0DIGITS$}");
    if digits.len() == DIGITS {
        format!("{PREFIX}{digits}{ENDING}")
    } else {
        format!("{PREFIX}x{step:0MOST_DIGITS$}{ENDING}")
    }
}

/// The step of a checkpoint of this name.
pub(super) fn step(name: &str) -> Option<u64> {
    let digits = name.strip_prefix(PREFIX)?.strip_suffix(ENDING)?;
    let step = digits.strip_prefix('x').unwrap_or(digits).parse().ok()?;
    (of(step) == name).then_some(step)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_sort_by_step_and_are_read_back() {
        let steps = [0, 1, 9, 10, 999_999_999, 1_000_000_000, u64::from(u32::MAX), u64::MAX];
        let names: Vec<String> = steps.iter().map(|step| of(*step)).collect();
        assert!(names.is_sorted(), "{names:?}");
        for (name, expected) in names.iter().zip(steps) {
            assert_eq!(step(name), Some(expected));
        }
    }

    #[test]
    fn a_name_that_no_run_gives_has_no_step() {
        for name in [
            "step-1.ckpt",
            "step-0000000001.ckpt",
            "step-00000000a.ckpt",
            "step-+00000001.ckpt",
            "step-000000001",
            "step-000000001.ckpt.damaged",
            "last.ckpt",
        ] {
            assert_eq!(step(name), None, "{name}");
        }
    }
}
