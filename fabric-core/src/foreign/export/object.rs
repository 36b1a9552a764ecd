//! The Python objects of an exported checkpoint, and the storages of its tensors.

use std::collections::HashMap;

use ciborium::Value as Cbor;

use crate::entry::{DType, TensorInfo};
use crate::error::{Error, Result};
use crate::source::{Index, PartPlace, StoredTensor};

/// An object of Python.
#[derive(Debug)]
pub(crate) enum Object<'a> {
    Tensor(Tensor),
    /// The value of the entry of this name, or a part of it.
    Value(&'a str, &'a Cbor),
    Number(u64),
    Bool(bool),
    None,
    Text(String),
    Tuple(Vec<Object<'a>>),
    List(Vec<Object<'a>>),
    Dict(Vec<(Object<'a>, Object<'a>)>),
    /// An `OrderedDict`, the type that `Module.state_dict()` returns.
    StateDict(Vec<(Object<'a>, Object<'a>)>),
}

impl Object<'_> {
    pub(crate) fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }
}

/// A contiguous tensor at the start of its storage.
#[derive(Debug)]
pub(crate) struct Tensor {
    /// The number of its storage.
    pub(crate) storage: usize,
    pub(crate) stored_as: StoredAs,
    pub(crate) shape: Vec<usize>,
    pub(crate) elements: u64,
    pub(crate) bytes: u64,
}

/// The form in which PyTorch writes the element type of a storage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StoredAs {
    /// The name of a storage class of this element type.
    Class(&'static str),
    /// An untyped storage; the element type stands beside it.
    Untyped(&'static str),
}

/// The form in which PyTorch stores an element type; `None` if PyTorch has no such type.
pub(super) fn stored_as(dtype: DType) -> Option<StoredAs> {
    use StoredAs::{Class, Untyped};
    Some(match dtype {
        DType::Bool => Class("BoolStorage"),
        DType::U8 => Class("ByteStorage"),
        DType::I8 => Class("CharStorage"),
        DType::I16 => Class("ShortStorage"),
        DType::I32 => Class("IntStorage"),
        DType::I64 => Class("LongStorage"),
        DType::F16 => Class("HalfStorage"),
        DType::BF16 => Class("BFloat16Storage"),
        DType::F32 => Class("FloatStorage"),
        DType::F64 => Class("DoubleStorage"),
        DType::C64 => Class("ComplexFloatStorage"),
        DType::C128 => Class("ComplexDoubleStorage"),
        DType::U16 => Untyped("uint16"),
        DType::U32 => Untyped("uint32"),
        DType::U64 => Untyped("uint64"),
        DType::F8E4M3 => Untyped("float8_e4m3fn"),
        DType::F8E5M2 => Untyped("float8_e5m2"),
        DType::F8E8M0 => Untyped("float8_e8m0fnu"),
        DType::F8E4M3FNUZ => Untyped("float8_e4m3fnuz"),
        DType::F8E5M2FNUZ => Untyped("float8_e5m2fnuz"),
        // PyTorch's 4-bit type counts pairs of elements, so its shapes differ. PyTorch has no 6-bit type.
        DType::F4 | DType::F6E2M3 | DType::F6E3M2 | DType::Other => return None,
    })
}

/// The source of a storage's bytes.
#[derive(Debug)]
pub(crate) enum Storage<'a> {
    /// The bytes of an entry.
    Stored(&'a str, &'a StoredTensor),
    /// Bytes in memory.
    Inline(Vec<u8>),
}

impl Storage<'_> {
    pub(crate) fn len(&self) -> u64 {
        match self {
            Self::Stored(_, stored) => stored.info.byte_len().unwrap_or_default() as u64,
            Self::Inline(bytes) => bytes.len() as u64,
        }
    }
}

/// The storages of a file in the order in which its tensors name them; tied tensors share one.
#[derive(Debug)]
pub(crate) struct Storages<'a> {
    pub(crate) list: Vec<Storage<'a>>,
    /// The entries before a conversion. Two views of one storage with different element types have different numbers.
    source: &'a Index,
    by_place: HashMap<Vec<PartPlace>, Vec<usize>>,
}

impl<'a> Storages<'a> {
    pub(crate) fn of(source: &'a Index) -> Self {
        Self {
            list: Vec::new(),
            source,
            by_place: HashMap::new(),
        }
    }

    /// The tensor of an entry.
    ///
    /// # Errors
    /// If PyTorch has no such element type.
    pub(crate) fn entry(&mut self, name: &'a str, stored: &'a StoredTensor) -> Result<Tensor> {
        let dtype = stored.info.dtype();
        let refused = |what: String| Error::WrongType {
            name: name.to_owned(),
            what,
        };
        let stored_as = stored_as(dtype).ok_or_else(|| {
            refused(format!(
                "has element type {dtype}, which `torch.load` has no tensors of; export it as safetensors, or convert it"
            ))
        })?;
        if stored.info.byte_len().is_none() {
            return Err(refused(format!("is {}, larger than memory can be", stored.info)));
        }
        let storage = self.tied(name, stored).unwrap_or_else(|| {
            let number = self.list.len();
            self.list.push(Storage::Stored(name, stored));
            self.by_place.entry(stored.extents()).or_default().push(number);
            number
        });
        Ok(tensor(storage, stored_as, &stored.info))
    }

    /// The storage of an earlier entry with its bytes in the same place. Equal contents in two places are two tensors.
    fn tied(&self, name: &str, stored: &StoredTensor) -> Option<usize> {
        let before = |name: &str| self.source.tensors.get(name).map(|stored| &stored.info);
        let same = self.by_place.get(&stored.extents())?;
        same.iter().copied().find(|&number| match &self.list[number] {
            Storage::Stored(other_name, other) => {
                let same = other.info == stored.info && before(other_name) == before(name);
                stored.info.byte_len() != Some(0) && same
            }
            Storage::Inline(_) => false,
        })
    }

    /// A tensor without dimensions that is not an entry of the checkpoint.
    pub(crate) fn scalar(&mut self, dtype: DType, bytes: &[u8]) -> Tensor {
        let number = self.list.len();
        self.list.push(Storage::Inline(bytes.to_vec()));
        let stored_as = stored_as(dtype).unwrap_or(StoredAs::Class("ByteStorage"));
        tensor(number, stored_as, &TensorInfo::new(dtype, Vec::new()))
    }
}

fn tensor(storage: usize, stored_as: StoredAs, info: &TensorInfo) -> Tensor {
    Tensor {
        storage,
        stored_as,
        shape: info.shape().to_vec(),
        elements: info.elements().unwrap_or_default() as u64,
        bytes: info.byte_len().unwrap_or_default() as u64,
    }
}
