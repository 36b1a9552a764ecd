//! Tuples, lists, sets and dicts.

use super::Machine;
use crate::foreign::pickle::{Id, Object, Problem, opcode as op};

impl Machine<'_> {
    pub(super) fn tuple(&mut self, opcode: u8) -> Result<(), Problem> {
        let from = match opcode {
            op::TUPLE1 => self.below_top(1)?,
            op::TUPLE2 => self.below_top(2)?,
            op::TUPLE3 => self.below_top(3)?,
            _ => self.mark_taken()?,
        };
        let items = self.stack.drain(from..).collect();
        self.push(Object::Tuple(items))
    }

    /// Builds a container from the objects above the mark.
    pub(super) fn collect(&mut self, opcode: u8) -> Result<(), Problem> {
        let items = self.since_mark()?;
        let object = match opcode {
            op::LIST => Object::List(items),
            op::FROZENSET => Object::Set(items),
            _ => Object::Dict(pairs(&items)?.collect()),
        };
        self.push(object)
    }

    pub(super) fn extend(&mut self, opcode: u8) -> Result<(), Problem> {
        let from = match opcode {
            op::APPEND => self.below_top(1)?,
            _ => self.mark_taken()?,
        };
        let target = self.under(from)?;
        let items = &self.stack[from..];
        self.memory.spend_each(items.len(), 2 * size_of::<Id>())?;
        match self.objects.get_mut(target.index()) {
            Object::List(list) | Object::Set(list) => list.extend(items),
            // The items of an opaque object are dropped.
            Object::Opaque(_) => {}
            other => {
                return Err(Problem::Type {
                    found: other.kind(),
                    expected: "a list or a set",
                });
            }
        }
        self.stack.truncate(from);
        Ok(())
    }

    pub(super) fn set_items(&mut self, opcode: u8) -> Result<(), Problem> {
        let from = match opcode {
            op::SETITEM => self.below_top(2)?,
            _ => self.mark_taken()?,
        };
        let target = self.under(from)?;
        self.memory.spend_each(self.stack.len() - from, 2 * size_of::<Id>())?;
        match self.objects.get_mut(target.index()) {
            Object::Dict(dict) => dict.extend(pairs(&self.stack[from..])?),
            Object::Opaque(_) => drop(pairs(&self.stack[from..])?),
            other => {
                return Err(Problem::Type {
                    found: other.kind(),
                    expected: "a dict",
                });
            }
        }
        self.stack.truncate(from);
        Ok(())
    }
}

/// Pairs of alternating keys and values.
fn pairs(items: &[Id]) -> Result<impl ExactSizeIterator<Item = (Id, Id)> + '_, Problem> {
    let (pairs, rest) = items.as_chunks::<2>();
    if rest.is_empty() {
        return Ok(pairs.iter().map(|[key, value]| (*key, *value)));
    }
    Err(Problem::Malformed("a key without a value"))
}
