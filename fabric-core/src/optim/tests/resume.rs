//! Optimizers through a checkpoint, without a file.

use candle_core::{DType, Var};
use candle_nn::Optimizer;

use super::{DTYPES, bits, train, twins, vars};
use crate::optim::{AdamW, ParamsAdamW, ParamsSgd, Sgd};
use crate::state::{Checkpoint, OptimizerState, Visitor, VisitorMut};

/// Moves the described state of one optimizer into another, as a load does.
fn transfer(from: &impl OptimizerState, to: &mut impl OptimizerState) {
    let (saved, place) = (from.describe(), to.describe());
    assert_eq!(saved.kind, place.kind);
    to.check(&saved.groups).unwrap();
    for (saved, place) in saved.parameters.iter().zip(&place.parameters) {
        assert_eq!(saved.tensors.len(), place.tensors.len());
        for ((name, source), (expected, target)) in saved.tensors.iter().zip(&place.tensors) {
            assert_eq!(name, expected);
            Var::from_tensor(target).unwrap().set(source).unwrap();
        }
    }
    let steps: Vec<_> = saved.parameters.iter().map(|parameter| parameter.step).collect();
    to.restore(Some(&saved.groups), &steps);
}

fn differ(a: &[Var], b: &[Var]) -> bool {
    a.iter().zip(b).any(|(a, b)| bits(a) != bits(b))
}

fn assert_resumes<O: Optimizer + OptimizerState>(
    dtype: DType,
    trained: impl Fn(Vec<Var>) -> O,
    fresh: impl Fn(Vec<Var>) -> O,
) {
    let straight = vars(dtype);
    let mut uninterrupted = trained(straight.clone());
    train(&mut uninterrupted, &straight, 1..=7).unwrap();
    let resumed = twins(&straight);
    let cold = twins(&straight);
    let mut warm = fresh(resumed.clone());
    transfer(&uninterrupted, &mut warm);
    train(&mut uninterrupted, &straight, 8..=12).unwrap();
    train(&mut warm, &resumed, 8..=12).unwrap();
    train(&mut trained(cold.clone()), &cold, 8..=12).unwrap();
    assert!(!differ(&straight, &resumed), "{dtype:?}: the resumed run differs");
    assert!(differ(&straight, &cold), "{dtype:?}: a cold optimizer gives the same");
}

#[test]
fn adamw_goes_on_as_if_it_had_never_stopped() {
    let params = ParamsAdamW {
        lr: 0.03,
        beta1: 0.8,
        ..ParamsAdamW::default()
    };
    for dtype in DTYPES {
        let trained = |vars| AdamW::new(vars, params.clone()).unwrap();
        assert_resumes(dtype, trained, |vars| AdamW::new(vars, ParamsAdamW::default()).unwrap());
    }
}

#[test]
fn sgd_with_momentum_goes_on_as_if_it_had_never_stopped() {
    let params = ParamsSgd {
        lr: 0.03,
        momentum: 0.8,
        nesterov: true,
        weight_decay: 0.1,
    };
    let other = ParamsSgd {
        momentum: 0.1,
        ..ParamsSgd::default()
    };
    for dtype in DTYPES {
        assert_resumes(
            dtype,
            |vars| Sgd::new(vars, params).unwrap(),
            |vars| Sgd::new(vars, other).unwrap(),
        );
    }
}

#[test]
fn adamw_describes_its_state_by_pytorchs_names() {
    let vars = vars(DType::F32);
    let mut adamw = AdamW::new_lr(vars.clone(), 0.1).unwrap();
    train(&mut adamw, &vars, 1..=3).unwrap();
    let described = adamw.describe();
    assert_eq!(described.kind, "AdamW");
    for (parameter, var) in described.parameters.iter().zip(&vars) {
        assert_eq!(parameter.var.id(), var.id());
        let names: Vec<_> = parameter.tensors.iter().map(|(name, _)| *name).collect();
        assert_eq!(names, ["exp_avg", "exp_avg_sq"]);
        assert_eq!(parameter.step, Some(3), "with a gradient in every step or without");
    }
    let options: Vec<_> = described.groups[0]
        .options
        .iter()
        .map(|(name, _)| name.as_str())
        .collect();
    assert_eq!(options, ["lr", "betas", "eps", "weight_decay", "amsgrad", "maximize"]);
    assert_eq!(described.groups[0].parameters(), (0..vars.len()).collect::<Vec<_>>());
}

#[test]
fn sgd_describes_a_buffer_only_where_there_is_momentum() {
    let plain = Sgd::new(vars(DType::F32), 0.1).unwrap().describe();
    assert_eq!(plain.kind, "Sgd");
    assert!(
        plain
            .parameters
            .iter()
            .all(|parameter| parameter.tensors.is_empty() && parameter.step.is_none())
    );
    let heavy = ParamsSgd {
        momentum: 0.9,
        ..ParamsSgd::default()
    };
    let described = Sgd::new(vars(DType::F32), heavy).unwrap().describe();
    for parameter in &described.parameters {
        let [(name, buffer)] = parameter.tensors.as_slice() else {
            panic!("{:?}", parameter.tensors)
        };
        assert_eq!(*name, "momentum_buffer");
        assert_eq!(buffer.shape(), parameter.var.shape());
        assert!(bits(buffer).iter().all(|&bits| bits == 0));
    }
    let options: Vec<_> = described.groups[0]
        .options
        .iter()
        .map(|(name, _)| name.as_str())
        .collect();
    assert_eq!(
        options,
        ["lr", "momentum", "dampening", "weight_decay", "nesterov", "maximize"]
    );
}

#[test]
fn names_given_at_construction_are_described() {
    let vars_with_names = || {
        vars(DType::F32)
            .into_iter()
            .zip(["a", "b.c"])
            .map(|(var, name)| (name.to_owned(), var))
    };
    let adamw = AdamW::from_named(vars_with_names(), ParamsAdamW::default())
        .unwrap()
        .describe();
    let sgd = Sgd::from_named(vars_with_names(), 0.1).unwrap().describe();
    for described in [adamw, sgd] {
        let names: Vec<_> = described
            .parameters
            .iter()
            .map(|parameter| parameter.name.as_deref())
            .collect();
        assert_eq!(names, [Some("a"), Some("b.c")]);
    }
}

#[test]
fn each_parameter_has_a_step_count_of_its_own_after_a_restore() {
    let [a, b] = [vars(DType::F32), vars(DType::F32)].map(|vars| vars[3].clone());
    let mut adamw = AdamW::new_lr(vec![a.clone(), b.clone()], 0.1).unwrap();
    adamw.restore(None, &[Some(1000), None]);
    train(&mut adamw, &[], 1..=1).unwrap();
    let steps: Vec<_> = adamw
        .describe()
        .parameters
        .iter()
        .map(|parameter| parameter.step)
        .collect();
    assert_eq!(steps, [Some(1001), Some(1)]);
    let mut grads = candle_core::backprop::GradStore::default();
    grads.insert(&a, super::gradient(&a, 5));
    grads.insert(&b, super::gradient(&b, 5));
    adamw.step(&grads).unwrap();
    assert_ne!(
        bits(&a),
        bits(&b),
        "the bias corrections of step 1002 and of step 2 differ"
    );
}

#[test]
fn a_step_count_from_a_hostile_file_does_not_overflow() {
    let vars = vars(DType::F32);
    let mut adamw = AdamW::new_lr(vars.clone(), 0.1).unwrap();
    adamw.restore(None, &vec![Some(u64::MAX); vars.len()]);
    train(&mut adamw, &vars, 1..=2).unwrap();
    assert_eq!(adamw.describe().parameters[0].step, Some(u64::MAX));
    assert!(
        vars[4]
            .flatten_all()
            .unwrap()
            .to_vec1::<f32>()
            .unwrap()
            .iter()
            .all(|element| element.is_finite())
    );
}

#[test]
fn both_take_part_in_a_walk() {
    let (mut adamw, mut sgd) = (AdamW::new_lr(vec![], 0.1).unwrap(), Sgd::empty(0.1).unwrap());
    let mut reading = Visitor::new();
    adamw.visit(&mut reading);
    sgd.visit(&mut reading);
    assert_eq!(reading.finish().optimizers.len(), 2);
    let mut writing = VisitorMut::new();
    adamw.visit_mut(&mut writing);
    sgd.visit_mut(&mut writing);
    assert_eq!(writing.finish().optimizers.len(), 2);
}
