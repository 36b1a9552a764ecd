use candle_core::{DType, Device, Var};
use candle_nn::Optimizer;

use super::{DTYPES, assert_same, gradients, twins, var, vars};
use crate::optim::adamw::update::AdamWUpdate;
use crate::optim::fused::Update;
use crate::optim::{AdamW, ParamsAdamW};
use crate::state::OptimizerState;

fn decayed() -> ParamsAdamW {
    ParamsAdamW {
        lr: 0.02,
        beta1: 0.85,
        beta2: 0.97,
        eps: 1e-6,
        weight_decay: 0.1,
    }
}

#[test]
fn fifty_steps_are_bit_for_bit_those_of_candle_in_every_type_and_shape() {
    for dtype in DTYPES {
        for params in [ParamsAdamW::default(), decayed()] {
            let ours = vars(dtype);
            let theirs = twins(&ours);
            let mut our_adamw = AdamW::new(ours.clone(), params.clone()).unwrap();
            let mut their_adamw = candle_nn::AdamW::new(theirs.clone(), params).unwrap();
            for step in 1..=50 {
                our_adamw.step(&gradients(&ours, step)).unwrap();
                their_adamw.step(&gradients(&theirs, step)).unwrap();
                assert_same(&ours, &theirs, &format!("after step {step}"));
            }
        }
    }
}

#[test]
fn candles_operations_on_other_devices_give_the_same_bits() {
    for dtype in DTYPES {
        let ours = vars(dtype);
        let theirs = twins(&ours);
        let zeros = |var: &Var| Var::zeros(var.shape(), dtype, &Device::Cpu).unwrap();
        let states: Vec<_> = ours.iter().map(|var| [zeros(var), zeros(var)]).collect();
        let mut their_adamw = candle_nn::AdamW::new(theirs.clone(), decayed()).unwrap();
        for step in 1..=10 {
            let (update, grads) = (AdamWUpdate::new(&decayed(), step), gradients(&ours, step));
            for (var, state) in ours.iter().zip(&states) {
                if let Some(grad) = grads.get(var) {
                    update.by_tensors(var, state, grad).unwrap();
                }
            }
            their_adamw.step(&gradients(&theirs, step)).unwrap();
            assert_same(&ours, &theirs, &format!("after step {step}"));
        }
    }
}

#[test]
fn a_learning_rate_that_changes_between_steps_changes_both_alike() {
    let ours = vars(DType::F32);
    let theirs = twins(&ours);
    let mut our_adamw = AdamW::new_lr(ours.clone(), 0.01).unwrap();
    let mut their_adamw = candle_nn::AdamW::new_lr(theirs.clone(), 0.01).unwrap();
    for (step, lr) in [(1, 0.1), (2, 0.0), (3, 1e-5), (4, 3.0)] {
        our_adamw.set_learning_rate(lr);
        their_adamw.set_learning_rate(lr);
        assert!((our_adamw.learning_rate() - lr).abs() < f64::EPSILON);
        our_adamw.step(&gradients(&ours, step)).unwrap();
        their_adamw.step(&gradients(&theirs, step)).unwrap();
        assert_same(&ours, &theirs, &format!("after step {step}"));
    }
}

#[test]
fn hyper_parameters_that_are_replaced_take_effect_in_the_next_step() {
    let ours = vars(DType::F64);
    let theirs = twins(&ours);
    let mut our_adamw = AdamW::new_lr(ours.clone(), 0.01).unwrap();
    let mut their_adamw = candle_nn::AdamW::new_lr(theirs.clone(), 0.01).unwrap();
    for step in 1..=4 {
        if step == 3 {
            our_adamw.set_params(decayed());
            their_adamw.set_params(decayed());
            assert!((our_adamw.params().beta1 - 0.85).abs() < f64::EPSILON);
        }
        our_adamw.step(&gradients(&ours, step)).unwrap();
        their_adamw.step(&gradients(&theirs, step)).unwrap();
    }
    assert_same(&ours, &theirs, "after the change");
}

#[test]
fn a_parameter_large_enough_for_threads_is_bit_for_bit_candles_too() {
    let ours = vec![var(3, &((1 << 20) + 13).into(), DType::F32)];
    let theirs = twins(&ours);
    let mut our_adamw = AdamW::new(ours.clone(), decayed()).unwrap();
    let mut their_adamw = candle_nn::AdamW::new(theirs.clone(), decayed()).unwrap();
    for step in 1..=3 {
        our_adamw.step(&gradients(&ours, step)).unwrap();
        their_adamw.step(&gradients(&theirs, step)).unwrap();
    }
    assert_same(&ours, &theirs, "after three steps");
}

#[test]
fn backward_step_trains() {
    let weight = Var::new(&[3f32, -2.0], &Device::Cpu).unwrap();
    let mut adamw = AdamW::new_lr(vec![weight.clone()], 0.1).unwrap();
    for _ in 0..200 {
        let loss = weight.sqr().and_then(|squares| squares.sum_all()).unwrap();
        adamw.backward_step(&loss).unwrap();
    }
    let loss: f32 = weight.to_vec1::<f32>().unwrap().iter().map(|w| w * w).sum();
    assert!(loss < 1e-3, "the loss is {loss}");
}

#[test]
fn integers_are_left_out() {
    let counts = Var::zeros(3, DType::U32, &Device::Cpu).unwrap();
    let adamw = AdamW::new_lr(vec![counts, var(1, &2.into(), DType::F32)], 0.1).unwrap();
    assert_eq!(adamw.describe().parameters.len(), 1);
}
