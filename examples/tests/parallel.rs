//! Layers that are cut in parts compute what the whole ones do, forwards and backwards.

#![expect(clippy::cast_precision_loss, reason = "the numbers are small")]

use std::sync::Arc;

use candle_core::{Device, Tensor, Var};
use candle_nn::{Linear, Module};
use fabric_core::group::{ProcessGroup, Single, ThreadGroup};
use fabric_core::named_parameters;
use fabric_examples::parallel::all_reduce::{all_reduce, average_gradients, mean};
use fabric_examples::parallel::linear::{ColumnParallelLinear, RowParallelLinear};
use fabric_examples::parallel::part;
use fabric_examples::parallel::ranks::{Mesh, on_threads};
use fabric_examples::parallel::text::{BATCH, CONTEXT, batch, vocabulary};
use fabric_examples::parallel::transformer::{Config, Transformer};

fn numbers(shape: &[usize], seed: f32) -> Var {
    let count = shape.iter().product::<usize>();
    let numbers: Vec<f32> = (0..count)
        .map(|place| (place as f32).mul_add(1.7, seed).sin())
        .collect();
    Var::from_vec(numbers, shape, &Device::Cpu).unwrap()
}

#[track_caller]
fn same(found: &Tensor, expected: &Tensor, what: &str) {
    assert_eq!(found.shape(), expected.shape(), "{what}");
    let difference = (found - expected).unwrap().abs().unwrap().max_all().unwrap();
    let difference: f32 = difference.to_scalar().unwrap();
    assert!(difference < 1e-5, "{what} differs by {difference}");
}

#[test]
fn two_layers_in_parts_have_the_output_and_gradients_of_two_plain_ones() {
    let shapes: [&[usize]; 5] = [&[5, 4], &[7, 4], &[7], &[3, 7], &[3]];
    let [input, w1, b1, w2, b2] = [0, 1, 2, 3, 4].map(|at| numbers(shapes[at], at as f32));
    let linear = |weight: &Var, bias: &Var| Linear::new(weight.as_tensor().clone(), Some(bias.as_tensor().clone()));
    let hidden = linear(&w1, &b1).forward(&input).unwrap().tanh().unwrap();
    let plain = linear(&w2, &b2).forward(&hidden).unwrap();
    let expected = plain.sqr().unwrap().sum_all().unwrap().backward().unwrap();

    for ranks in [1, 2, 3, 7] {
        on_threads(ranks, |group| {
            let group: Arc<dyn ProcessGroup> = Arc::new(group);
            let first = ColumnParallelLinear::new(&w1, &b1, Arc::clone(&group))?;
            let second = RowParallelLinear::new(&w2, &b2, Arc::clone(&group))?;
            let own_input = Var::from_tensor(&input.copy()?)?;
            let output = second.forward(&first.forward(&own_input)?.tanh()?)?;
            same(&output, &plain, "output");
            let found = output.sqr()?.sum_all()?.backward()?;
            same(found.get(&own_input).unwrap(), expected.get(&input).unwrap(), "input");
            let mut parameters = named_parameters(&first);
            parameters.extend(named_parameters(&second));
            let wholes = [(&w1, Some(0)), (&b1, Some(0)), (&w2, Some(1)), (&b2, None)];
            assert_eq!(parameters.len(), wholes.len());
            for ((name, parameter), (whole, dim)) in parameters.iter().zip(wholes) {
                let gradient = expected.get(whole).unwrap();
                let own = match dim {
                    Some(dim) => part(gradient, dim, group.rank(), ranks)?,
                    None => Var::from_tensor(gradient)?,
                };
                same(found.get(parameter).unwrap(), &own, name);
            }
            Ok(())
        })
        .unwrap();
    }
}

#[test]
fn a_sum_is_the_same_on_every_rank_bit_for_bit() {
    on_threads(4, |group| {
        // In another order these sums would be others.
        let own = numbers(&[100], group.rank() as f32 * 1e3).affine(100_f64.powf(group.rank() as f64), 0.0)?;
        let sum: Vec<f32> = all_reduce(&group, &own)?.to_vec1()?;
        let bytes: Vec<u8> = sum.iter().flat_map(|number| number.to_le_bytes()).collect();
        assert!(group.all_gather("compare", &bytes)?.iter().all(|other| *other == bytes));
        Ok(())
    })
    .unwrap();
}

#[test]
fn sums_of_other_shapes_are_refused() {
    let failed = on_threads(2, |group| {
        let own = numbers(&[2 + group.rank()], 0.0);
        all_reduce(&group, &own)?;
        Ok(())
    });
    let message = failed.unwrap_err().to_string();
    assert!(message.contains("a rank sums"), "{message}");
}

#[test]
fn a_missing_gradient_is_an_error() {
    let parameter = numbers(&[2], 0.0);
    let mut gradients = numbers(&[3], 0.0).sum_all().unwrap().backward().unwrap();
    let error = average_gradients(&Single, &[parameter], &mut gradients).unwrap_err();
    assert!(
        error.to_string().contains("a parameter of shape [2] has no gradient"),
        "{error}"
    );
}

fn config() -> Config {
    Config {
        vocabulary: vocabulary().len(),
        context: CONTEXT,
        width: 16,
        heads: 4,
        depth: 2,
    }
}

#[test]
fn a_transformer_in_parts_has_the_loss_and_gradients_of_a_whole_one() {
    let alone: Arc<dyn ProcessGroup> = Arc::new(Single);
    let whole = Transformer::new(config(), &alone).unwrap();
    let (inputs, targets) = batch(3, 0, 1).unwrap();
    assert_eq!(inputs.dims(), [BATCH, CONTEXT]);
    let expected_loss = whole.loss(&inputs, &targets).unwrap();
    let expected = expected_loss.backward().unwrap();
    let wholes = named_parameters(&whole);

    for (dp, tp) in [(1, 2), (2, 1), (2, 2), (1, 4)] {
        on_threads(dp * tp, |world: ThreadGroup| {
            let mesh = Mesh::new(&world, tp)?;
            let model = Transformer::new(config(), &mesh.tp)?;
            let (inputs, targets) = batch(3, mesh.dp.rank(), dp)?;
            let loss = model.loss(&inputs, &targets)?;
            same(&mean(&*mesh.dp, &loss)?, &expected_loss, "loss");
            let mut found = loss.backward()?;
            let (names, parameters): (Vec<_>, Vec<_>) = named_parameters(&model).into_iter().unzip();
            average_gradients(&*mesh.dp, &parameters, &mut found)?;
            assert_eq!(parameters.len(), wholes.len());
            for ((name, parameter), (whole_name, whole)) in names.iter().zip(&parameters).zip(&wholes) {
                assert_eq!(name, whole_name);
                let gradient = expected.get(whole).unwrap();
                let cut = (0..whole.rank()).find(|&dim| whole.dims()[dim] != parameter.dims()[dim]);
                let own = match cut {
                    Some(dim) => part(gradient, dim, mesh.tp.rank(), tp)?,
                    None => Var::from_tensor(gradient)?,
                };
                same(found.get(parameter).unwrap(), &own, name);
            }
            Ok(())
        })
        .unwrap();
    }
}
