//! The paths of keys that lead to values.

use super::{Key, MAX_PATH, MetadataReader};
use crate::foreign::pickle::{Id, Object};
use crate::hash::HashMap;

impl MetadataReader<'_> {
    /// Reads the path of each object. Planners of other libraries store other data here, which is ignored.
    pub(super) fn planner_data(&mut self, id: Id) {
        let Ok(entries) = self.graph.dict(id, "`planner_data`") else {
            return;
        };
        let mut objects = std::mem::take(&mut self.metadata.objects);
        let names = objects.iter().enumerate();
        let numbers: HashMap<String, usize> = names.map(|(at, object)| (object.name.clone(), at)).collect();
        for (name, path) in entries {
            let (Some(name), Some(keys)) = (self.graph.0.text(*name), self.graph.0.items(*path)) else {
                continue;
            };
            // Only the keys that spell the name are copied: a pickle may refer to one long text many times.
            if let Some(&object) = numbers.get(name)
                && keys.len() <= MAX_PATH
                && self.spells(keys, name)
            {
                objects[object].path = Some(keys.iter().filter_map(|key| self.key(*key)).collect());
            }
        }
        self.metadata.objects = objects;
    }

    /// Returns true if the keys, joined by dots, spell the name.
    fn spells(&self, keys: &[Id], name: &str) -> bool {
        let mut rest = Some(name);
        for (at, key) in keys.iter().enumerate() {
            let left = rest.and_then(|rest| if at == 0 { Some(rest) } else { rest.strip_prefix('.') });
            rest = left.and_then(|left| match self.graph.0.get(*key) {
                Object::Text(text) => left.strip_prefix(&**text),
                Object::Int(number) if *number >= 0 => left.strip_prefix(&number.to_string()),
                _ => None,
            });
        }
        rest == Some("")
    }

    fn key(&self, id: Id) -> Option<Key> {
        match self.graph.0.get(id) {
            Object::Text(name) => Some(Key::Name(name.to_string())),
            Object::Int(number) => usize::try_from(*number).ok().map(Key::Index),
            _ => None,
        }
    }
}
