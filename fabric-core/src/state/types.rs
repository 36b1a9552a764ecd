//! A walk over the types of a state, which finds hand-written implementations of `Checkpoint` among its parts.

use super::Schema;

/// The derived structs that a walk over types has entered, each once: a struct may contain itself.
///
/// No other crate can name this type, so [`Checkpoint::may_differ`](super::Checkpoint::may_differ) of a hand-written
/// implementation is always true.
#[derive(Debug, Default)]
pub struct Types {
    entered: Vec<Schema>,
}

impl Types {
    /// Returns true if the walk enters this struct for the first time.
    pub fn enter(&mut self, schema: Schema) -> bool {
        let is_new = !self.entered.contains(&schema);
        if is_new {
            self.entered.push(schema);
        }
        is_new
    }
}
