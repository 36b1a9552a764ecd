//! Random tensors, meshes, splits and numbers of ranks: what one world saved, another loads bit for bit.

use std::collections::BTreeMap;

use candle_core::{DType, Device, Tensor};
use fabric_core::testing::Memory;
use fabric_core::{Checkpoint, Fabric, LoadOptions};
use proptest::prelude::*;

use super::world::run;

const PATH: &str = "run/last";

/// The ways in which a tensor may be cut over the axes that a mesh may have.
#[derive(Checkpoint, Default)]
struct Cut {
    whole: BTreeMap<String, Tensor>,
    #[checkpoint(shard(dim = 0, axis = "a"))]
    first: BTreeMap<String, Tensor>,
    #[checkpoint(shard(dim = 1, axis = "b"))]
    second: BTreeMap<String, Tensor>,
    #[checkpoint(shard(dim = 0, axis = "b"), shard(dim = 2, axis = "a"))]
    two: BTreeMap<String, Tensor>,
    #[checkpoint(shard(dim = 1, axis = "c"), shard(dim = 1, axis = "a"))]
    nested: BTreeMap<String, Tensor>,
    #[checkpoint(shard(dim = 3, axis = "c"))]
    last: BTreeMap<String, Tensor>,
}

/// The cuts of the fields above: dimension and axes, the outermost first.
const CUTS: [&[(usize, &[&str])]; 6] = [
    &[],
    &[(0, &["a"])],
    &[(1, &["b"])],
    &[(0, &["b"]), (2, &["a"])],
    &[(1, &["c", "a"])],
    &[(3, &["c"])],
];

impl Cut {
    fn field(&mut self, at: usize) -> &mut BTreeMap<String, Tensor> {
        match at {
            0 => &mut self.whole,
            1 => &mut self.first,
            2 => &mut self.second,
            3 => &mut self.two,
            4 => &mut self.nested,
            _ => &mut self.last,
        }
    }
}

/// A tensor as a whole: how it is cut, its type, its shape, and where its contents begin.
#[derive(Clone, Debug)]
struct Whole {
    cut: usize,
    dtype: DType,
    shape: Vec<usize>,
    seed: u16,
}

impl Whole {
    fn tensor(&self) -> Tensor {
        let count: usize = self.shape.iter().product();
        let numbers = (0..count).map(|n| f32::from(u16::try_from(n * 7 % 251).expect("small")) + f32::from(self.seed));
        let tensor = Tensor::from_vec(numbers.collect::<Vec<_>>(), self.shape.as_slice(), &Device::Cpu);
        tensor.and_then(|tensor| tensor.to_dtype(self.dtype)).expect("a tensor")
    }
}

/// A mesh of up to three axes, and how unevenly its ranks hold what is cut: 0 as equal as can be, 1 as PyTorch's chunks,
/// 2 all by the last, others anyhow.
#[derive(Clone, Debug)]
struct World {
    axes: Vec<(&'static str, usize)>,
    uneven: usize,
}

impl World {
    fn strategy(&self) -> fabric_core::Strategy {
        if self.axes.is_empty() {
            return fabric_core::Strategy::single_device();
        }
        // A mesh lists every axis that an attribute names.
        let listed = |axis: &&str| self.axes.iter().any(|(name, _)| name == axis);
        let others = ["a", "b", "c"].into_iter().filter(|axis| !listed(axis));
        let axes = self.axes.iter().copied().chain(others.map(|axis| (axis, 1)));
        fabric_core::Strategy::mesh(axes).shard_axis(self.axes[0].0)
    }

    fn ranks(&self) -> usize {
        self.axes.iter().map(|(_, size)| size).product()
    }

    /// A rank's place among those that some axes span, and their number.
    fn place(&self, rank: usize, names: &[&str]) -> (usize, usize) {
        let (mut at, mut of) = (0, 1);
        for name in names {
            let Some(axis) = self.axes.iter().position(|(axis, _)| axis == name) else {
                continue;
            };
            let inner: usize = self.axes[axis + 1..].iter().map(|(_, size)| size).product();
            let size = self.axes[axis].1;
            (at, of) = (at * size + rank / inner % size, of * size);
        }
        (at, of)
    }

    /// Where each of `of` pieces of a dimension begins, and the end.
    fn borders(&self, len: usize, of: usize) -> Vec<usize> {
        let mut borders: Vec<usize> = match self.uneven {
            0 => (0..of).map(|at| at * (len / of) + at.min(len % of)).collect(),
            1 => (0..of).map(|at| (at * len.div_ceil(of)).min(len)).collect(),
            2 => vec![0; of],
            n => (0..of)
                .map(|at| {
                    if at == 0 {
                        0
                    } else {
                        (n * 31 + at * at * 17) % (len + 1)
                    }
                })
                .collect(),
        };
        borders.push(len);
        borders.sort_unstable();
        borders
    }

    fn held(&self, rank: usize, whole: &Whole, tensor: &Tensor) -> Tensor {
        let mut held = tensor.clone();
        for (dim, axes) in CUTS[whole.cut] {
            let Some(&len) = whole.shape.get(*dim) else { continue };
            let (at, of) = self.place(rank, axes);
            if of > 1 {
                let borders = self.borders(len, of);
                held = held
                    .narrow(*dim, borders[at], borders[at + 1] - borders[at])
                    .expect("inside");
            }
        }
        held.force_contiguous().expect("a copy")
    }

    /// This rank's part of everything, or zeros in its place.
    fn state(&self, fabric: &Fabric, wholes: &[Whole], zeros: bool) -> Cut {
        let mut state = Cut::default();
        for (number, whole) in wholes.iter().enumerate() {
            let held = self.held(fabric.rank(), whole, &whole.tensor());
            let held = if zeros { held.zeros_like().expect("zeros") } else { held };
            state.field(whole.cut).insert(format!("t{number}"), held);
        }
        state
    }
}

fn bits(tensor: &Tensor) -> Vec<u64> {
    let wide = tensor.to_dtype(DType::F64).and_then(|wide| wide.flatten_all());
    wide.and_then(|flat| flat.to_vec1::<f64>())
        .expect("numbers")
        .into_iter()
        .map(f64::to_bits)
        .collect()
}

fn wholes() -> impl Strategy<Value = Vec<Whole>> {
    let dtypes = [
        DType::F32,
        DType::F64,
        DType::BF16,
        DType::F16,
        DType::U8,
        DType::U32,
        DType::I64,
    ];
    let shape = prop::collection::vec(0..6usize, 0..5);
    let whole = (0..CUTS.len(), prop::sample::select(dtypes.to_vec()), shape, 0..200u16);
    let whole = whole.prop_map(|(cut, dtype, shape, seed)| Whole {
        cut,
        dtype,
        shape,
        seed: seed / 4,
    });
    prop::collection::vec(whole, 1..7)
}

fn world() -> impl Strategy<Value = World> {
    let sizes = prop::collection::vec(1..4usize, 0..4);
    let names = prop::sample::select(vec![["a", "b", "c"], ["c", "b", "a"], ["b", "a", "c"]]);
    (sizes, names, 0..6usize).prop_map(|(sizes, names, uneven)| World {
        axes: names.into_iter().zip(sizes).collect(),
        uneven,
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_any_world_saves_any_other_loads_bit_for_bit(
        wholes in wholes(), from in world(), to in world(), again in world(), verify in any::<bool>(),
    ) {
        let storage = Memory::new();
        let mut writers = vec![from];
        // Two saves and two loads, so that one replaces the other in every constellation.
        writers.push(again);
        for writer in &writers {
            run(&writer.strategy(), writer.ranks(), &storage, |fabric| {
                fabric.save(PATH, &writer.state(fabric, &wholes, false)).expect("saved");
            });
            for reader in [&to, writer] {
                run(&reader.strategy(), reader.ranks(), &storage, |fabric| {
                    let mut state = reader.state(fabric, &wholes, true);
                    let options = LoadOptions::new().verify_first(verify);
                    let loaded = fabric.load_with(PATH, &mut state, options).expect("loaded");
                    assert!(loaded.remainder.is_empty());
                    let mut expected = reader.state(fabric, &wholes, false);
                    for (number, whole) in wholes.iter().enumerate() {
                        let name = format!("t{number}");
                        let (found, expected) = (&state.field(whole.cut)[&name], &expected.field(whole.cut)[&name]);
                        assert_eq!(found.dims(), expected.dims());
                        assert_eq!(bits(found), bits(expected), "{whole:?}, rank {}", fabric.rank());
                    }
                });
            }
        }
    }
}
