//! As much of Python as it takes to look into an exported file: a machine for the opcodes of pickle that
//! `torch.load(weights_only=True)` allows. Anything else is a panic.

use std::collections::BTreeMap;

use super::archive::unzip;

/// A Python object.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Py {
    None,
    Bool(bool),
    Int(i64),
    Float(f64),
    Str(String),
    List(Vec<Py>),
    Tuple(Vec<Py>),
    Dict(Vec<(Py, Py)>),
    OrderedDict(Vec<(Py, Py)>),
    Global(String),
    /// Class or type, key, count.
    Storage(String, String, i64),
    Tensor(PyTensor),
}

/// A rebuilt tensor.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct PyTensor {
    /// The storage's class, or the element type of an untyped storage.
    pub(crate) kind: String,
    pub(crate) key: String,
    pub(crate) count: i64,
    pub(crate) shape: Vec<i64>,
    pub(crate) strides: Vec<i64>,
}

impl Py {
    pub(crate) fn str(text: &str) -> Self {
        Self::Str(text.to_owned())
    }

    fn entries(&self) -> &[(Py, Py)] {
        match self {
            Self::Dict(entries) | Self::OrderedDict(entries) => entries,
            other => panic!("not a dict: {other:?}"),
        }
    }

    /// `self[key]`
    pub(crate) fn at(&self, key: impl Into<Py>) -> &Py {
        let key = key.into();
        let found = self.entries().iter().find(|(present, _)| *present == key);
        &found.unwrap_or_else(|| panic!("no {key:?} among {:?}", self.keys())).1
    }

    pub(crate) fn keys(&self) -> Vec<&Py> {
        self.entries().iter().map(|(key, _)| key).collect()
    }

    /// The keys, which are texts, sorted.
    pub(crate) fn names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self
            .entries()
            .iter()
            .map(|(key, _)| match key {
                Self::Str(name) => name.as_str(),
                other => panic!("not a text: {other:?}"),
            })
            .collect();
        names.sort_unstable();
        names
    }

    pub(crate) fn tensor(&self) -> &PyTensor {
        match self {
            Self::Tensor(tensor) => tensor,
            other => panic!("not a tensor: {other:?}"),
        }
    }

    fn integers(&self) -> Vec<i64> {
        match self {
            Self::Tuple(items) => items.iter().map(Py::int).collect(),
            other => panic!("not a tuple: {other:?}"),
        }
    }

    fn int(&self) -> i64 {
        match self {
            Self::Int(number) => *number,
            other => panic!("not an integer: {other:?}"),
        }
    }
}

impl From<&str> for Py {
    fn from(text: &str) -> Self {
        Self::str(text)
    }
}

impl From<i64> for Py {
    fn from(number: i64) -> Self {
        Self::Int(number)
    }
}

/// A file, taken apart.
pub(crate) struct File {
    pub(crate) object: Py,
    members: BTreeMap<String, Vec<u8>>,
}

impl File {
    pub(crate) fn parse(bytes: &[u8]) -> Self {
        let members = unzip(bytes);
        assert_eq!(members["version"], b"3\n");
        assert_eq!(members["byteorder"], b"little");
        let object = unpickle(&members["data.pkl"]);
        Self { object, members }
    }

    /// The elements of a tensor as they lie in its storage.
    pub(crate) fn bytes(&self, tensor: &PyTensor) -> &[u8] {
        &self.members[&format!("data/{}", tensor.key)]
    }

    pub(crate) fn f32s(&self, tensor: &PyTensor) -> Vec<f32> {
        assert_eq!(tensor.kind, "torch FloatStorage");
        let (chunks, rest) = self.bytes(tensor).as_chunks::<4>();
        assert!(rest.is_empty());
        chunks.iter().map(|chunk| f32::from_le_bytes(*chunk)).collect()
    }

    pub(crate) fn storages(&self) -> usize {
        self.members.keys().filter(|name| name.starts_with("data/")).count()
    }
}

struct Machine<'p> {
    left: &'p [u8],
    stack: Vec<Py>,
    marks: Vec<usize>,
    memo: BTreeMap<u8, Py>,
}

fn unpickle(bytes: &[u8]) -> Py {
    assert_eq!(&bytes[..2], [0x80, 2]);
    let mut machine = Machine {
        left: &bytes[2..],
        stack: Vec::new(),
        marks: Vec::new(),
        memo: BTreeMap::new(),
    };
    while !machine.step() {}
    assert!(machine.left.is_empty() && machine.marks.is_empty() && machine.stack.len() == 1);
    machine.pop()
}

impl Machine<'_> {
    fn take(&mut self, len: usize) -> &[u8] {
        let (taken, left) = self.left.split_at(len);
        self.left = left;
        taken
    }

    fn line(&mut self) -> String {
        let len = self.left.iter().position(|&byte| byte == b'\n').unwrap();
        let line = String::from_utf8(self.take(len).to_vec()).unwrap();
        self.take(1);
        line
    }

    fn pop(&mut self) -> Py {
        self.stack.pop().unwrap()
    }

    fn marked(&mut self) -> Vec<Py> {
        self.stack.split_off(self.marks.pop().unwrap())
    }

    /// Whether that was the last one.
    fn step(&mut self) -> bool {
        let object = match self.take(1)[0] {
            b'.' => return true,
            b'N' => Py::None,
            0x88 => Py::Bool(true),
            0x89 => Py::Bool(false),
            b'K' => Py::Int(self.take(1)[0].into()),
            b'M' => Py::Int(u16::from_le_bytes(self.take(2).try_into().unwrap()).into()),
            b'J' => Py::Int(i32::from_le_bytes(self.take(4).try_into().unwrap()).into()),
            0x8a => {
                let len = self.take(1)[0].into();
                let mut wide = [0; 8];
                wide[..len].copy_from_slice(self.take(len));
                let shift = 64 - 8 * u32::try_from(len).unwrap();
                Py::Int((i64::from_le_bytes(wide) << shift) >> shift)
            }
            b'G' => Py::Float(f64::from_be_bytes(self.take(8).try_into().unwrap())),
            b'X' => {
                let len = u32::from_le_bytes(self.take(4).try_into().unwrap());
                let text = self.take(usize::try_from(len).unwrap());
                Py::Str(String::from_utf8(text.to_vec()).unwrap())
            }
            b'}' => Py::Dict(Vec::new()),
            b']' => Py::List(Vec::new()),
            b')' => Py::Tuple(Vec::new()),
            b'c' => Py::Global([self.line(), self.line()].join(" ")),
            b'h' => {
                let number = self.take(1)[0];
                self.memo[&number].clone()
            }
            b't' => Py::Tuple(self.marked()),
            b'Q' => persistent(&self.pop()),
            b'R' => {
                let (arguments, function) = (self.pop(), self.pop());
                call(&function, &arguments)
            }
            other => {
                self.change(other);
                return false;
            }
        };
        self.stack.push(object);
        false
    }

    fn change(&mut self, op: u8) {
        match op {
            b'(' => self.marks.push(self.stack.len()),
            b'q' => {
                let number = self.take(1)[0];
                self.memo.insert(number, self.stack.last().unwrap().clone());
            }
            b'e' => {
                let items = self.marked();
                let Some(Py::List(list)) = self.stack.last_mut() else {
                    panic!("no list")
                };
                list.extend(items);
            }
            b'u' => {
                let items = self.marked();
                let Some(Py::Dict(dict) | Py::OrderedDict(dict)) = self.stack.last_mut() else {
                    panic!("no dict")
                };
                let (pairs, rest) = items.as_chunks::<2>();
                assert!(rest.is_empty());
                for [key, value] in pairs {
                    assert!(dict.iter().all(|(present, _)| present != key), "{key:?} twice");
                    dict.push((key.clone(), value.clone()));
                }
            }
            other => panic!("opcode {other:#x}"),
        }
    }
}

fn persistent(id: &Py) -> Py {
    let Py::Tuple(id) = id else { panic!("{id:?}") };
    let [
        Py::Str(storage),
        Py::Global(class),
        Py::Str(key),
        Py::Str(device),
        Py::Int(count),
    ] = &id[..]
    else {
        panic!("{id:?}")
    };
    assert_eq!((storage.as_str(), device.as_str()), ("storage", "cpu"));
    Py::Storage(class.clone(), key.clone(), *count)
}

fn call(function: &Py, arguments: &Py) -> Py {
    let (Py::Global(function), Py::Tuple(arguments)) = (function, arguments) else {
        panic!("{function:?}")
    };
    match (function.as_str(), &arguments[..]) {
        ("collections OrderedDict", []) => Py::OrderedDict(Vec::new()),
        (
            "torch._utils _rebuild_tensor_v2" | "torch._utils _rebuild_tensor_v3",
            [
                Py::Storage(class, key, count),
                Py::Int(0),
                shape,
                strides,
                Py::Bool(false),
                Py::OrderedDict(_),
                rest @ ..,
            ],
        ) => {
            let kind = match (class.as_str(), rest) {
                ("torch.storage UntypedStorage", [Py::Global(dtype)]) => dtype.clone(),
                (class, []) => class.to_owned(),
                other => panic!("{other:?}"),
            };
            Py::Tensor(PyTensor {
                kind,
                key: key.clone(),
                count: *count,
                shape: shape.integers(),
                strides: strides.integers(),
            })
        }
        other => panic!("{other:?}"),
    }
}
