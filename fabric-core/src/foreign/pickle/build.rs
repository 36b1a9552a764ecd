//! Carries out calls of globals without running code: the machine builds containers, records other calls on the
//! allow-list, and turns all other results into opaque objects with a name.

use super::machine::Machine;
use super::{Global, Id, Meaning, Object, Problem, opcode as op};

/// The longest name of a module or class that is read, in bytes. No honest name is longer.
const MAX_NAME: usize = 1024;

impl Machine<'_> {
    pub(crate) fn global(&mut self, opcode: u8) -> Result<(), Problem> {
        let (module, name) = match opcode {
            op::STACK_GLOBAL => {
                let name = self.pop()?;
                let module = self.pop()?;
                (self.name(module)?, self.name(name)?)
            }
            _ => (self.input.text_line()?.to_owned(), self.input.text_line()?.to_owned()),
        };
        let global = self.resolve(&module, &name)?;
        self.push(global)
    }

    fn name(&mut self, id: Id) -> Result<String, Problem> {
        match self.get(id) {
            Object::Text(text) => {
                let text = text.to_string();
                self.copying(text.len())?;
                Ok(text)
            }
            other => Err(Problem::Type {
                found: other.kind(),
                expected: "the name of a module or class",
            }),
        }
    }

    fn resolve(&self, module: &str, name: &str) -> Result<Object, Problem> {
        if module.len() + name.len() > MAX_NAME {
            return Err(Problem::TooMany {
                of: "bytes in the name of a class",
                most: MAX_NAME,
            });
        }
        Ok(Object::Global(Box::new(Global {
            name: format!("{module}.{name}").into(),
            meaning: (self.allowed)(module, name),
        })))
    }

    pub(crate) fn construct(&mut self, opcode: u8) -> Result<(), Problem> {
        let (callee, arguments) = match opcode {
            op::INST => {
                let (module, name) = (self.input.text_line()?.to_owned(), self.input.text_line()?.to_owned());
                let arguments = self.since_mark()?;
                let class = self.resolve(&module, &name)?;
                (self.add(class)?, self.add(Object::Tuple(arguments[..].into()))?)
            }
            op::OBJ => {
                let mut items = self.since_mark()?.into_iter();
                let class = items.next().ok_or(Problem::StackEmpty)?;
                (class, self.add(Object::Tuple(items.as_slice().into()))?)
            }
            op::NEWOBJ_EX => {
                // Keyword arguments belong to classes that the library does not read.
                let _keywords = self.pop()?;
                self.callee_and_arguments()?
            }
            _ => self.callee_and_arguments()?,
        };
        let object = self.call(callee, arguments)?;
        self.push(object)
    }

    fn callee_and_arguments(&mut self) -> Result<(Id, Id), Problem> {
        let arguments = self.pop()?;
        Ok((self.pop()?, arguments))
    }

    fn call(&mut self, callee: Id, arguments: Id) -> Result<Object, Problem> {
        let Object::Tuple(items) = self.get(arguments) else {
            return Err(Problem::Type {
                found: self.get(arguments).kind(),
                expected: "a tuple of arguments",
            });
        };
        let (first, second) = (items.first().copied(), items.get(1).copied());
        let meaning = match self.get(callee) {
            Object::Global(global) => match global.meaning {
                Some(meaning) => meaning,
                None => return Ok(Object::Opaque(global.name.clone())),
            },
            Object::Opaque(name) => return Ok(Object::Opaque(name.clone())),
            // The result of a recorded call cannot be called.
            other => {
                return Err(Problem::Type {
                    found: other.kind(),
                    expected: "a function or class",
                });
            }
        };
        match meaning {
            Meaning::Dict => self.dict(first),
            Meaning::DefaultDict => self.dict(second),
            Meaning::List => self.listed(first).map(Object::List),
            Meaning::Set => self.listed(first).map(Object::Set),
            Meaning::Tuple => self.listed(first).map(|items| Object::Tuple(items[..].into())),
            Meaning::Bytes if first.is_none() => Ok(Object::Bytes(Box::default())),
            Meaning::Bytes | Meaning::Encode => self.encoded(first, second),
            Meaning::Reconstruct => {
                let class = first.ok_or(Problem::Malformed("a class is missing"))?;
                self.call(class, Id::EMPTY_TUPLE)
            }
            Meaning::Keep => Ok(Object::Call {
                callee,
                arguments,
                state: None,
            }),
        }
    }

    /// A dict from no argument, from another dict, or from a list of pairs.
    fn dict(&mut self, from: Option<Id>) -> Result<Object, Problem> {
        let Some(from) = from else {
            return Ok(Object::Dict(Vec::new()));
        };
        if let Object::Dict(entries) = self.get(from) {
            let entries = entries.clone();
            self.copying(size_of_val(&*entries))?;
            return Ok(Object::Dict(entries));
        }
        let items = self.listed(Some(from))?;
        let pair = |id: &Id| match self.sequence(*id) {
            Some([key, value]) => Ok((*key, *value)),
            _ => Err(Problem::Malformed("a dict made of something other than pairs")),
        };
        items.iter().map(pair).collect::<Result<_, _>>().map(Object::Dict)
    }

    fn sequence(&self, id: Id) -> Option<&[Id]> {
        match self.get(id) {
            Object::List(items) | Object::Set(items) => Some(items),
            Object::Tuple(items) => Some(items),
            _ => None,
        }
    }

    /// The items of the only argument; empty without an argument.
    fn listed(&mut self, from: Option<Id>) -> Result<Vec<Id>, Problem> {
        let Some(from) = from else {
            return Ok(Vec::new());
        };
        let Some(items) = self.sequence(from) else {
            return Err(Problem::Type {
                found: self.get(from).kind(),
                expected: "a list",
            });
        };
        let len = size_of_val(items);
        self.copying(len)?;
        Ok(self.sequence(from).unwrap_or_default().to_vec())
    }

    /// The bytes of `bytearray(text, encoding)` or `_codecs.encode(text, encoding)`.
    fn encoded(&mut self, from: Option<Id>, encoding: Option<Id>) -> Result<Object, Problem> {
        let from = from.ok_or(Problem::Malformed("bytes made of nothing"))?;
        let len = match self.get(from) {
            Object::Bytes(bytes) => bytes.len(),
            Object::Text(text) => text.len(),
            _ => return Err(Problem::Malformed("bytes made of something other than a text")),
        };
        self.copying(len)?;
        let encoding = encoding.map(|id| self.get(id));
        let bytes = match (self.get(from), encoding) {
            (Object::Bytes(bytes), _) => bytes.clone(),
            (Object::Text(text), Some(Object::Text(encoding))) => match &**encoding {
                "latin1" | "latin-1" | "iso-8859-1" => latin1(text)?,
                "utf-8" | "utf8" => text.as_bytes().into(),
                _ => return Err(Problem::Malformed("bytes in an unknown encoding")),
            },
            _ => return Err(Problem::Malformed("bytes without an encoding")),
        };
        Ok(Object::Bytes(bytes))
    }

    pub(crate) fn build(&mut self) -> Result<(), Problem> {
        let given = self.pop()?;
        let target = self.top()?;
        match self.objects.get_mut(target.index()) {
            Object::Call { state, .. } => *state = Some(given),
            // Attributes beside the items, such as `_metadata` of a state dict, describe versions of modules.
            Object::Dict(_) | Object::List(_) | Object::Set(_) | Object::Opaque(_) => {}
            other => {
                return Err(Problem::Type {
                    found: other.kind(),
                    expected: "an object that takes a state",
                });
            }
        }
        Ok(())
    }
}

fn latin1(text: &str) -> Result<Box<[u8]>, Problem> {
    let bytes = text.chars().map(|character| u8::try_from(u32::from(character)));
    let bytes: Result<Vec<u8>, _> = bytes.collect();
    bytes
        .map(Vec::into_boxed_slice)
        .map_err(|_| Problem::Malformed("a text that is not Latin-1"))
}
