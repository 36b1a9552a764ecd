//! Tensors in files in memory, stored in every way that formats have.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use proptest::prelude::*;

use super::array::Array;
use crate::entry::{DType, Region, TensorInfo};
use crate::error::Result;
use crate::io::checksum::{self, BLOCK};
use crate::source::cut::Cut;
use crate::source::layout::row_major;
use crate::source::{About, Arrangement, Check, CheckedRun, Extent, Index, Part, Source, StoredTensor};
use crate::storage::ReadFile;

/// The way in which a part is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Blocks,
    Nothing,
    Run,
    /// A box of a longer part.
    CutOfBlocks,
    CutOfRun,
    /// Permuted, in the middle of its place.
    Turned,
    /// A big-endian view inside of a run, with gaps.
    View,
    /// A permuted view that is all of its run.
    WholeView,
}

pub(super) fn kind() -> impl Strategy<Value = Kind> {
    use Kind::{Blocks, CutOfBlocks, CutOfRun, Nothing, Run, Turned, View, WholeView};
    prop::sample::select(vec![
        Blocks,
        Nothing,
        Run,
        CutOfBlocks,
        CutOfRun,
        Turned,
        View,
        WholeView,
    ])
}

/// Files in memory that count the bytes that are read.
#[derive(Debug)]
pub(super) struct Stored {
    files: Vec<File>,
}

#[derive(Debug, Default)]
struct File {
    bytes: Vec<u8>,
    read: AtomicU64,
}

impl ReadFile for File {
    fn len(&self) -> io::Result<u64> {
        Ok(self.bytes.len() as u64)
    }

    fn read_at(&self, into: &mut [u8], offset: u64) -> io::Result<usize> {
        let from = usize::try_from(offset).unwrap().min(self.bytes.len());
        let len = into.len().min(self.bytes.len() - from);
        into[..len].copy_from_slice(&self.bytes[from..from + len]);
        self.read.fetch_add(len as u64, Ordering::Relaxed);
        Ok(len)
    }
}

impl Source for Stored {
    fn about(&self) -> Result<About> {
        unreachable!("nobody asks")
    }

    fn index(&self) -> &Arc<Index> {
        unreachable!("nothing is looked up")
    }

    fn file(&self, number: usize) -> (&dyn ReadFile, &Path) {
        (&self.files[number], Path::new("stored"))
    }
}

impl Stored {
    /// An array in parts. Each split halves one part along a dimension, and says how one of the halves is stored.
    pub(super) fn new(array: &Array, splits: &[(usize, usize, Kind)]) -> (Self, StoredTensor) {
        let mut regions = vec![(Region::whole(&array.shape), splits[0].2)];
        for &(dim, at, kind) in &splits[1..] {
            let (region, old) = regions.swap_remove(at % regions.len());
            let dim = dim % region.size.len().max(1);
            if region.size.get(dim).is_none_or(|size| *size < 2) {
                regions.push((region, kind));
                continue;
            }
            let len = 1 + at % (region.size[dim] - 1);
            let (mut first, mut second) = (region.clone(), region);
            first.size[dim] = len;
            second.offset[dim] += len;
            second.size[dim] -= len;
            regions.extend([(first, old), (second, kind)]);
        }
        let mut stored = Self {
            files: vec![File::default(), File::default()],
        };
        let parts = regions.into_iter().enumerate();
        let parts = parts.map(|(number, (region, kind))| stored.part(array, &region, kind, number % 2));
        let parts = parts.collect();
        let info = TensorInfo::of(DType::F32, &array.shape);
        (stored, StoredTensor { info, parts })
    }

    fn part(&mut self, array: &Array, region: &Region, kind: Kind, file: usize) -> Part {
        let mut some = array.clone();
        for dim in 0..region.size.len() {
            some = some.narrowed(dim, region.offset[dim], region.size[dim]);
        }
        let count = some.data.len();
        let kind = if count == 0 { Kind::Nothing } else { kind };
        match kind {
            Kind::Blocks => self.plain(&some.data, region, file, |bytes, _| blocks(bytes)),
            Kind::Nothing => self.plain(&some.data, region, file, |_, _| Check::Nothing),
            Kind::Run => self.plain(&some.data, region, file, whole_run),
            Kind::CutOfBlocks | Kind::CutOfRun => {
                let shape: Vec<usize> = region.size.iter().map(|size| size + 2).collect();
                let inner = Region {
                    offset: vec![1; shape.len()],
                    size: region.size.clone(),
                };
                let mut all = vec![-1.0; shape.iter().product()];
                places(&inner, &row_major(&shape), 0)
                    .zip(&some.data)
                    .for_each(|(at, number)| all[at] = *number);
                let check = if kind == Kind::CutOfRun {
                    whole_run
                } else {
                    |bytes: &[u8], _| blocks(bytes)
                };
                let cut = Some(Cut { shape, region: inner });
                Part {
                    cut,
                    ..self.plain(&all, region, file, check)
                }
            }
            Kind::Turned | Kind::View | Kind::WholeView => {
                let (gap, start) = if kind == Kind::WholeView { (1, 0) } else { (2, 5) };
                let mut turned = region.size.clone();
                turned.reverse();
                let mut strides: Vec<usize> = row_major(&turned).iter().map(|stride| stride * gap).collect();
                strides.reverse();
                let swapped = if kind == Kind::View { 4 } else { 1 };
                let mut all = vec![-1.0; start + (count - 1) * gap + 1];
                let whole = Region::whole(&region.size);
                let number = |number: f32| {
                    if swapped == 4 {
                        f32::from_bits(number.to_bits().swap_bytes())
                    } else {
                        number
                    }
                };
                places(&whole, &strides, start)
                    .zip(&some.data)
                    .for_each(|(at, of)| all[at] = number(*of));
                let check = match kind {
                    Kind::View => view_of_run,
                    Kind::WholeView => whole_run,
                    _ => |bytes: &[u8], _| blocks(bytes),
                };
                Part {
                    arrangement: Some(Arrangement {
                        start,
                        strides,
                        swapped,
                    }),
                    ..self.plain(&all, region, file, check)
                }
            }
        }
    }

    /// Writes numbers behind the file's, and more around them.
    fn plain(&mut self, numbers: &[f32], region: &Region, file: usize, check: impl Fn(&[u8], Extent) -> Check) -> Part {
        let bytes: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
        let into = &mut self.files[file].bytes;
        into.extend([0xee; 16]);
        let place = Extent {
            file,
            start: into.len() as u64,
            len: bytes.len() as u64,
        };
        into.extend(&bytes);
        into.extend([0xee; 16]);
        Part::plain(region.clone(), place, check(&bytes, place))
    }

    pub(super) fn bytes_read(&self) -> u64 {
        self.files.iter().map(|file| file.read.load(Ordering::Relaxed)).sum()
    }

    /// A copy in which a byte of the first part of the first file is another.
    pub(super) fn with_a_flipped_byte(&self, at: usize) -> Self {
        let files = self.files.iter().map(|file| File {
            bytes: file.bytes.clone(),
            ..File::default()
        });
        let mut damaged = Self { files: files.collect() };
        damaged.files[0].bytes[16 + at] ^= 4;
        damaged
    }
}

/// The places of a box's elements.
fn places(region: &Region, strides: &[usize], start: usize) -> impl Iterator<Item = usize> {
    let mut places = vec![start];
    for ((&offset, &size), &stride) in region.offset.iter().zip(&region.size).zip(strides) {
        let along = |place: usize| (offset..offset + size).map(move |index| place + index * stride);
        places = places.into_iter().flat_map(along).collect();
    }
    places.into_iter()
}

fn blocks(bytes: &[u8]) -> Check {
    Check::Blocks(bytes.chunks(BLOCK).map(checksum::of).collect())
}

fn whole_run(bytes: &[u8], place: Extent) -> Check {
    Check::Run(CheckedRun::new(place, checksum::crc32(bytes)))
}

/// The run has some bytes in front of the part.
fn view_of_run(bytes: &[u8], place: Extent) -> Check {
    let all = [&[0xee; 8][..], bytes].concat();
    let place = Extent {
        start: place.start - 8,
        len: place.len + 8,
        ..place
    };
    Check::Run(CheckedRun::new(place, checksum::crc32(&all)))
}
