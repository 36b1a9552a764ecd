//! Gradients that are not simply a tensor of their own.

use candle_core::backprop::GradStore;
use candle_core::{DType, Device, Tensor, Var};
use candle_nn::Optimizer;

use super::{DTYPES, assert_same, bits, gradient, tensor, twins, var};
use crate::optim::{AdamW, ParamsAdamW, ParamsSgd, Sgd};
use crate::state::OptimizerState;

/// One step of ours and of candle's with a gradient made from the variable.
fn compare(dtype: DType, shape: (usize, usize), make: impl Fn(&Var) -> Tensor) {
    let ours = [var(1, &shape.into(), dtype)];
    let theirs = twins(&ours);
    let mut our_adamw = AdamW::new_lr(ours.to_vec(), 0.1).unwrap();
    let mut their_adamw = candle_nn::AdamW::new_lr(theirs.clone(), 0.1).unwrap();
    for _ in 0..3 {
        our_adamw.step(&store(&ours[0], make(&ours[0]))).unwrap();
        their_adamw.step(&store(&theirs[0], make(&theirs[0]))).unwrap();
        assert_same(&ours, &theirs, "AdamW");
    }
    let mut our_sgd = Sgd::new(ours.to_vec(), 0.1).unwrap();
    let mut their_sgd = candle_nn::SGD::new(theirs.clone(), 0.1).unwrap();
    our_sgd.step(&store(&ours[0], make(&ours[0]))).unwrap();
    their_sgd.step(&store(&theirs[0], make(&theirs[0]))).unwrap();
    assert_same(&ours, &theirs, "Sgd");
}

fn store(var: &Var, grad: Tensor) -> GradStore {
    let mut grads = GradStore::default();
    grads.insert(var, grad);
    grads
}

#[test]
fn a_transposed_gradient_is_read_in_the_order_of_the_parameter() {
    for dtype in DTYPES {
        compare(dtype, (4, 6), |_| tensor(9, &(6, 4).into(), dtype).t().unwrap());
    }
}

#[test]
fn a_broadcast_gradient_is_read_for_every_element() {
    for dtype in DTYPES {
        compare(dtype, (4, 6), |_| {
            tensor(9, &(1, 6).into(), dtype).broadcast_as((4, 6)).unwrap()
        });
    }
}

#[test]
fn a_gradient_that_is_a_window_of_a_larger_tensor_is_read_at_its_place() {
    for dtype in DTYPES {
        compare(dtype, (4, 6), |_| {
            tensor(9, &(9, 6).into(), dtype).narrow(0, 3, 4).unwrap()
        });
    }
}

#[test]
fn a_gradient_in_the_memory_of_its_parameter_is_copied_first() {
    for dtype in DTYPES {
        compare(dtype, (5, 5), Var::as_detached_tensor);
        compare(dtype, (5, 5), |var| var.as_detached_tensor().t().unwrap());
    }
}

#[test]
fn a_gradient_in_the_memory_of_a_moment_is_copied_first() {
    let weight = var(1, &8.into(), DType::F32);
    let mut adamw = AdamW::new_lr(vec![weight.clone()], 0.1).unwrap();
    adamw.step(&store(&weight, gradient(&weight, 2))).unwrap();
    let exp_avg_sq = adamw.describe().parameters[0].tensors[1].1.clone();
    let before = exp_avg_sq.force_contiguous().unwrap();
    adamw.step(&store(&weight, exp_avg_sq.detach())).unwrap();
    let expected = ((&before * 0.999).unwrap() + (before.sqr().unwrap() * (1.0 - 0.999)).unwrap()).unwrap();
    assert_eq!(bits(&exp_avg_sq), bits(&expected));
}

#[test]
fn one_gradient_may_serve_two_parameters() {
    let ours = [var(1, &6.into(), DType::F32), var(2, &6.into(), DType::F32)];
    let theirs = twins(&ours);
    let shared = tensor(3, &6.into(), DType::F32);
    let grads = |vars: &[Var]| {
        let mut grads = store(&vars[0], shared.clone());
        grads.insert(&vars[1], shared.clone());
        grads
    };
    AdamW::new_lr(ours.to_vec(), 0.1).unwrap().step(&grads(&ours)).unwrap();
    candle_nn::AdamW::new_lr(theirs.clone(), 0.1)
        .unwrap()
        .step(&grads(&theirs))
        .unwrap();
    assert_same(&ours, &theirs, "after a step");
}

#[test]
fn a_parameter_may_be_the_gradient_of_another() {
    let ours = [var(1, &6.into(), DType::F32), var(2, &6.into(), DType::F32)];
    let theirs = twins(&ours);
    let swapped = |vars: &[Var]| {
        let mut grads = store(&vars[0], vars[1].as_detached_tensor());
        grads.insert(&vars[1], vars[0].as_detached_tensor());
        grads
    };
    AdamW::new_lr(ours.to_vec(), 0.1)
        .unwrap()
        .step(&swapped(&ours))
        .unwrap();
    candle_nn::AdamW::new_lr(theirs.clone(), 0.1)
        .unwrap()
        .step(&swapped(&theirs))
        .unwrap();
    assert_same(&ours, &theirs, "after a step");
}

#[test]
fn a_gradient_of_another_shape_or_type_is_an_error_and_changes_nothing() {
    let weight = var(1, &(2, 3).into(), DType::F32);
    let before = bits(&weight);
    let wrong = [
        Tensor::ones((3, 2), DType::F32, &Device::Cpu).unwrap(),
        Tensor::ones((2, 3), DType::F64, &Device::Cpu).unwrap(),
    ];
    for grad in wrong {
        let momentum = ParamsSgd {
            momentum: 0.9,
            ..ParamsSgd::from(0.1)
        };
        let mut adamw = AdamW::new(vec![weight.clone()], ParamsAdamW::default()).unwrap();
        adamw.step(&store(&weight, grad.clone())).unwrap_err();
        Sgd::new(vec![weight.clone()], 0.1)
            .unwrap()
            .step(&store(&weight, grad.clone()))
            .unwrap_err();
        Sgd::new(vec![weight.clone()], momentum)
            .unwrap()
            .step(&store(&weight, grad))
            .unwrap_err();
        assert_eq!(bits(&weight), before);
        let exp_avg = &adamw.describe().parameters[0].tensors[0].1;
        assert!(bits(exp_avg).iter().all(|&bits| bits == 0));
    }
}

#[test]
fn the_gradients_of_a_matrix_product_are_taken_as_backward_gives_them() {
    let input = tensor(5, &(7, 4).into(), DType::F32);
    let ours = [var(1, &(3, 4).into(), DType::F32), var(2, &3.into(), DType::F32)];
    let theirs = twins(&ours);
    let loss = |vars: &[Var]| {
        let output = input
            .matmul(&vars[0].t().unwrap())
            .unwrap()
            .broadcast_add(&vars[1])
            .unwrap();
        output.sqr().unwrap().sum_all().unwrap()
    };
    let mut our_adamw = AdamW::new_lr(ours.to_vec(), 0.1).unwrap();
    let mut their_adamw = candle_nn::AdamW::new_lr(theirs.clone(), 0.1).unwrap();
    for _ in 0..10 {
        our_adamw.backward_step(&loss(&ours)).unwrap();
        their_adamw.backward_step(&loss(&theirs)).unwrap();
        assert_same(&ours, &theirs, "after a step");
    }
}

#[test]
fn a_parameter_without_elements_is_stepped_over() {
    for (dtype, shape) in DTYPES
        .into_iter()
        .zip([0.into(), (0, 3).into(), (2, 0).into(), (0, 0).into()])
    {
        let empty = var(1, &shape, dtype);
        let momentum = ParamsSgd {
            momentum: 0.9,
            ..ParamsSgd::from(0.1)
        };
        let mut adamw = AdamW::new_lr(vec![empty.clone()], 0.1).unwrap();
        let mut sgd = Sgd::new(vec![empty.clone()], momentum).unwrap();
        let grads = store(&empty, tensor(2, &shape, dtype));
        adamw.step(&grads).unwrap();
        sgd.step(&grads).unwrap();
        assert_eq!(adamw.describe().parameters[0].step, Some(1));
    }
}
