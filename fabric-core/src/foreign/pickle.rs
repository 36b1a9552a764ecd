//! Reads Python pickles as data, and executes nothing.
//!
//! A pickle is a program for a small stack machine; Python's `pickletools` documents every opcode. This machine runs
//! the opcodes of protocols 0 to 5 that build data. Objects live in a table, so an object with two references is one
//! object, and neither building nor dropping the table recurses. A pickle can name Python functions. The caller's
//! allow-list selects the functions that have a meaning. The machine builds containers itself, and records every other
//! allowed call as [`Object::Call`]. A function or class that is not on the list becomes an [`Object::Opaque`] with its
//! name.
//!
//! Every length is compared with the rest of the input before memory is allocated. A
//! [`ReadLimit`](crate::source::ReadLimit) bounds the memory of objects, stack and memo in proportion to the length of
//! the input.

mod build;
mod input;
mod machine;
mod number;
mod opcode;
mod standard;
mod table;
#[cfg(test)]
mod tests;

pub(crate) use self::machine::load;
pub(crate) use self::standard::standard;

use std::sync::Arc;

use self::table::Table;
use crate::source::limit::OverLimit;
use crate::source::refused::Refused;

/// The number of an object in the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Id(u32);

impl Id {
    const NONE: Self = Self(0);
    const TRUE: Self = Self(1);
    const FALSE: Self = Self(2);
    const EMPTY_TUPLE: Self = Self(3);

    pub(crate) fn index(self) -> usize {
        self.0 as usize
    }
}

/// An object that a pickle describes.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Object {
    None,
    Bool(bool),
    Int(i128),
    Float(f64),
    Text(Box<str>),
    Bytes(Box<[u8]>),
    List(Vec<Id>),
    Tuple(Box<[Id]>),
    Set(Vec<Id>),
    /// A `dict`, `OrderedDict` or `defaultdict`, in file order. A key that was set twice occurs twice.
    Dict(Vec<(Id, Id)>),
    /// A function or class, `module.name`, and its meaning in the allow-list.
    Global(Box<Global>),
    /// A call that the machine records for the caller to interpret.
    Call {
        callee: Id,
        arguments: Id,
        state: Option<Id>,
    },
    /// A reference to data outside of the pickle: a storage.
    Persistent(Id),
    /// An object that the library does not read, with the name of its class.
    Opaque(Arc<str>),
}

/// An index has dozens of objects for each tensor, so their memory is a large part of the cost of reading it.
const _: () = assert!(size_of::<Object>() == 32);

/// A function or class that a pickle names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Global {
    pub(crate) name: Arc<str>,
    pub(crate) meaning: Option<Meaning>,
}

/// The result of calling a global.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// A dict, built from no argument or from one argument with pairs.
    Dict,
    /// A dict. The first argument, a factory of missing values, is ignored.
    DefaultDict,
    List,
    Tuple,
    Set,
    /// `bytes` or `bytearray`.
    Bytes,
    /// `_codecs.encode`, with which protocols below 3 write bytes.
    Encode,
    /// `copyreg._reconstructor`, which makes an empty object of the class in its first argument.
    Reconstruct,
    /// The call is recorded.
    Keep,
}

/// An allow-list: called with module and name, it returns the meaning of a global.
pub(super) type AllowList = fn(&str, &str) -> Option<Meaning>;

/// The objects of one pickle.
#[derive(Clone, Debug)]
pub(super) struct Pickle {
    objects: Table,
    /// The object that was pickled.
    pub(crate) root: Id,
    /// The length of the pickle in bytes, from the start of the input.
    pub(crate) len: usize,
}

impl Pickle {
    pub(crate) fn get(&self, id: Id) -> &Object {
        // This table alone makes ids, and it never shrinks.
        self.objects.get(id.index())
    }

    /// The number of objects.
    pub(crate) fn count(&self) -> usize {
        self.objects.len()
    }

    /// The ids of all objects, in the order of their creation.
    pub(crate) fn ids(&self) -> impl Iterator<Item = Id> + use<> {
        // `add` refuses more objects than a `u32` counts.
        (0..u32::try_from(self.objects.len()).unwrap_or(u32::MAX)).map(Id)
    }

    /// The items of a list, tuple or set.
    pub(crate) fn items(&self, id: Id) -> Option<&[Id]> {
        match self.get(id) {
            Object::List(items) | Object::Set(items) => Some(items),
            Object::Tuple(items) => Some(items),
            _ => None,
        }
    }

    pub(crate) fn text(&self, id: Id) -> Option<&str> {
        match self.get(id) {
            Object::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(crate) fn int(&self, id: Id) -> Option<i128> {
        match self.get(id) {
            Object::Int(number) => Some(*number),
            _ => None,
        }
    }

    /// The full name of a global.
    pub(crate) fn global(&self, id: Id) -> Option<&str> {
        match self.get(id) {
            Object::Global(global) => Some(&global.name),
            _ => None,
        }
    }

    /// A recorded call: the name of its callee, its arguments and its state.
    pub(crate) fn call(&self, id: Id) -> Option<(&str, &[Id], Option<Id>)> {
        let Object::Call {
            callee,
            arguments,
            state,
        } = self.get(id)
        else {
            return None;
        };
        Some((self.global(*callee)?, self.items(*arguments)?, *state))
    }
}

/// The reason why a pickle cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} (pickle, byte {at}, opcode {opcode})")]
pub(super) struct PickleError {
    /// The offset of the opcode in bytes.
    pub(crate) at: usize,
    /// The name of the opcode in `pickletools`.
    pub(crate) opcode: &'static str,
    pub(crate) what: Problem,
}

/// A fault of a pickle.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Problem {
    #[error("it needs {wanted} bytes and {left} are left")]
    Truncated { wanted: u64, left: usize },
    #[error("no opcode has the number {0:#04x}, or none that describes data")]
    UnknownOpcode(u8),
    #[error("it is of protocol {0}; 5 is the newest that is read")]
    Protocol(u8),
    #[error("the stack has too few objects")]
    StackEmpty,
    #[error("no mark was set")]
    NoMark,
    #[error("nothing was remembered under {0}")]
    NotRemembered(u64),
    #[error("found {found}, expected {expected}")]
    Type {
        found: &'static str,
        expected: &'static str,
    },
    #[error("it is not well formed: {0}")]
    Malformed(&'static str),
    #[error("it has more than {most} {of}, which is the most that is read")]
    TooMany { of: &'static str, most: usize },
    #[error("{0}")]
    Limit(#[from] OverLimit),
    #[error("there is not enough memory for it")]
    NoMemory,
}

impl From<PickleError> for Refused {
    fn from(error: PickleError) -> Self {
        match error.what {
            Problem::Limit(over) => over.into(),
            Problem::NoMemory => Self::NoMemory,
            Problem::Protocol(_) | Problem::TooMany { .. } => Self::Unknown(error.to_string()),
            _ => Self::Damaged(error.to_string()),
        }
    }
}

impl Object {
    /// The memory of the object outside of the table in bytes, spare capacity included.
    fn heap_len(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Bytes(bytes) => bytes.len(),
            Self::List(items) | Self::Set(items) => items.len() * 2 * size_of::<Id>(),
            Self::Tuple(items) => items.len() * size_of::<Id>(),
            Self::Dict(entries) => entries.len() * 2 * size_of::<(Id, Id)>(),
            Self::Global(global) => size_of::<Global>() + global.name.len(),
            _ => 0,
        }
    }

    /// The type of the object, for messages.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::None => "None",
            Self::Bool(_) => "a bool",
            Self::Int(_) => "an int",
            Self::Float(_) => "a float",
            Self::Text(_) => "a text",
            Self::Bytes(_) => "bytes",
            Self::List(_) => "a list",
            Self::Tuple(_) => "a tuple",
            Self::Set(_) => "a set",
            Self::Dict(_) => "a dict",
            Self::Global(_) => "a function or class",
            Self::Call { .. } => "the result of a call",
            Self::Persistent(_) => "a reference to a storage",
            Self::Opaque(_) => "an object of an unknown class",
        }
    }
}
