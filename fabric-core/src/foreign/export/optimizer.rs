//! Writes an optimizer's entries as the dict that `torch.optim.Optimizer.load_state_dict` takes.
//!
//! ```text
//! kind                         {"state": {0: {"step": tensor(3.), "exp_avg": ..., "exp_avg_sq": ...}, ...},
//! state.fc1.weight.exp_avg      "param_groups": [{"lr": 0.001, "betas": (0.9, 0.999), ...,
//! state.fc1.weight.step                           "param_names": ["fc1.weight", ...], "params": [0, ...]}]}
//! param_groups
//! ```
//!
//! PyTorch matches parameters by their order: number n is the n-th parameter that the optimizer was given. Each group
//! stores the names as `param_names`, which PyTorch keeps.

use std::collections::{BTreeMap, HashMap};

use ciborium::Value as Cbor;

use super::object::Object;
use super::state_dict::{Arranging, Entry, Leaf};
use crate::entry::{DType, strip};
use crate::error::{Error, Result};

const GROUPS: &str = "param_groups";
const KIND: &str = "kind";
const PARAMS: &str = "params";
const NAMES: &str = "param_names";
const STATE: &str = "state";
const STEP: &str = "step";

/// The options that PyTorch's `AdamW` expects in a group, and that this library's `AdamW` does not store.
const ADAMW: &[(&str, Constant)] = &[
    ("amsgrad", Constant::False),
    ("maximize", Constant::False),
    ("foreach", Constant::None),
    ("capturable", Constant::False),
    ("differentiable", Constant::False),
    ("fused", Constant::None),
    ("decoupled_weight_decay", Constant::True),
];

const SGD: &[(&str, Constant)] = &[
    ("dampening", Constant::Zero),
    ("nesterov", Constant::False),
    ("maximize", Constant::False),
    ("foreach", Constant::None),
    ("differentiable", Constant::False),
    ("fused", Constant::None),
];

const RMSPROP: &[(&str, Constant)] = &[
    ("maximize", Constant::False),
    ("foreach", Constant::None),
    ("capturable", Constant::False),
    ("differentiable", Constant::False),
];

#[derive(Clone, Copy)]
enum Constant {
    None,
    False,
    True,
    Zero,
}

impl Constant {
    fn object(self) -> Object<'static> {
        match self {
            Self::None => Object::None,
            Self::False => Object::Bool(false),
            Self::True => Object::Bool(true),
            Self::Zero => Object::Number(0),
        }
    }
}

/// Returns true if `entries` are those of an optimizer.
pub(crate) fn is_one(entries: &[Entry<'_>]) -> bool {
    entries
        .iter()
        .any(|entry| entry.name == GROUPS && groups(entry).is_some())
}

/// Returns true if this entry is the `param_groups` of an optimizer, at any depth.
pub(crate) fn is_inside(entry: &Entry<'_>) -> bool {
    entry.name.rsplit('.').next() == Some(GROUPS) && groups(entry).is_some()
}

/// A group's options.
type Group<'a> = &'a [(Cbor, Cbor)];

/// The groups, if the entry is a list of maps with parameters.
fn groups<'a>(entry: &Entry<'a>) -> Option<Vec<Group<'a>>> {
    let Leaf::Value(value) = entry.leaf else { return None };
    let groups = value
        .0
        .as_array()?
        .iter()
        .map(|group| group.as_map().map(Vec::as_slice));
    let groups: Vec<Group<'a>> = groups.collect::<Option<_>>()?;
    groups
        .iter()
        .all(|group| option(group, PARAMS).is_some_and(Cbor::is_array))
        .then_some(groups)
}

fn option<'a>(group: Group<'a>, name: &str) -> Option<&'a Cbor> {
    let found = group.iter().find(|(key, _)| key.as_text() == Some(name));
    found.map(|(_, value)| value)
}

/// The name or number of a parameter in a group of the file.
fn parameter_name(parameter: &Cbor) -> Option<String> {
    match parameter {
        Cbor::Text(name) => Some(name.clone()),
        Cbor::Integer(number) => Some(i128::from(*number).to_string()),
        _ => None,
    }
}

/// The parameters of an optimizer, numbered across all groups.
struct Parameters {
    names: Vec<String>,
    numbers: HashMap<String, usize>,
    /// The file names parameters, and does not number them.
    named: bool,
}

impl Parameters {
    fn of(groups: &[Group<'_>], full: &str) -> Result<Self> {
        let refused = |what: String| Error::WrongType {
            name: full.to_owned(),
            what,
        };
        let mut parameters = Self {
            names: Vec::new(),
            numbers: HashMap::new(),
            named: false,
        };
        let listed = groups.iter().filter_map(|group| option(group, PARAMS)?.as_array());
        for parameter in listed.flatten() {
            let name = parameter_name(parameter)
                .ok_or_else(|| refused("has a parameter that is neither a name nor a number".to_owned()))?;
            parameters.named |= parameter.is_text();
            if parameters
                .numbers
                .insert(name.clone(), parameters.names.len())
                .is_some()
            {
                return Err(refused(format!("has the parameter `{name}` twice")));
            }
            parameters.names.push(name);
        }
        Ok(parameters)
    }

    /// The parameter and the name of its state in `<parameter>.<name>`. Names of parameters may contain dots.
    fn find<'n>(&self, below_state: &'n str) -> Option<(usize, &'n str)> {
        let dots = below_state.rmatch_indices('.').map(|(at, _)| at);
        let mut splits = dots.map(|at| (&below_state[..at], &below_state[at + 1..]));
        splits.find_map(|(parameter, name)| Some((*self.numbers.get(parameter)?, name)))
    }

    fn key(&self, number: usize, by_name: bool) -> Object<'static> {
        if by_name && self.named {
            Object::text(&*self.names[number])
        } else {
            Object::Number(number as u64)
        }
    }
}

/// Builds the optimizer's state dict from its entries.
pub(crate) fn state_dict<'a>(arranging: &mut Arranging<'a>, entries: &[Entry<'a>]) -> Result<Object<'a>> {
    let Some((at, groups)) = entries
        .iter()
        .find_map(|entry| (entry.name == GROUPS).then(|| Some((entry, groups(entry)?)))?)
    else {
        return Ok(Object::Dict(Vec::new()));
    };
    let parameters = Parameters::of(&groups, at.full)?;
    let mut kind = None;
    let mut state: BTreeMap<usize, Vec<(&str, &Entry<'a>)>> = BTreeMap::new();
    let mut others = Vec::new();
    for entry in entries {
        if entry.name == KIND {
            kind = text(entry);
            // `load_state_dict` would turn the kind into an attribute of the optimizer.
            arranging.left_out.push(entry.full.to_owned());
        } else if let Some(below) = strip(entry.name, STATE).filter(|below| !below.is_empty()) {
            let (number, name) = parameters.find(below).ok_or_else(|| Error::WrongType {
                name: entry.full.to_owned(),
                what: format!("is the state of a parameter that `{}` does not list", at.full),
            })?;
            state.entry(number).or_default().push((name, entry));
        } else if entry.name != GROUPS && entry.name != STATE {
            others.push(entry);
        }
    }
    let by_name = arranging.choices.parameter_names;
    let mut states = Vec::with_capacity(state.len());
    for (number, entries) in state {
        states.push((parameters.key(number, by_name), parameter_state(arranging, entries)?));
    }
    // A foreign file may hold an empty state as one value.
    let value = entries.iter().find(|entry| entry.name == STATE && states.is_empty());
    let state = value.map_or_else(|| Ok(Object::Dict(states)), |value| arranging.leaf(value))?;
    let mut first = 0;
    let mut listed = Vec::with_capacity(groups.len());
    for group in groups {
        let count = option(group, PARAMS).and_then(Cbor::as_array).map_or(0, Vec::len);
        listed.push(group_object(
            group,
            at.full,
            kind,
            &parameters,
            first..first + count,
            by_name,
        ));
        first += count;
    }
    let mut object = vec![
        (Object::text(STATE), state),
        (Object::text(GROUPS), Object::List(listed)),
    ];
    for entry in others {
        object.push((Object::text(entry.name), arranging.leaf(entry)?));
    }
    Ok(Object::Dict(object))
}

fn text<'a>(entry: &Entry<'a>) -> Option<&'a str> {
    match entry.leaf {
        Leaf::Value(value) => value.0.as_text(),
        Leaf::Tensor(_) => None,
    }
}

/// The state of one parameter. Its step count comes first, as in PyTorch.
fn parameter_state<'a>(arranging: &mut Arranging<'a>, mut entries: Vec<(&str, &Entry<'a>)>) -> Result<Object<'a>> {
    entries.sort_by_key(|(name, _)| (*name != STEP, name.to_owned()));
    let mut object = Vec::with_capacity(entries.len());
    for (name, entry) in entries {
        let count = (name == STEP).then(|| number(entry)).flatten();
        let leaf = match count {
            Some(count) => step(arranging, count),
            None => arranging.leaf(entry)?,
        };
        object.push((Object::text(name), leaf));
    }
    Ok(Object::Dict(object))
}

#[allow(clippy::cast_precision_loss, reason = "a count of steps is below 2^53")]
fn number(entry: &Entry<'_>) -> Option<f64> {
    let Leaf::Value(value) = entry.leaf else { return None };
    match &value.0 {
        Cbor::Integer(count) => Some(i128::from(*count) as f64),
        Cbor::Float(count) => Some(*count),
        _ => None,
    }
}

/// A step count as PyTorch stores it: a 32-bit tensor without dimensions, or a wider one for a larger count.
#[allow(
    clippy::cast_possible_truncation,
    reason = "it is looked at whether anything was lost"
)]
fn step<'a>(arranging: &mut Arranging<'a>, count: f64) -> Object<'a> {
    let short = count as f32;
    #[allow(clippy::float_cmp, reason = "exactly what is asked: is it the same number?")]
    let tensor = if f64::from(short) == count {
        arranging.storages.scalar(DType::F32, &short.to_le_bytes())
    } else {
        arranging.storages.scalar(DType::F64, &count.to_le_bytes())
    };
    Object::Tensor(tensor)
}

/// One group: its stored options, the further options of PyTorch's optimizer of this kind, and its parameters.
fn group_object<'a>(
    group: Group<'a>,
    full: &'a str,
    kind: Option<&str>,
    parameters: &Parameters,
    numbers: std::ops::Range<usize>,
    by_name: bool,
) -> Object<'a> {
    let mut object: Vec<(Object<'a>, Object<'a>)> = Vec::new();
    for (key, value) in group {
        let Some(key) = key.as_text().filter(|key| *key != PARAMS && *key != NAMES) else {
            continue;
        };
        let value = match value.as_array() {
            // PyTorch stores `betas` as a tuple, and every other sequence as a list.
            Some(items) if key == "betas" => {
                Object::Tuple(items.iter().map(|item| Object::Value(full, item)).collect())
            }
            _ => Object::Value(full, value),
        };
        object.push((Object::text(key), value));
    }
    let wanted = match kind {
        Some("AdamW" | "Adam") => ADAMW,
        Some("RMSprop") => RMSPROP,
        Some("Sgd") => SGD,
        _ => &[],
    };
    for (key, constant) in wanted.iter().filter(|(key, _)| option(group, key).is_none()) {
        object.push((Object::text(*key), constant.object()));
    }
    if parameters.named {
        let names = parameters.names[numbers.clone()].iter();
        object.push((
            Object::text(NAMES),
            Object::List(names.map(|name| Object::text(&**name)).collect()),
        ));
    } else if let Some(names) = option(group, NAMES) {
        object.push((Object::text(NAMES), Object::Value(full, names)));
    }
    let params = numbers.map(|number| parameters.key(number, by_name)).collect();
    object.push((Object::text(PARAMS), Object::List(params)));
    Object::Dict(object)
}
