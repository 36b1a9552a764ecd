//! A state with every kind of memory, and ways to change it.

use candle_core::{CpuStorage, DType, Device, InplaceOp1, Layout, Result, Tensor, Var};
use fabric_core::storage::Storage;
use fabric_core::{Builder, Checkpoint, Fabric};

/// Longer than a chunk, tied, views of one allocation, strided, small, empty, of other element types.
#[derive(Checkpoint)]
pub(crate) struct State {
    pub(crate) large: Var,
    tied: Tensor,
    front: Tensor,
    back: Tensor,
    pub(super) transposed: Tensor,
    column: Tensor,
    small: Vec<Var>,
    scalar: Var,
    empty: Tensor,
    bytes: Tensor,
    half: Tensor,
    pub(crate) step: u64,
    note: String,
}

impl State {
    /// Every element depends on `seed` and its place.
    pub(crate) fn new(seed: u16) -> Self {
        let numbers = |shape: &[usize], salt: f64| {
            let count = u32::try_from(shape.iter().product::<usize>()).expect("small");
            let places = Tensor::arange(0, count, &Device::Cpu)?.to_dtype(DType::F64)?;
            (places + (f64::from(seed) + salt))?
                .to_dtype(DType::F32)?
                .reshape(shape)
        };
        let make = || -> Result<Self> {
            let large = Var::from_tensor(&numbers(&[3, 1 << 20], 0.)?)?;
            let shared = numbers(&[1000], 0.5)?;
            let small = (0u16..50).map(|n| Var::from_tensor(&numbers(&[n.into()], n.into())?));
            Ok(Self {
                tied: large.as_tensor().clone(),
                front: shared.narrow(0, 0, 400)?,
                back: shared.narrow(0, 400, 600)?,
                transposed: numbers(&[300, 1001], 0.25)?.t()?,
                column: numbers(&[200, 7], 0.125)?.narrow(1, 3, 2)?,
                small: small.collect::<Result<_>>()?,
                scalar: Var::from_tensor(&numbers(&[], 9.)?)?,
                empty: numbers(&[0, 4], 0.)?,
                bytes: numbers(&[77], 0.)?.to_dtype(DType::U8)?,
                half: numbers(&[5, 11], 0.)?.to_dtype(DType::F16)?,
                large,
                step: u64::from(seed) << 33,
                note: format!("run {seed}"),
            })
        };
        make().expect("candle makes them")
    }

    fn tensors(&self) -> Vec<&Tensor> {
        let own = [
            &self.large,
            &self.tied,
            &self.front,
            &self.back,
            &self.transposed,
            &self.column,
            &self.scalar,
            &self.empty,
            &self.bytes,
            &self.half,
        ];
        own.into_iter().chain(self.small.iter().map(|var| &**var)).collect()
    }

    /// Everything in it, exactly.
    pub(crate) fn contents(&self) -> (Vec<Vec<f64>>, u64, String) {
        let values = |tensor: &&Tensor| tensor.to_dtype(DType::F64)?.flatten_all()?.to_vec1();
        let tensors: Result<_> = self.tensors().iter().map(values).collect();
        (tensors.expect("they are read"), self.step, self.note.clone())
    }

    /// Overwrites every tensor where it is, in another order for every `turn`.
    pub(crate) fn ruin(&self, turn: usize) {
        let mut tensors = self.tensors();
        let first = turn % tensors.len();
        tensors.rotate_left(first);
        for tensor in tensors.iter().filter(|tensor| tensor.elem_count() > 0) {
            tensor.inplace_op1(&Ruin).expect("it can be written");
        }
        let zeros = self.large.zeros_like().expect("memory");
        self.large.set(&zeros).expect("it can be set");
    }
}

/// Writes something else to all of a tensor's memory.
struct Ruin;

impl InplaceOp1 for Ruin {
    fn name(&self) -> &'static str {
        "ruin"
    }

    fn cpu_fwd(&self, storage: &mut CpuStorage, _: &Layout) -> Result<()> {
        match storage {
            CpuStorage::F32(values) => values.iter_mut().for_each(|value| *value = -1. - *value),
            CpuStorage::U8(values) => values.iter_mut().for_each(|value| *value = !*value),
            CpuStorage::F16(values) => values.iter_mut().for_each(|value| *value = -*value),
            _ => candle_core::bail!("the state has no such tensor"),
        }
        Ok(())
    }
}

/// A fabric on this storage.
pub(crate) fn on(storage: impl Storage + 'static) -> Builder {
    Fabric::builder().storage(storage)
}

/// What a checkpoint holds.
pub(crate) fn saved(storage: impl Storage + 'static, path: &str) -> (Vec<Vec<f64>>, u64, String) {
    let mut state = State::new(60_000);
    let loaded = on(storage).build().expect("one device").load(path, &mut state);
    assert!(loaded.expect("a checkpoint").remainder.is_empty());
    state.contents()
}
