//! The data: 1599 red wines, eleven measurements each, and a taster's mark.
//!
//! Cortez et al., *Modeling wine preferences by data mining from physicochemical properties*, 2009; comes with the crate
//! `linfa-datasets`, nothing is downloaded.

use candle_core::{D, DType, Device, Result, Tensor, bail};
use candle_nn::Module;

/// Measurements of a wine.
pub const FEATURES: usize = 11;

/// Marks that were given: 3 to 8, as classes 0 to 5.
pub const MARKS: usize = 6;

/// The wines, every fifth kept for validation; each measurement has mean 0 and variance 1 over the wines to train on.
#[derive(Clone, Debug)]
pub struct Wine {
    /// To train on.
    pub train: Split,
    /// To judge the model by.
    pub validation: Split,
}

/// Some of the wines.
#[derive(Clone, Debug)]
pub struct Split {
    /// One row for each wine.
    pub features: Tensor,
    /// One class for each wine, as `u32`.
    pub labels: Tensor,
}

impl Wine {
    /// The wines and their marks.
    ///
    /// # Errors
    /// If the device has no memory for them.
    pub fn load(device: &Device) -> Result<Self> {
        let data = linfa_datasets::winequality();
        let classes = data.targets().iter().map(|&mark| u32::try_from(mark - 3));
        let Ok(classes) = classes.collect::<std::result::Result<Vec<_>, _>>() else {
            bail!("a mark is out of range")
        };
        let all = Split {
            features: Tensor::from_iter(data.records().iter().copied(), device)?.reshape(((), FEATURES))?,
            labels: Tensor::new(classes, device)?,
        };
        let (validation, train): (Vec<u32>, Vec<u32>) = (0..).take(all.len()).partition(|row| row % 5 == 0);
        let (mut train, mut validation) = (all.rows(train)?, all.rows(validation)?);
        let mean = train.features.mean_keepdim(0)?;
        let deviation = train.features.var_keepdim(0)?.sqrt()?;
        for split in [&mut train, &mut validation] {
            let scaled = split.features.broadcast_sub(&mean)?.broadcast_div(&deviation)?;
            split.features = scaled.to_dtype(DType::F32)?;
        }
        Ok(Self { train, validation })
    }
}

impl Split {
    /// The number of wines.
    #[must_use]
    pub fn len(&self) -> usize {
        self.labels.elem_count()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The batch of `size` wines that belongs to this iteration.
    ///
    /// Every epoch has an order of its own, and it depends on the iteration only: a run that resumes at an iteration
    /// sees the batches it would have seen. A shuffle from a random generator would need that generator's state in the
    /// checkpoint.
    ///
    /// # Errors
    /// If there are fewer than `size` wines.
    pub fn batch(&self, iteration: usize, size: usize) -> Result<Self> {
        let batches = self.len().checked_div(size).unwrap_or(0);
        if batches == 0 {
            bail!("a batch of {size} out of {} wines", self.len())
        }
        let (epoch, first) = (iteration / batches, iteration % batches * size);
        // Steps of a prime that does not divide the length meet every row once.
        let row = |place: usize| (place * 7919 + epoch * 613) % self.len();
        self.rows(
            (first..first + size)
                .filter_map(|place| u32::try_from(row(place)).ok())
                .collect(),
        )
    }

    /// The share of wines whose class the model finds.
    ///
    /// # Errors
    /// If the model does not fit the features.
    pub fn accuracy(&self, model: &impl Module) -> Result<f32> {
        let found = model.forward(&self.features)?.argmax(D::Minus1)?;
        found.eq(&self.labels)?.to_dtype(DType::F32)?.mean_all()?.to_scalar()
    }

    /// The cross-entropy of the model's prediction.
    ///
    /// # Errors
    /// If the model does not fit the features.
    pub fn loss(&self, model: &impl Module) -> Result<Tensor> {
        candle_nn::loss::cross_entropy(&model.forward(&self.features)?, &self.labels)
    }

    fn rows(&self, rows: Vec<u32>) -> Result<Self> {
        let rows = Tensor::new(rows, self.labels.device())?;
        Ok(Self {
            features: self.features.index_select(&rows, 0)?,
            labels: self.labels.index_select(&rows, 0)?,
        })
    }
}
