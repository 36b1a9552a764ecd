//! Reads the objects of a pickle as instances of PyTorch's classes. Its errors describe the objects that do not fit.

use crate::entry::Dims;
use crate::foreign::pickle::{Id, Meaning, Object, Pickle, standard};

/// The modules that held the classes of `.metadata` in some release. A class is recognized by its own name.
const MODULES: &[&str] = &[
    "torch.distributed.checkpoint.metadata",
    "torch.distributed.checkpoint.filesystem",
    "torch.distributed._shard.sharded_tensor.metadata",
    "torch.distributed._shard.checkpoint.metadata",
    "torch.distributed._shard.checkpoint.filesystem",
];

const CLASSES: &[&str] = &[
    "Metadata",
    "TensorStorageMetadata",
    "BytesStorageMetadata",
    "ChunkStorageMetadata",
    "TensorProperties",
    "MetadataIndex",
    "StorageMeta",
    "_StorageInfo",
    "_MEM_FORMAT_ENCODING",
    "MEM_FORMAT_ENCODING",
];

/// The largest number of dimensions that is read. PyTorch allows 64.
const MAX_DIMS: usize = 64;

/// The largest number of attributes that is read. The largest of the classes has six.
const MAX_ATTRIBUTES: usize = 32;

/// The allow-list of `.metadata`.
pub(crate) fn allowed(module: &str, name: &str) -> Option<Meaning> {
    match (module, name) {
        ("torch", "Size") | ("torch.serialization", "_get_layout") => Some(Meaning::Keep),
        _ if MODULES.contains(&module) && CLASSES.contains(&name) => Some(Meaning::Keep),
        _ => standard(module, name),
    }
}

/// The objects of one pickle.
#[derive(Clone, Copy)]
pub(super) struct Graph<'p>(pub(crate) &'p Pickle);

/// An object of a known class.
#[derive(Clone, Copy)]
pub(super) struct Instance<'p> {
    graph: Graph<'p>,
    class: &'static str,
    attributes: &'p [(Id, Id)],
}

impl<'p> Graph<'p> {
    /// A description of an object, for messages.
    pub(crate) fn describe(self, id: Id) -> String {
        match self.0.get(id) {
            Object::Opaque(class) => format!("an object of class `{class}`"),
            Object::Global(global) => format!("the class or function `{}`", global.name),
            Object::Call { callee, .. } => match self.0.global(*callee) {
                Some(class) => format!("an object of class `{class}`"),
                None => "the result of a call".to_owned(),
            },
            other => other.kind().to_owned(),
        }
    }

    /// The arguments and the state of an instance of `class`; `None` for any other object.
    fn of_class(self, id: Id, class: &str) -> Option<(&'p [Id], Option<Id>)> {
        let (name, arguments, state) = self.0.call(id)?;
        let module = name.strip_suffix(class)?.strip_suffix('.')?;
        MODULES.contains(&module).then_some((arguments, state))
    }

    pub(crate) fn is(self, id: Id, class: &str) -> bool {
        self.of_class(id, class).is_some()
    }

    /// The object as an instance of `class`, with its attributes.
    pub(crate) fn instance(self, id: Id, class: &'static str) -> Result<Instance<'p>, String> {
        let (_, state) = self.of_class(id, class).ok_or_else(|| self.other_than(id, class))?;
        let attributes = match state.map(|state| self.0.get(state)) {
            None | Some(Object::None) => &[][..],
            Some(Object::Dict(attributes)) if attributes.len() <= MAX_ATTRIBUTES => attributes,
            Some(Object::Dict(attributes)) => {
                return Err(format!("a `{class}` has {} attributes", attributes.len()));
            }
            Some(other) => return Err(format!("the state of a `{class}` is {}, expected a dict", other.kind())),
        };
        Ok(Instance {
            graph: self,
            class,
            attributes,
        })
    }

    /// The pickled state of an instance of `class`, of any type.
    pub(crate) fn state(self, id: Id, class: &str) -> Result<Id, String> {
        let state = self.of_class(id, class).and_then(|(_, state)| state);
        state.ok_or_else(|| self.other_than(id, class))
    }

    fn other_than(self, id: Id, class: &str) -> String {
        format!("found {}, expected an object of class `{class}`", self.describe(id))
    }

    pub(crate) fn dict(self, id: Id, what: &str) -> Result<&'p [(Id, Id)], String> {
        match self.0.get(id) {
            Object::Dict(entries) => Ok(entries),
            _ => Err(format!("{what} is {}, expected a dict", self.describe(id))),
        }
    }

    pub(crate) fn text(self, id: Id, what: &str) -> Result<&'p str, String> {
        let text = self.0.text(id);
        text.ok_or_else(|| format!("{what} is {}, expected a text", self.describe(id)))
    }

    pub(crate) fn items(self, id: Id, what: &str) -> Result<&'p [Id], String> {
        let items = self.0.items(id);
        items.ok_or_else(|| format!("{what} is {}, expected a list", self.describe(id)))
    }

    /// A number of bytes.
    pub(crate) fn bytes(self, id: Id, what: &str) -> Result<u64, String> {
        let number = self.0.int(id).and_then(|number| u64::try_from(number).ok());
        number.ok_or_else(|| format!("{what} is {}, expected a number of bytes", self.number(id)))
    }

    fn number(self, id: Id) -> String {
        self.0
            .int(id)
            .map_or_else(|| self.describe(id), |number| number.to_string())
    }

    /// The sizes of a `torch.Size` or of a plain tuple.
    pub(crate) fn size(self, id: Id, what: &str) -> Result<Dims, String> {
        let sizes = match self.0.call(id) {
            Some(("torch.Size", [sizes], _)) => *sizes,
            Some(("torch.Size", [], _)) => return Ok(Dims::new()),
            _ => id,
        };
        let one = |id: &Id| {
            let size = self.0.int(*id).and_then(|size| usize::try_from(size).ok());
            size.ok_or_else(|| format!("{what} holds {}, expected a size", self.number(*id)))
        };
        let items = self.items(sizes, what)?;
        if items.len() > MAX_DIMS {
            return Err(format!(
                "{what} has {} dimensions; at most {MAX_DIMS} are supported",
                items.len()
            ));
        }
        let mut dims = Dims::with_capacity(items.len());
        for id in items {
            dims.push(one(id)?);
        }
        Ok(dims)
    }
}

impl Instance<'_> {
    /// The value of an attribute; `None` if this file's version of the class lacks it.
    pub(crate) fn get(&self, name: &str) -> Result<Option<Id>, String> {
        let named = |(key, _): &&(Id, Id)| self.graph.0.text(*key) == Some(name);
        let mut found = self.attributes.iter().filter(named);
        match (found.next(), found.next()) {
            (first, None) => Ok(first.map(|(_, value)| *value)),
            _ => Err(format!("a `{}` has the attribute `{name}` twice", self.class)),
        }
    }

    pub(crate) fn required(&self, name: &str) -> Result<Id, String> {
        self.get(name)?
            .ok_or_else(|| format!("a `{}` has no `{name}`", self.class))
    }
}
