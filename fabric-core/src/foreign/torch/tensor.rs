//! Reads the calls of `torch._utils._rebuild_tensor_v2` and its variants as tensors.

use super::globals::{Elements, dtype, number_len, storage_class};
use super::storages::{Storage, Storages};
use crate::entry::{Dims, Region, TensorInfo};
use crate::foreign::pickle::{Id, Object, Pickle};
use crate::source::refused::Refused;
use crate::source::{Arrangement, Check, Extent, Part, StoredTensor};

/// The largest number of dimensions that is read. PyTorch allows 64.
const MAX_DIMS: usize = 64;

/// The largest number of flags that is read. PyTorch has two.
const MOST_FLAGS: usize = 64;

/// The longest key of a storage that is read. PyTorch numbers its storages, and each tensor looks up its key.
const MAX_KEY: usize = 256;

/// The deepest nesting of wrappers around a tensor, such as `Parameter`.
const MAX_WRAPPERS: usize = 8;

/// The result of a call that rebuilds a tensor.
#[derive(Clone, Debug)]
pub(super) enum Rebuilt {
    Tensor(StoredTensor),
    /// A tensor that the library does not read, with its description.
    NotRead(String),
}

/// Returns true if the object is a tensor.
pub(crate) fn is_tensor(pickle: &Pickle, id: Id) -> bool {
    pickle.call(id).is_some_and(|(name, ..)| rebuilds(name))
}

fn rebuilds(name: &str) -> bool {
    name.strip_prefix("torch._utils.")
        .or_else(|| name.strip_prefix("torch._tensor."))
        .is_some_and(|name| name.starts_with("_rebuild_"))
}

/// The tensor that an object is.
///
/// # Errors
/// If the tensor reaches out of its storage, or has arguments that do not describe a tensor.
pub(crate) fn tensor(pickle: &Pickle, id: Id, storages: &Storages) -> Result<Rebuilt, Refused> {
    let (mut name, mut arguments, _) = pickle.call(id).ok_or("is no tensor")?;
    for _ in 0..MAX_WRAPPERS {
        let (next, inner) = match (name, arguments) {
            ("torch._utils._rebuild_parameter" | "torch._utils._rebuild_parameter_with_state", [data, ..]) => {
                match pickle.call(*data) {
                    Some((next, inner, _)) if rebuilds(next) => (next, inner),
                    _ => return Err("is a parameter made of something other than a tensor".into()),
                }
            }
            ("torch._tensor._rebuild_from_type_v2", [function, _, inner, ..]) => {
                match (pickle.global(*function), pickle.items(*inner)) {
                    (Some(next), Some(inner)) if rebuilds(next) => (next, inner),
                    (Some(other), _) => return Ok(Rebuilt::NotRead(format!("tensor made by {other}"))),
                    _ => return Err("is a tensor made of something other than its arguments".into()),
                }
            }
            _ => return plain(pickle, name, arguments, storages),
        };
        (name, arguments) = (next, inner);
    }
    Err(Refused::unknown("has too many wrappers around it"))
}

fn plain(pickle: &Pickle, name: &str, arguments: &[Id], storages: &Storages) -> Result<Rebuilt, Refused> {
    let [storage, offset, size, stride, ..] = arguments else {
        return Err(format!("has {} arguments, too few for a tensor", arguments.len()).into());
    };
    let elements = match name {
        "torch._utils._rebuild_tensor" | "torch._utils._rebuild_tensor_v2" => None,
        "torch._utils._rebuild_tensor_v3" => {
            let global = arguments.get(6).and_then(|id| pickle.global(*id));
            let global = global.ok_or("has no element type")?;
            let Some(dtype) = dtype(global) else {
                return Ok(Rebuilt::NotRead(format!("tensor of element type {global}")));
            };
            Some(dtype)
        }
        other => return Ok(Rebuilt::NotRead(format!("tensor made by {other}"))),
    };
    if let Some(flag) = flagged(pickle, arguments) {
        return Ok(Rebuilt::NotRead(format!(
            "tensor with the flag `{flag}`, whose numbers are not those in the file; save tensor.resolve_{flag}()"
        )));
    }
    let reference = StorageReference::of(pickle, *storage)?;
    let dtype = match (elements, reference.elements) {
        (Some(dtype), _) | (None, Some(Elements::Typed(dtype))) => dtype,
        (None, Some(Elements::Untyped)) => return Err("has no element type".into()),
        (None, None) => return Ok(Rebuilt::NotRead(format!("tensor over a {}", reference.class))),
    };
    let view = View {
        info: TensorInfo::of(dtype, &numbers(pickle, *size)?),
        offset: number(pickle, *offset)?,
        strides: numbers(pickle, *stride)?,
    };
    let storage = reference.find(storages)?;
    Ok(Rebuilt::Tensor(view.place(storage, reference.offset, storages)?))
}

/// The flag of a lazy conjugation or negation, which PyTorch has not yet applied to the stored numbers. It is among the
/// last arguments.
fn flagged(pickle: &Pickle, arguments: &[Id]) -> Option<&'static str> {
    // The number of flags is bounded, since many tensors may refer to one dict.
    let entries = arguments.iter().skip(6).take(2).filter_map(|id| match pickle.get(*id) {
        Object::Dict(entries) => Some(entries.iter().take(MOST_FLAGS)),
        _ => None,
    });
    let raised = |name: &&str| {
        let is = |(key, value): &(Id, Id)| {
            pickle.text(*key) == Some(*name) && !matches!(pickle.get(*value), Object::Bool(false))
        };
        entries.clone().flatten().any(is)
    };
    ["conj", "neg"].into_iter().find(raised)
}

fn number(pickle: &Pickle, id: Id) -> Result<usize, String> {
    let number = pickle.int(id).and_then(|number| usize::try_from(number).ok());
    number.ok_or_else(|| format!("has {} where a size is expected", pickle.get(id).kind()))
}

/// The items of a tuple of sizes, or of a `torch.Size`.
fn numbers(pickle: &Pickle, id: Id) -> Result<Dims, String> {
    let id = match pickle.call(id) {
        Some(("torch.Size", [sizes], _)) => *sizes,
        _ => id,
    };
    let items = pickle.items(id).ok_or("has no tuple of sizes")?;
    if items.len() > MAX_DIMS {
        return Err(format!(
            "has {} dimensions; at most {MAX_DIMS} are supported",
            items.len()
        ));
    }
    let mut numbers = Dims::with_capacity(items.len());
    for id in items {
        numbers.push(number(pickle, *id)?);
    }
    Ok(numbers)
}

/// A pickle's reference to a storage: `('storage', class, key, location, count[, view])`.
pub(super) struct StorageReference<'p> {
    class: &'p str,
    elements: Option<Elements>,
    pub(crate) key: &'p str,
    /// The number of elements; the number of bytes for an untyped storage.
    pub(crate) count: usize,
    /// The first element of a view in an old file, counted from the start of its storage.
    offset: usize,
}

impl<'p> StorageReference<'p> {
    pub(crate) fn of(pickle: &'p Pickle, id: Id) -> Result<Self, String> {
        let Object::Persistent(id) = pickle.get(id) else {
            return Err(format!("has {} for a storage", pickle.get(id).kind()));
        };
        let Some([tag, class, key, _location, count, rest @ ..]) = pickle.items(*id) else {
            return Err("refers to no storage".into());
        };
        let key_text = pickle.text(*key);
        let (Some("storage"), Some(class), Some(key)) = (pickle.text(*tag), pickle.global(*class), key_text) else {
            return Err("refers to something other than a storage".into());
        };
        if key.len() > MAX_KEY {
            return Err(format!("refers to a storage by a key of {} bytes", key.len()));
        }
        let offset = match rest.first().map(|view| (pickle.get(*view), pickle.items(*view))) {
            Some((_, Some([_key, offset, _size]))) => number(pickle, *offset)?,
            None | Some((Object::None, _)) => 0,
            Some(_) => return Err("refers to a malformed view of a storage".into()),
        };
        Ok(Self {
            class,
            elements: storage_class(class),
            key,
            count: number(pickle, *count)?,
            offset,
        })
    }

    /// The length of the storage in bytes; `None` if the class is unknown, or the length overflows.
    pub(crate) fn byte_len(&self) -> Option<u64> {
        let item = match self.elements? {
            Elements::Typed(dtype) => dtype.bits() / 8,
            Elements::Untyped => 1,
        };
        u64::try_from(self.count.checked_mul(item)?).ok()
    }

    fn find<'s>(&self, storages: &'s Storages) -> Result<&'s Storage, String> {
        let key = self.key;
        let storage = storages
            .get(key)
            .ok_or_else(|| format!("lies in storage `{key}`, which the file does not have"))?;
        if self.byte_len() != Some(storage.place.len) {
            return Err(format!(
                "lies in storage `{key}`, which has {} bytes, but the pickle gives it {} elements",
                storage.place.len, self.count
            ));
        }
        Ok(storage)
    }
}

/// A tensor as a view of a storage, in elements.
struct View {
    info: TensorInfo,
    offset: usize,
    strides: Dims,
}

impl View {
    /// Finds the bytes of the view. All of them must lie inside the storage.
    fn place(self, storage: &Storage, shift: usize, storages: &Storages) -> Result<StoredTensor, String> {
        let Self { info, offset, strides } = self;
        let shape = info.shape();
        if shape.len() != strides.len() {
            return Err(format!("has {} dimensions and {} strides", shape.len(), strides.len()));
        }
        let item = info.dtype().bits() / 8;
        let len = info.byte_len().ok_or("is larger than the address space")?;
        let dims = || shape.iter().copied().zip(strides.iter().copied());
        let span = if len == 0 { Some(0) } else { span(dims()) };
        let outside = || {
            format!(
                "reaches out of its storage: shape {shape:?}, strides {strides:?}, offset {offset}, in {} bytes",
                storage.place.len
            )
        };
        let bytes = |elements: usize| elements.checked_mul(item).and_then(|bytes| u64::try_from(bytes).ok());
        let start = offset.checked_add(shift).and_then(bytes).ok_or_else(outside)?;
        let span = span.and_then(bytes).ok_or_else(outside)?;
        let end = start.checked_add(span).ok_or_else(outside)?;
        if len > 0 && end > storage.place.len {
            return Err(outside());
        }
        let place = Extent {
            file: storage.place.file,
            start: storage.place.start + start.min(storage.place.len),
            len: span,
        };
        let number = number_len(info.dtype());
        let swapped = if storages.swapped { number } else { 1 };
        let packed = swapped == 1 && is_packed(dims());
        let part = Part {
            region: Region::whole(shape),
            place,
            check: if len == 0 { Check::Nothing } else { storage.check() },
            arrangement: (len > 0 && !packed).then(|| Arrangement {
                start: 0,
                strides: strides.to_vec(),
                swapped,
            }),
            cut: None,
        };
        Ok(StoredTensor {
            info,
            parts: vec![part],
        })
    }
}

/// The number of elements from the first to the last one of a view that is not empty.
fn span(mut dims: impl Iterator<Item = (usize, usize)>) -> Option<usize> {
    dims.try_fold(1usize, |span, (size, stride)| {
        span.checked_add(size.saturating_sub(1).checked_mul(stride)?)
    })
}

/// Returns true if the elements are contiguous in row-major order.
fn is_packed(dims: impl DoubleEndedIterator<Item = (usize, usize)>) -> bool {
    let mut expected = 1usize;
    dims.rev().all(|(size, stride)| {
        let packed = size == 1 || stride == expected;
        expected = expected.saturating_mul(size);
        packed
    })
}
