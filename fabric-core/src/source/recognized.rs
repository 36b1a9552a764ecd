//! Recognizes unsupported files by their first bytes, and says how to convert them.
//!
//! A failed download leaves a pointer or a web page under the name of the weights, and weights come in many formats. If
//! an error called such a file damaged, users would look for a fault in their disk.

use std::path::Path;

use crate::error::{Error, Result};
use crate::format::delta;
use crate::source::open::first_bytes;
use crate::storage::ReadFile;

/// The number of first bytes that are read.
pub(crate) const FIRST: usize = 4096;

/// The parts of a file that are compared.
struct Look<'f> {
    first: &'f [u8],
    /// The last eight bytes.
    last: [u8; 8],
}

/// An offset, the bytes there, and a description of a file with these bytes.
type Signature = (usize, &'static [u8], &'static str);

const CONVERT: &str = "save the weights as safetensors in the program that wrote it";

/// A signature stands before those that are its prefixes.
const SIGNATURES: &[Signature] = &[
    (
        0,
        &delta::MAGIC,
        "a delta between two files of weights: apply it to its base with Fabric::apply_delta, and open the new file",
    ),
    (
        0,
        b"\x89HDF\r\n\x1a\n",
        "an HDF5 file, as Keras writes it: save the weights as safetensors in Python",
    ),
    (
        0,
        b"\x93NUMPY",
        "a NumPy array (.npy): save it with safetensors.numpy.save_file",
    ),
    (0, b"GGUF", "a GGUF file: candle_core::quantized::gguf_file reads it"),
    (0, b"lmgg", "a GGML file: candle_core::quantized::ggml_file reads it"),
    (0, b"fmgg", "a GGML file: candle_core::quantized::ggml_file reads it"),
    (0, b"tjgg", "a GGML file: candle_core::quantized::ggml_file reads it"),
    (
        0,
        b"\x1f\x8b",
        "a gzip archive: unpack it with gunzip (a .tar.gz with tar -xzf), and open what is in it",
    ),
    (
        0,
        b"\x28\xb5\x2f\xfd",
        "a Zstandard archive: unpack it with unzstd, and open what is in it",
    ),
    (
        0,
        b"\xfd7zXZ\0",
        "an xz archive: unpack it with unxz, and open what is in it",
    ),
    (
        0,
        b"BZh",
        "a bzip2 archive: unpack it with bunzip2, and open what is in it",
    ),
    (
        0,
        b"\x04\x22\x4d\x18",
        "an LZ4 archive: unpack it with unlz4, and open what is in it",
    ),
    (
        0,
        b"7z\xbc\xaf\x27\x1c",
        "a 7z archive: unpack it, and open what is in it",
    ),
    (0, b"Rar!\x1a\x07", "a RAR archive: unpack it, and open what is in it"),
    (
        257,
        b"ustar",
        "a tar archive: unpack it with tar -xf, and open what is in it",
    ),
    (0, b"\x7fELF", "an ELF program or library of Linux"),
    (0, b"MZ", "a program or library of Windows"),
    (0, b"\xcf\xfa\xed\xfe", "a program or library of macOS"),
    (0, b"\xca\xfe\xba\xbe", "a program or library of macOS, or a Java class"),
    (0, b"\0asm", "a WebAssembly module"),
    (0, b"%PDF-", "a PDF document"),
    (0, b"\x89PNG", "a PNG image"),
    (0, b"\xff\xd8\xff", "a JPEG image"),
    (0, b"SQLite format 3\0", "an SQLite database"),
    (0, b"PAR1", "a Parquet file"),
    (0, b"ARROW1", "an Arrow file"),
    (0, b"MATLAB 5.0", "a MATLAB file"),
    (
        0,
        b"\0\x05\x16\x07",
        "what macOS keeps beside a file (AppleDouble): open the file whose name lacks the `._`",
    ),
    (4, b"TFL3", "a TensorFlow Lite model"),
    (4, b"ORTM", "a model of ONNX Runtime (.ort)"),
    (0, b"\x12\x01\0\0\0\0\0\0", "a file of MXNet"),
    (
        0,
        b"\x83\xa8metadata",
        "a record of Burn: save the weights as safetensors there",
    ),
    (
        0,
        b"\x08\x01\x12",
        "a TensorFlow SavedModel (.pb): save the weights as safetensors in Python",
    ),
    (
        0,
        b"\x89FABRIC\n",
        "the manifest of a checkpoint directory: give the path of the directory that it lies in",
    ),
];

/// The last bytes of the index of a TensorFlow checkpoint, a table of `LevelDB`.
const LEVELDB: [u8; 8] = [0x57, 0xfb, 0x80, 0x8b, 0x24, 0x75, 0x47, 0xdb];

/// A description of a file with advice, as a clause; `None` for an unknown format. The caller has checked that the file
/// does not begin as a supported one.
pub(super) fn recognised(file: &dyn ReadFile, path: &Path) -> Result<Option<String>> {
    let first = first_bytes::<FIRST>(file, path)?;
    let len = file.len().map_err(Error::io("look at", path))?;
    let mut last = [0; 8];
    if let Some(at) = len.checked_sub(8) {
        file.read_exact_at(&mut last, at).map_err(Error::io("read", path))?;
    }
    Ok(what(&Look { first: &first, last }))
}

/// The error, or, for a file of a known other kind, an error that names the kind.
pub(crate) fn or_foreign(error: Error, file: &dyn ReadFile, path: &Path) -> Error {
    if !matches!(error, Error::Corrupt { .. }) {
        return error;
    }
    match recognised(file, path) {
        Ok(Some(what)) => Error::UnknownFormat {
            path: path.to_path_buf(),
            what,
        },
        _ => error,
    }
}

fn what(look: &Look<'_>) -> Option<String> {
    let first = look.first;
    if first.is_empty() {
        return Some("it is empty: a write or a download did not come to its end".to_owned());
    }
    if first.iter().all(|byte| *byte == 0) {
        let what = "it begins with zeros alone: its contents were lost, in a power failure or in a download that did not \
                    come to its end; copy it again";
        return Some(what.to_owned());
    }
    if look.last == LEVELDB {
        return Some(format!("it is the index of a TensorFlow checkpoint: {CONVERT}"));
    }
    let found = SIGNATURES
        .iter()
        .find(|(at, bytes, _)| first.get(*at..).is_some_and(|rest| rest.starts_with(bytes)));
    if let Some((_, _, what)) = found {
        return Some(format!("it is {what}"));
    }
    if is_onnx(first) {
        return Some(format!("it is an ONNX model: candle-onnx reads it; or {CONVERT}"));
    }
    if is_tfrecord(first) {
        return Some(format!("it is a TFRecord file of TensorFlow: {CONVERT}"));
    }
    is_zlib(first)
        .then(|| {
            "it is compressed with zlib, as joblib does: load it in Python, and save the weights as safetensors"
                .to_owned()
        })
        .or_else(|| text(first))
}

/// Returns true for a protobuf whose first field is a version, and whose next is the producer's name, the graph or the
/// operators.
fn is_onnx(first: &[u8]) -> bool {
    matches!(first, [0x08, 1..=32, 0x12 | 0x3a | 0x42, ..])
}

/// Returns true for a length with its own masked CRC-32C.
fn is_tfrecord(first: &[u8]) -> bool {
    let Some((len, rest)) = first.split_first_chunk::<8>() else {
        return false;
    };
    let sum = u32::try_from(crc_fast::checksum(crc_fast::CrcAlgorithm::Crc32Iscsi, len)).unwrap_or_default();
    let masked = sum.rotate_right(15).wrapping_add(0xa282_ead8);
    rest.starts_with(&masked.to_le_bytes())
}

fn is_zlib(first: &[u8]) -> bool {
    matches!(first, [0x78, 0x01 | 0x5e | 0x9c | 0xda, ..]) && std::str::from_utf8(first).is_err()
}

/// A description of a text file, by its first words.
fn text(first: &[u8]) -> Option<String> {
    let text = as_text(first)?;
    let start = text.trim_start_matches('\u{feff}').trim_start();
    let lower: String = start.chars().take(64).collect::<String>().to_ascii_lowercase();
    if start.starts_with("version https://git-lfs") || start.starts_with("# xet version") {
        let what = "it is a Git LFS pointer, and stands for a file that was not downloaded: run `git lfs pull` in its repository";
        return Some(what.to_owned());
    }
    if ["<!doctype html", "<html", "<head", "<body"]
        .iter()
        .any(|tag| lower.starts_with(tag))
    {
        let what = "it is a web page (HTML), which a download leaves that needs a login or another address: download the file \
                    itself (on Hugging Face, /resolve/ in the address in place of /blob/)";
        return Some(what.to_owned());
    }
    if lower.starts_with("<?xml") || lower.starts_with("<error") {
        return Some(
            "it is an XML document, which a store answers where a download is refused: download the file again"
                .to_owned(),
        );
    }
    let kind = match start.chars().next() {
        Some('{' | '[') => "a JSON file",
        Some('#') if start.starts_with("#!") => "a script",
        _ => "a text file",
    };
    let line: String = start.lines().next().unwrap_or_default().chars().take(60).collect();
    Some(format!("it is {kind}, and begins with {line:?}"))
}

/// The bytes as a text; `None` for other bytes. The last character may be cut.
fn as_text(first: &[u8]) -> Option<&str> {
    let text = match std::str::from_utf8(first) {
        Ok(text) => text,
        Err(error) if error.error_len().is_none() => std::str::from_utf8(first.get(..error.valid_up_to())?).ok()?,
        Err(_) => return None,
    };
    let printable = |c: char| !c.is_control() || matches!(c, '\n' | '\r' | '\t' | '\x0c');
    (!text.is_empty() && text.chars().all(printable)).then_some(text)
}
