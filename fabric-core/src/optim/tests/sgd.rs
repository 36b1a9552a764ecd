use candle_core::{DType, Device, Var};
use candle_nn::Optimizer;

use super::{DTYPES, assert_same, bits, gradient, gradients, numbers, train, twins, var, vars};
use crate::optim::fused::Update;
use crate::optim::sgd::update::{MomentumUpdate, PlainUpdate};
use crate::optim::{ParamsSgd, Sgd};
use crate::state::OptimizerState;

#[test]
fn plain_sgd_is_bit_for_bit_candles_in_every_type_and_shape() {
    for dtype in DTYPES {
        let ours = vars(dtype);
        let theirs = twins(&ours);
        let mut our_sgd = Sgd::new(ours.clone(), 0.3).unwrap();
        let mut their_sgd = candle_nn::SGD::new(theirs.clone(), 0.3).unwrap();
        for step in 1..=50 {
            if step == 20 {
                our_sgd.set_learning_rate(0.01);
                their_sgd.set_learning_rate(0.01);
            }
            our_sgd.step(&gradients(&ours, step)).unwrap();
            their_sgd.step(&gradients(&theirs, step)).unwrap();
            assert_same(&ours, &theirs, &format!("after step {step}"));
        }
    }
}

/// PyTorch's formula on plain numbers.
fn reference(params: ParamsSgd, theta: &mut [f64], grads: impl Iterator<Item = Vec<f64>>) {
    let mut buffer = vec![0.0; theta.len()];
    for grad in grads {
        for ((theta, buffer), grad) in theta.iter_mut().zip(&mut buffer).zip(grad) {
            let d = grad + params.weight_decay * *theta;
            *buffer = params.momentum * *buffer + d;
            let direction = if params.nesterov {
                d + params.momentum * *buffer
            } else {
                *buffer
            };
            *theta -= params.lr * direction;
        }
    }
}

fn variants() -> Vec<ParamsSgd> {
    let flags = [(0.0, false), (0.9, false), (0.9, true), (1.5, false)];
    let with = |(momentum, nesterov)| {
        [0.0, 0.2].map(|weight_decay| ParamsSgd {
            lr: 0.05,
            momentum,
            nesterov,
            weight_decay,
        })
    };
    flags.into_iter().flat_map(with).collect()
}

#[test]
fn momentum_nesterov_and_weight_decay_follow_the_formula() {
    for params in variants() {
        let weight = var(1, &33.into(), DType::F64);
        let mut expected = numbers(1, 33);
        reference(params, &mut expected, (1..=12).map(|step| numbers(step, 33)));
        let mut sgd = Sgd::new(vec![weight.clone()], params).unwrap();
        for step in 1..=12 {
            let mut grads = candle_core::backprop::GradStore::default();
            grads.insert(&weight, gradient(&weight, step));
            sgd.step(&grads).unwrap();
        }
        for (found, expected) in weight.to_vec1::<f64>().unwrap().into_iter().zip(expected) {
            assert!(
                (found - expected).abs() <= 1e-12 * expected.abs().max(1.0),
                "{params:?}: {found} {expected}"
            );
        }
    }
}

/// Two steps from 1.0 with gradients 1.0 and 2.0; every number is exact in binary.
fn two_steps(params: ParamsSgd) -> [f64; 2] {
    let weight = Var::new(&[1f64], &Device::Cpu).unwrap();
    let mut sgd = Sgd::new(vec![weight.clone()], params).unwrap();
    [1f64, 2.0].map(|grad| {
        let loss = (weight.as_tensor() * grad)
            .and_then(|product| product.sum_all())
            .unwrap();
        sgd.backward_step(&loss).unwrap();
        weight.to_vec1::<f64>().unwrap()[0]
    })
}

#[test]
fn two_steps_computed_by_hand() {
    let plain = ParamsSgd::from(0.5);
    let momentum = ParamsSgd { momentum: 0.5, ..plain };
    let cases = [
        (plain, [0.5, -0.5]),
        // d = 1 + 0.5 * 1, then 2 + 0.5 * 0.25
        (
            ParamsSgd {
                weight_decay: 0.5,
                ..plain
            },
            [0.25, -0.8125],
        ),
        // buffer = 1, then 0.5 * 1 + 2
        (momentum, [0.5, -0.75]),
        // direction = 1 + 0.5 * 1, then 2 + 0.5 * 2.5
        (
            ParamsSgd {
                nesterov: true,
                ..momentum
            },
            [0.25, -1.375],
        ),
    ];
    for (params, expected) in cases {
        assert_eq!(
            two_steps(params).map(f64::to_bits),
            expected.map(f64::to_bits),
            "{params:?}"
        );
    }
}

#[test]
fn the_fused_pass_and_candles_operations_give_the_same_bits() {
    for dtype in DTYPES {
        for params in variants() {
            let fused = vars(dtype);
            let by_tensors = twins(&fused);
            let mut sgd = Sgd::new(fused.clone(), params).unwrap();
            let zeros = |var: &Var| [Var::zeros(var.shape(), dtype, &Device::Cpu).unwrap()];
            let buffers: Vec<_> = by_tensors.iter().map(zeros).collect();
            for step in 1..=5 {
                sgd.step(&gradients(&fused, step)).unwrap();
                let grads = gradients(&by_tensors, step);
                for (var, buffer) in by_tensors.iter().zip(&buffers) {
                    match grads.get(var) {
                        Some(grad) if params.momentum > 0.0 => MomentumUpdate(&params).by_tensors(var, buffer, grad),
                        Some(grad) => PlainUpdate(&params).by_tensors(var, &[], grad),
                        None => Ok(()),
                    }
                    .unwrap();
                }
                assert_same(&fused, &by_tensors, &format!("{params:?} after step {step}"));
            }
        }
    }
}

fn buffers(sgd: &Sgd) -> usize {
    sgd.describe()
        .parameters
        .iter()
        .map(|parameter| parameter.tensors.len())
        .sum()
}

#[test]
fn hyper_parameters_that_make_no_sense_are_refused() {
    let momentum = |momentum, nesterov| ParamsSgd {
        momentum,
        nesterov,
        ..ParamsSgd::default()
    };
    for params in [
        momentum(-0.1, false),
        momentum(f64::NAN, false),
        momentum(f64::INFINITY, false),
    ] {
        let error = Sgd::empty(params).unwrap_err().to_string();
        assert!(error.contains("momentum"), "{error}");
    }
    let error = Sgd::empty(momentum(0.0, true)).unwrap_err().to_string();
    assert!(error.contains("nesterov"), "{error}");
}

#[test]
fn a_momentum_that_is_switched_on_begins_with_zeros_and_off_with_none() {
    let weight = var(1, &5.into(), DType::F32);
    let twin = twins(std::slice::from_ref(&weight)).remove(0);
    let heavy = ParamsSgd {
        momentum: 0.9,
        ..ParamsSgd::from(0.1)
    };
    let mut switched = Sgd::new(vec![weight.clone()], 0.1).unwrap();
    switched.set_params(heavy).unwrap();
    let mut built = Sgd::new(vec![twin.clone()], heavy).unwrap();
    train(&mut switched, std::slice::from_ref(&weight), 1..=4).unwrap();
    train(&mut built, std::slice::from_ref(&twin), 1..=4).unwrap();
    assert_eq!(bits(&weight), bits(&twin));
    switched.set_params(0.1).unwrap();
    assert!(buffers(&switched) == 0);
    assert!(
        switched
            .set_params(ParamsSgd {
                nesterov: true,
                ..ParamsSgd::from(0.7)
            })
            .is_err()
    );
    assert_eq!(*switched.params(), ParamsSgd::from(0.1));
    assert!(switched.set_groups(&[]).is_err());
}

#[test]
fn parameters_come_and_go_as_in_candle() {
    let [first, second] = [var(1, &3.into(), DType::F32), var(2, &4.into(), DType::F32)];
    let mut sgd = Sgd::empty(ParamsSgd {
        momentum: 0.9,
        ..ParamsSgd::from(0.1)
    })
    .unwrap();
    sgd.push(&first).unwrap();
    sgd.push(&second).unwrap();
    sgd.push(&Var::zeros(2, DType::U8, &Device::Cpu).unwrap()).unwrap();
    assert_eq!(buffers(&sgd), 2);
    let ids: Vec<_> = sgd.into_inner().iter().map(|var| var.id()).collect();
    assert_eq!(ids, [first.id(), second.id()]);
    let borrowed = Sgd::from_slice(&[&first, &second], 0.1).unwrap();
    assert_eq!(borrowed.into_inner().len(), 2);
}
