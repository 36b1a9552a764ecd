//! The stack machine of pickles.

mod containers;
mod stack;

use super::input::Input;
use super::table::Table;
use super::{AllowList, Id, Object, Pickle, PickleError, Problem, number, opcode as op};
use crate::hash::HashMap;
use crate::source::limit::{Budget, OverLimit, ReadLimit};

/// The largest number of open marks, which is the nesting depth during construction.
const MOST_MARKS: usize = 10_000;

/// The memory of a memo entry in bytes, with spare capacity of the map.
const REMEMBERED: usize = 2 * size_of::<(u32, Id)>();

/// Runs the pickle at the start of `bytes`, up to its `STOP`.
///
/// # Errors
/// If the pickle is cut short, malformed or beyond the limits, or needs Python to run code.
pub(crate) fn load(bytes: &[u8], allowed: AllowList, limit: ReadLimit) -> Result<Pickle, PickleError> {
    let mut machine = Machine {
        input: Input::new(bytes),
        objects: Table::default(),
        stack: Vec::new(),
        marks: Vec::new(),
        memo: HashMap::default(),
        small: [Id::NONE; 256],
        allowed,
        memory: limit.budget(bytes.len()),
        copies: bytes.len().saturating_mul(2).saturating_add(limit.scaled(1 << 16)),
    };
    let known = [
        Object::None,
        Object::Bool(true),
        Object::Bool(false),
        Object::Tuple(Box::default()),
    ];
    for object in known {
        machine.add(object).map_err(|what| PickleError {
            at: 0,
            opcode: "none",
            what,
        })?;
    }
    loop {
        let at = machine.input.at;
        let byte = bytes.get(at).copied();
        let failed = |what| PickleError {
            at,
            opcode: byte.map_or("none", op::name),
            what,
        };
        let opcode = machine.input.u8().map_err(failed)?;
        if opcode == op::STOP {
            let root = machine.pop().map_err(failed)?;
            return Ok(Pickle {
                objects: machine.objects,
                root,
                len: machine.input.at,
            });
        }
        machine.step(opcode).map_err(failed)?;
    }
}

pub(super) struct Machine<'b> {
    pub(crate) input: Input<'b>,
    pub(crate) objects: Table,
    stack: Vec<Id>,
    marks: Vec<usize>,
    /// The memo of the pickle: objects by number.
    memo: HashMap<u32, Id>,
    /// The objects of the numbers below 256; `Id::NONE` for a number that has not occurred.
    small: [Id; 256],
    pub(crate) allowed: AllowList,
    /// The memory that objects, stack and memo may still take.
    memory: Budget,
    /// The number of bytes that may still be copied from one object to another. An honest pickle copies each byte at
    /// most once.
    copies: usize,
}

impl Machine<'_> {
    /// Runs one opcode other than `STOP`.
    fn step(&mut self, opcode: u8) -> Result<(), Problem> {
        match opcode {
            op::PROTO => self.protocol(),
            op::FRAME => self.input.u64().map(drop),
            op::MARK => self.mark(),
            op::POP => self.discard(),
            op::POP_MARK => self.since_mark().map(drop),
            op::DUP => self.top().and_then(|id| self.push_id(id)),
            op::NONE => self.push_id(Id::NONE),
            op::NEWTRUE => self.push_id(Id::TRUE),
            op::NEWFALSE => self.push_id(Id::FALSE),
            op::EMPTY_TUPLE => self.push_id(Id::EMPTY_TUPLE),
            op::BININT1 => self.small(),
            op::GET | op::BINGET | op::LONG_BINGET => self.recall(opcode),
            op::PUT | op::BINPUT | op::LONG_BINPUT | op::MEMOIZE => self.remember(opcode),
            op::APPEND | op::APPENDS | op::ADDITEMS => self.extend(opcode),
            op::SETITEM | op::SETITEMS => self.set_items(opcode),
            op::GLOBAL | op::STACK_GLOBAL => self.global(opcode),
            op::REDUCE | op::NEWOBJ | op::NEWOBJ_EX | op::INST | op::OBJ => self.construct(opcode),
            op::BUILD => self.build(),
            op::PERSID | op::BINPERSID => self.persistent(opcode),
            op::TUPLE | op::TUPLE1 | op::TUPLE2 | op::TUPLE3 => self.tuple(opcode),
            op::LIST | op::DICT | op::FROZENSET => self.collect(opcode),
            _ => self.leaf(opcode),
        }
    }

    /// Runs an opcode that pushes one object and pops none.
    fn leaf(&mut self, opcode: u8) -> Result<(), Problem> {
        let input = &mut self.input;
        let object = match opcode {
            op::BININT => Object::Int(input.i32()?.into()),
            op::BININT2 => Object::Int(input.u16()?.into()),
            op::INT => number::decimal(input.line()?, true)?,
            op::LONG => number::decimal(input.line()?, false)?,
            op::LONG1 => {
                let len = input.u8()?.into();
                number::long(input.bytes(len)?)
            }
            op::LONG4 => {
                let len = input.length()?;
                number::long(input.bytes(len)?)
            }
            op::FLOAT => number::float(input.text_line()?)?,
            op::BINFLOAT => Object::Float(f64::from_be_bytes(input.array()?)),
            op::EMPTY_LIST => Object::List(Vec::new()),
            op::EMPTY_DICT => Object::Dict(Vec::new()),
            op::EMPTY_SET => Object::Set(Vec::new()),
            _ => self.text(opcode)?,
        };
        self.push(object)
    }

    /// Pushes a number below 256. Equal numbers share one object; otherwise the index of a distributed checkpoint would
    /// exceed the memory limit of a file of its length.
    fn small(&mut self) -> Result<(), Problem> {
        let number = self.input.u8()?;
        let known = self.small[usize::from(number)];
        if known != Id::NONE {
            return self.push_id(known);
        }
        let id = self.add(Object::Int(number.into()))?;
        self.small[usize::from(number)] = id;
        self.push_id(id)
    }

    fn text(&mut self, opcode: u8) -> Result<Object, Problem> {
        let input = &mut self.input;
        let len = match opcode {
            op::SHORT_BINUNICODE | op::SHORT_BINBYTES | op::SHORT_BINSTRING => input.u8()?.into(),
            op::BINUNICODE | op::BINBYTES => input.u32()?.into(),
            op::BINSTRING => input.length()?,
            op::BINUNICODE8 | op::BINBYTES8 | op::BYTEARRAY8 => input.u64()?,
            op::STRING => return number::quoted(input.line()?),
            op::UNICODE => return number::raw_unicode(input.line()?),
            other => return Err(Problem::UnknownOpcode(other)),
        };
        Ok(match opcode {
            op::SHORT_BINUNICODE | op::BINUNICODE | op::BINUNICODE8 => Object::Text(input.text(len)?.into()),
            op::SHORT_BINSTRING | op::BINSTRING => number::string(input.bytes(len)?),
            _ => Object::Bytes(input.bytes(len)?.into()),
        })
    }

    fn protocol(&mut self) -> Result<(), Problem> {
        match self.input.u8()? {
            0..=5 => Ok(()),
            newer => Err(Problem::Protocol(newer)),
        }
    }

    /// Counts a copy of this many bytes.
    pub(crate) fn copying(&mut self, bytes: usize) -> Result<(), Problem> {
        self.copies = self.copies.checked_sub(bytes).ok_or(OverLimit::Again)?;
        Ok(())
    }

    pub(crate) fn add(&mut self, object: Object) -> Result<Id, Problem> {
        self.memory.spend(size_of::<Object>() + object.heap_len())?;
        let id = u32::try_from(self.objects.len()).map_err(|_| Problem::NoMemory)?;
        self.objects.push(object).map_err(|_| Problem::NoMemory)?;
        Ok(Id(id))
    }

    pub(crate) fn push(&mut self, object: Object) -> Result<(), Problem> {
        let id = self.add(object)?;
        self.push_id(id)
    }

    fn persistent(&mut self, opcode: u8) -> Result<(), Problem> {
        let id = match opcode {
            op::BINPERSID => self.pop()?,
            _ => {
                let text = self.input.text_line()?.into();
                self.add(Object::Text(text))?
            }
        };
        self.push(Object::Persistent(id))
    }
}
