//! What an optimizer keeps for one parameter is restored whole, begins anew, or stays: never a count of steps without
//! the moments that it counts.

use candle_core::{DType, Tensor, Var};
use fabric_core::optim::{AdamW, Optimizer, ParamsAdamW};
use fabric_core::{Checkpoint, Fabric, LoadOptions, OnMismatch, RawCheckpoint, SaveOptions};

use crate::states::{CPU, PATH, fabric};

#[derive(Checkpoint)]
struct State {
    tokens: Var,
    head: Var,
    optimizer: AdamW,
}

const PLAIN: ParamsAdamW = ParamsAdamW {
    lr: 1e-3,
    beta1: 0.9,
    beta2: 0.999,
    eps: 1e-8,
    weight_decay: 0.,
};

fn state(rows: usize) -> State {
    let tokens = Var::ones((rows, 2), DType::F32, &CPU).unwrap();
    let head = Var::ones((2, 2), DType::F32, &CPU).unwrap();
    State {
        optimizer: AdamW::new(vec![tokens.clone(), head.clone()], PLAIN).unwrap(),
        tokens,
        head,
    }
}

/// One step; says how far the first token went, in learning rates.
fn step(state: &mut State) -> f32 {
    let first = |state: &State| state.tokens.to_vec2::<f32>().unwrap()[0][0];
    let before = first(state);
    let sums = [&state.tokens, &state.head].map(|var| var.sqr().unwrap().sum_all().unwrap());
    state.optimizer.backward_step(&(&sums[0] + &sums[1]).unwrap()).unwrap();
    (first(state) - before).abs() / 1e-3
}

fn trained(rows: usize, steps: usize) -> State {
    let mut state = state(rows);
    for _ in 0..steps {
        step(&mut state);
    }
    state
}

fn opened<S: Checkpoint>(state: &S) -> RawCheckpoint {
    let fabric = fabric();
    fabric.save("probe.ckpt", state).unwrap();
    fabric.open("probe.ckpt").unwrap()
}

/// The count of steps, and the sum of the first moments.
fn kept<S: Checkpoint>(state: &S, parameter: &str) -> (u64, f32) {
    let raw = opened(state);
    let moments: Tensor = raw
        .tensor(&format!("optimizer.state.{parameter}.exp_avg"), &CPU)
        .unwrap();
    let sum = moments.sum_all().unwrap().to_scalar::<f32>().unwrap();
    let steps = raw.value(&format!("optimizer.state.{parameter}.step")).unwrap();
    (steps, sum)
}

fn skipping() -> LoadOptions {
    LoadOptions::new().on_mismatch(OnMismatch::Skip)
}

#[test]
fn the_state_of_a_resized_parameter_begins_anew() {
    let fabric = fabric();
    fabric.save(PATH, &trained(10, 50)).unwrap();
    let mut fresh = state(12);
    let expected = step(&mut fresh);
    // Into a new optimizer, and into one that has state of its own.
    for mut live in [state(12), trained(12, 7)] {
        let loaded = fabric.load_with(PATH, &mut live, skipping()).unwrap();
        let names = ["exp_avg", "exp_avg_sq", "step"].map(|entry| format!("optimizer.state.tokens.{entry}"));
        assert_eq!(loaded.report.begun_anew, names);
        assert!(!loaded.report.restored.iter().any(|name| names.contains(name)));
        assert!(names.iter().all(|name| loaded.remainder.contains(name)));
        assert_eq!(kept(&live, "tokens"), (0, 0.));
        assert_eq!(kept(&live, "head").0, 50);
        let text = loaded.report.to_string();
        assert!(text.contains("the optimizer's state begins anew"), "{text}");
        let went = step(&mut live);
        assert!((went - expected).abs() < 0.01, "{went} and {expected}");
    }
}

#[test]
fn a_moment_that_the_file_lacks_leaves_the_whole_state_of_its_parameter_as_it_is() {
    #[derive(Checkpoint)]
    struct Left {
        tokens: Var,
        head: Var,
        #[checkpoint(filter("tokens.exp_avg_sq", "head"))]
        optimizer: AdamW,
    }
    let fabric = fabric();
    let saved = trained(4, 20);
    let left = Left {
        tokens: saved.tokens,
        head: saved.head,
        optimizer: saved.optimizer,
    };
    fabric.save(PATH, &left).unwrap();
    let mut live = trained(4, 3);
    let before = kept(&live, "tokens");
    assert!(fabric.load(PATH, &mut live).is_err());
    let loaded = fabric
        .load_with(PATH, &mut live, LoadOptions::new().strict(false))
        .unwrap();
    assert_eq!(kept(&live, "tokens"), before);
    assert_eq!(kept(&live, "head").0, 20);
    assert_eq!(
        loaded.report.withheld,
        ["exp_avg_sq", "step"].map(|entry| format!("optimizer.state.tokens.{entry}"))
    );
    assert!(loaded.remainder.contains("optimizer.state.tokens.step"));
    let text = loaded.report.to_string();
    assert!(text.contains("left as it is, because the file lacks"), "{text}");

    // The file itself is whole for the schema that saved it, which never restores a part of the tokens' state.
    let other = trained(4, 3);
    let mut live = Left {
        tokens: other.tokens,
        head: other.head,
        optimizer: other.optimizer,
    };
    let loaded = fabric.load(PATH, &mut live).unwrap();
    assert!(loaded.report.is_complete() && loaded.report.withheld.is_empty());
    assert!(
        loaded
            .report
            .filtered
            .contains(&"optimizer.state.tokens.step".to_owned())
    );
    let whole = State {
        tokens: live.tokens,
        head: live.head,
        optimizer: live.optimizer,
    };
    assert_eq!(kept(&whole, "tokens"), before);
    assert_eq!(kept(&whole, "head").0, 20);
}

#[test]
fn a_moment_that_a_save_left_out_leaves_the_whole_state_of_its_parameter_as_it_is() {
    let fabric = fabric();
    let options = SaveOptions::new().filter(State::FIELDS.optimizer, |name, _| name != "state.head.exp_avg");
    fabric.save_with(PATH, &trained(4, 20), options).unwrap();
    let mut live = trained(4, 3);
    let before = kept(&live, "head");
    let loaded = fabric
        .load_with(PATH, &mut live, LoadOptions::new().strict(false))
        .unwrap();
    assert_eq!((kept(&live, "head"), kept(&live, "tokens").0), (before, 20));
    assert_eq!(loaded.report.filtered_at_save, ["optimizer.state.head.exp_avg"]);
}

#[test]
fn a_file_of_pytorch_is_restored_whole_or_begins_anew_as_well() {
    let directory = tempfile::tempdir().unwrap();
    let (own, torch) = (directory.path().join("own.ckpt"), directory.path().join("torch.pt"));
    let fabric = Fabric::new();
    fabric.save(&own, &trained(10, 50)).unwrap();
    fabric.export(&own, &torch, fabric_core::ExportOptions::new()).unwrap();
    let mut live = trained(12, 7);
    fabric.load_with(&torch, &mut live, skipping()).unwrap();
    assert_eq!(kept(&live, "tokens"), (0, 0.));
    assert_eq!(kept(&live, "head").0, 50);
}
