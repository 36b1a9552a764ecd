//! PyTorch's part of the allow-list, its storage classes and its element types.

use crate::entry::DType;
use crate::foreign::pickle::{Meaning, standard};

/// The allow-list of `torch.save` files. All other functions and classes become opaque objects.
pub(crate) fn allowed(module: &str, name: &str) -> Option<Meaning> {
    match (module, name) {
        (
            "torch._utils",
            "_rebuild_tensor"
            | "_rebuild_tensor_v2"
            | "_rebuild_tensor_v3"
            | "_rebuild_parameter"
            | "_rebuild_parameter_with_state",
        )
        | ("torch._tensor", "_rebuild_from_type_v2")
        | ("torch", "Size" | "device") => Some(Meaning::Keep),
        (
            "lightning.fabric.utilities.data"
            | "lightning_fabric.utilities.data"
            | "lightning.pytorch.utilities.parsing"
            | "pytorch_lightning.utilities.parsing",
            "AttributeDict",
        ) => Some(Meaning::Dict),
        _ => standard(module, name),
    }
}

/// The element type of a storage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Elements {
    Typed(DType),
    /// Bytes, whose element type each tensor gives.
    Untyped,
}

/// The elements of a storage class such as `torch.FloatStorage`; `None` for an unknown class.
pub(super) fn storage_class(name: &str) -> Option<Elements> {
    let class = name
        .strip_prefix("torch.storage.")
        .or_else(|| name.strip_prefix("torch.cuda."))
        .or_else(|| name.strip_prefix("torch."))?;
    Some(Elements::Typed(match class {
        "FloatStorage" => DType::F32,
        "DoubleStorage" => DType::F64,
        "HalfStorage" => DType::F16,
        "BFloat16Storage" => DType::BF16,
        "ByteStorage" => DType::U8,
        "CharStorage" => DType::I8,
        "ShortStorage" => DType::I16,
        "IntStorage" => DType::I32,
        "LongStorage" => DType::I64,
        "BoolStorage" => DType::Bool,
        "ComplexFloatStorage" => DType::C64,
        "ComplexDoubleStorage" => DType::C128,
        "UntypedStorage" => return Some(Elements::Untyped),
        _ => return None,
    }))
}

/// The element type of a PyTorch name such as `torch.float32`.
pub(crate) fn dtype(name: &str) -> Option<DType> {
    Some(match name.strip_prefix("torch.")? {
        "float32" | "float" => DType::F32,
        "float64" | "double" => DType::F64,
        "float16" | "half" => DType::F16,
        "bfloat16" => DType::BF16,
        "uint8" => DType::U8,
        "int8" => DType::I8,
        "uint16" => DType::U16,
        "int16" | "short" => DType::I16,
        "uint32" => DType::U32,
        "int32" | "int" => DType::I32,
        "uint64" => DType::U64,
        "int64" | "long" => DType::I64,
        "bool" => DType::Bool,
        "complex64" | "cfloat" => DType::C64,
        "complex128" | "cdouble" => DType::C128,
        "float8_e4m3fn" => DType::F8E4M3,
        "float8_e5m2" => DType::F8E5M2,
        "float8_e4m3fnuz" => DType::F8E4M3FNUZ,
        "float8_e5m2fnuz" => DType::F8E5M2FNUZ,
        "float8_e8m0fnu" => DType::F8E8M0,
        _ => return None,
    })
}

/// The length in bytes of one number of an element. A complex element has two numbers.
pub(super) fn number_len(dtype: DType) -> usize {
    let item = dtype.bits() / 8;
    match dtype {
        DType::C64 | DType::C128 => item / 2,
        _ => item,
    }
}
