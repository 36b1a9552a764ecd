//! The allow-list of Python's standard library.

use super::Meaning;

/// Allows containers, bytes, and the few values that pickle writes as calls.
pub(crate) fn standard(module: &str, name: &str) -> Option<Meaning> {
    Some(match (module, name) {
        ("collections", "OrderedDict" | "Counter") | ("builtins" | "__builtin__", "dict") => Meaning::Dict,
        ("collections", "defaultdict") => Meaning::DefaultDict,
        ("builtins" | "__builtin__", "list") | ("collections", "deque") => Meaning::List,
        ("builtins" | "__builtin__", "tuple") => Meaning::Tuple,
        ("builtins" | "__builtin__", "set" | "frozenset") => Meaning::Set,
        ("builtins" | "__builtin__", "bytes" | "bytearray") => Meaning::Bytes,
        ("_codecs", "encode") => Meaning::Encode,
        ("copyreg" | "copy_reg", "_reconstructor") => Meaning::Reconstruct,
        ("builtins" | "__builtin__", "complex")
        | (
            "pathlib" | "pathlib._local",
            "Path" | "PosixPath" | "PurePosixPath" | "WindowsPath" | "PureWindowsPath" | "PurePath",
        )
        | ("numpy", "dtype")
        | ("numpy.core.multiarray" | "numpy._core.multiarray", "scalar") => Meaning::Keep,
        _ => return None,
    })
}
