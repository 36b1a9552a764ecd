use fabric_core::{Checkpoint, Value, ValueError, Visitor, VisitorMut};

struct Epoch(u64);

impl Checkpoint for Epoch {
    fn visit<'a>(&'a self, entries: &mut Visitor<'a>) {
        entries.value("", &self.0);
    }
    fn visit_mut<'a>(&'a mut self, entries: &mut VisitorMut<'a>) {
        entries.value("", &mut self.0);
    }
    fn to_value(&self) -> Result<Value, ValueError> {
        Err(ValueError::new("never"))
    }
}

fn main() {}
