//! The stack, its marks, and the memo.

use super::{MOST_MARKS, Machine, REMEMBERED};
use crate::foreign::pickle::{Id, Object, Problem, opcode as op};

impl Machine<'_> {
    pub(crate) fn push_id(&mut self, id: Id) -> Result<(), Problem> {
        if self.stack.len() == self.stack.capacity() {
            let more = self.stack.len().max(64);
            self.memory.spend_each(more, size_of::<Id>())?;
            self.stack.try_reserve_exact(more).map_err(|_| Problem::NoMemory)?;
        }
        self.stack.push(id);
        Ok(())
    }

    pub(crate) fn get(&self, id: Id) -> &Object {
        self.objects.get(id.index())
    }

    /// The stack height at the last mark. Opcodes that take a fixed number of objects cannot reach below it.
    pub(super) fn floor(&self) -> usize {
        self.marks.last().copied().unwrap_or(0)
    }

    pub(crate) fn pop(&mut self) -> Result<Id, Problem> {
        if self.stack.len() > self.floor() {
            self.stack.pop().ok_or(Problem::StackEmpty)
        } else {
            Err(Problem::StackEmpty)
        }
    }

    pub(crate) fn top(&self) -> Result<Id, Problem> {
        let above = self.stack.get(self.floor()..).unwrap_or_default();
        above.last().copied().ok_or(Problem::StackEmpty)
    }

    /// The object below a stack position, if no mark lies between.
    pub(super) fn under(&self, from: usize) -> Result<Id, Problem> {
        let held = self.stack.get(self.floor()..from).unwrap_or_default();
        held.last().copied().ok_or(Problem::StackEmpty)
    }

    pub(super) fn discard(&mut self) -> Result<(), Problem> {
        // Python's `POP` may pop a mark, too.
        if self.stack.len() == self.floor() && self.marks.pop().is_some() {
            return Ok(());
        }
        self.pop().map(drop)
    }

    pub(super) fn mark(&mut self) -> Result<(), Problem> {
        if self.marks.len() >= MOST_MARKS {
            return Err(Problem::TooMany {
                of: "open marks",
                most: MOST_MARKS,
            });
        }
        self.marks.push(self.stack.len());
        Ok(())
    }

    /// Pops the objects above the last mark.
    pub(crate) fn since_mark(&mut self) -> Result<Vec<Id>, Problem> {
        let mark = self.mark_taken()?;
        Ok(self.stack.split_off(mark))
    }

    /// Removes the last mark, and returns its stack position.
    pub(super) fn mark_taken(&mut self) -> Result<usize, Problem> {
        let mark = self.marks.pop().ok_or(Problem::NoMark)?;
        Ok(mark.min(self.stack.len()))
    }

    pub(super) fn remember(&mut self, opcode: u8) -> Result<(), Problem> {
        let key = match opcode {
            op::BINPUT => self.input.u8()?.into(),
            op::LONG_BINPUT => self.input.u32()?,
            op::PUT => self.memo_key()?,
            _ => u32::try_from(self.memo.len()).unwrap_or(u32::MAX),
        };
        self.memory.spend(REMEMBERED)?;
        let id = self.top()?;
        self.memo.try_reserve(1).map_err(|_| Problem::NoMemory)?;
        self.memo.insert(key, id);
        Ok(())
    }

    pub(super) fn recall(&mut self, opcode: u8) -> Result<(), Problem> {
        let key = match opcode {
            op::BINGET => self.input.u8()?.into(),
            op::LONG_BINGET => self.input.u32()?,
            _ => self.memo_key()?,
        };
        let id = self.memo.get(&key).copied();
        self.push_id(id.ok_or(Problem::NotRemembered(key.into()))?)
    }

    pub(super) fn memo_key(&mut self) -> Result<u32, Problem> {
        let key = self.input.text_line()?.parse();
        key.map_err(|_| Problem::Malformed("a place in the memo that is no number"))
    }

    /// The stack position of the first of the last `count` objects.
    pub(super) fn below_top(&self, count: usize) -> Result<usize, Problem> {
        let from = self.stack.len().checked_sub(count).filter(|from| *from >= self.floor());
        from.ok_or(Problem::StackEmpty)
    }
}
