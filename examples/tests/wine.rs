//! The data that the programs train on.

use std::collections::HashSet;

use candle_core::Device;
use fabric_examples::wine::{FEATURES, Wine};

#[test]
fn an_epoch_meets_every_wine_at_most_once_and_another_one_has_another_order() {
    let train = Wine::load(&Device::Cpu).unwrap().train;
    let rows = train.features.to_vec2::<f32>().unwrap();
    let different: HashSet<_> = rows
        .iter()
        .map(|row| row.iter().map(|x| x.to_bits()).collect::<Vec<_>>())
        .collect();
    assert!(different.len() > 1000);

    let one_by_one = |first: usize| -> Vec<Vec<u32>> {
        let wine = |iteration| {
            train
                .batch(iteration, 1)
                .unwrap()
                .features
                .flatten_all()
                .unwrap()
                .to_vec1::<f32>()
                .unwrap()
        };
        (first..first + train.len())
            .map(|iteration| wine(iteration).into_iter().map(f32::to_bits).collect())
            .collect()
    };
    let (first, second) = (one_by_one(0), one_by_one(train.len()));
    assert_ne!(first, second);
    assert_eq!(first.into_iter().collect::<HashSet<_>>(), different);
    assert_eq!(second.into_iter().collect::<HashSet<_>>(), different);
}

#[test]
fn every_measurement_has_mean_zero_and_variance_one() {
    let train = Wine::load(&Device::Cpu).unwrap().train;
    let mean = train.features.mean(0).unwrap().to_vec1::<f32>().unwrap();
    let variance = train.features.var(0).unwrap().to_vec1::<f32>().unwrap();
    assert_eq!(mean.len(), FEATURES);
    assert!(mean.iter().all(|mean| mean.abs() < 1e-4), "{mean:?}");
    assert!(
        variance.iter().all(|variance| (variance - 1.0).abs() < 1e-3),
        "{variance:?}"
    );
}

#[test]
fn a_batch_that_is_larger_than_the_data_is_an_error() {
    let wine = Wine::load(&Device::Cpu).unwrap();
    assert!(wine.train.batch(0, wine.train.len() + 1).is_err());
    assert!(wine.train.batch(0, 0).is_err());
}
