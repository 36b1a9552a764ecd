//! The keys that a type uses at its own level, as far as the type alone determines them.

use crate::entry::{MAX_LEN, root, strip};

/// The keys of a type. The derive macro turns collisions with a flattened field into compile errors, and a load finds
/// the entries of a file that belong to a field without entries at present.
#[derive(Clone, Copy, Debug)]
pub struct Keys {
    own: &'static [&'static str],
    aliases: &'static [&'static str],
    flattened: &'static [&'static Keys],
    rest: Rest,
}

/// The keys beside the listed ones.
#[derive(Clone, Copy, Debug)]
enum Rest {
    Nothing,
    /// Any subset of these keys, depending on the value: a layer has a bias or none.
    Some(&'static [&'static str]),
    /// Indices from 0.
    Numbers,
    /// Any key, as in a map.
    Anything,
    /// Unknown keys, as of a hand-written implementation.
    Unknown,
}

impl Keys {
    /// No key.
    pub const NONE: Self = Self::new(&[], &[]);

    /// Any key.
    pub const ANY: Self = Self::rest(Rest::Anything);

    /// Indices from 0.
    pub const NUMBERS: Self = Self::rest(Rest::Numbers);

    /// Unknown keys, as of a hand-written implementation.
    pub const UNKNOWN: Self = Self::rest(Rest::Unknown);

    /// The keys of an optimizer.
    pub const OPTIMIZER: Self = Self::some_of(&["kind", "param_groups", "state"]);

    /// The type's own keys, and the keys of the fields that it flattens.
    #[must_use]
    pub const fn new(own: &'static [&'static str], flattened: &'static [&'static Keys]) -> Self {
        Self {
            own,
            aliases: &[],
            flattened,
            rest: Rest::Nothing,
        }
    }

    /// Any subset of these keys.
    #[must_use]
    pub const fn some_of(names: &'static [&'static str]) -> Self {
        Self::rest(Rest::Some(names))
    }

    const fn rest(rest: Rest) -> Self {
        Self {
            own: &[],
            aliases: &[],
            flattened: &[],
            rest,
        }
    }

    /// Adds further names of the own keys.
    #[must_use]
    pub const fn aliases(mut self, aliases: &'static [&'static str]) -> Self {
        self.aliases = aliases;
        self
    }

    /// The reason why a text is no key, or no alias; `None` if it is one. An alias may be a path.
    #[must_use]
    pub const fn complaint(key: &str, is_alias: bool) -> Option<&'static str> {
        let bytes = key.as_bytes();
        if bytes.is_empty() {
            return Some("is empty");
        }
        if same(key, "__metadata__") || same(key, "__fabric__") {
            return Some("is reserved by a file format; choose another name");
        }
        if bytes.len() > MAX_LEN {
            return Some("is longer than 4096 bytes; choose a shorter name");
        }
        let mut at = 0;
        while at < bytes.len() {
            if is_alias && bytes[at] == b'.' {
                if at == 0 || at + 1 == bytes.len() || bytes[at - 1] == b'.' {
                    return Some("has an empty segment; write a name between the dots");
                }
            } else if bytes[at] == b'.' {
                return Some(
                    "contains `.`, which separates nested keys; to nest, put the field into a struct of its own",
                );
            }
            if bytes[at].is_ascii_control() {
                return Some("contains a control character; remove it");
            }
            at += 1;
        }
        None
    }

    /// The first key of `other` that is a key here as well.
    #[must_use]
    pub const fn collision(&self, other: &Self) -> Option<&'static str> {
        self.first(other, Which::Keys, Which::Keys)
    }

    /// The first alias of `other` that is a key here.
    #[must_use]
    pub const fn alias_collision(&self, other: &Self) -> Option<&'static str> {
        self.first(other, Which::Keys, Which::Aliases)
    }

    /// The first alias of `other` that is an alias here as well.
    #[must_use]
    pub const fn common_alias(&self, other: &Self) -> Option<&'static str> {
        self.first(other, Which::Aliases, Which::Aliases)
    }

    /// The first name of `other`, of the kind `there`, that is a name here, of the kind `here`.
    const fn first(&self, other: &Self, here: Which, there: Which) -> Option<&'static str> {
        let names = other.listed(there);
        let mut at = 0;
        while at < names.len() {
            if self.contains(names[at], here) {
                return Some(names[at]);
            }
            at += 1;
        }
        let mut at = 0;
        while at < other.flattened.len() {
            if let Some(name) = self.first(other.flattened[at], here, there) {
                return Some(name);
            }
            at += 1;
        }
        None
    }

    const fn contains(&self, name: &str, which: Which) -> bool {
        let names = self.listed(which);
        let mut at = 0;
        while at < names.len() {
            if same(names[at], name) {
                return true;
            }
            at += 1;
        }
        let mut at = 0;
        while at < self.flattened.len() {
            if self.flattened[at].contains(name, which) {
                return true;
            }
            at += 1;
        }
        false
    }

    const fn listed(&self, which: Which) -> &'static [&'static str] {
        match which {
            Which::Keys => self.own,
            Which::Aliases => self.aliases,
        }
    }

    /// Returns true if the entry `name` of a file belongs to a state with these keys, even if the state holds no such entry at
    /// present. A module or a map that is itself the state claims no name; a flattened one claims every name that begins with
    /// a key that it could hold.
    pub(crate) fn claims(&self, name: &str) -> bool {
        let is_alias = |alias: &&str| strip(name, alias).is_some();
        self.own.contains(&root(name))
            || self.aliases.iter().any(is_alias)
            || self.flattened.iter().any(|keys| keys.could_hold(name))
    }

    fn could_hold(&self, name: &str) -> bool {
        let key = root(name);
        match self.rest {
            Rest::Nothing => self.claims(name),
            Rest::Some(names) => names.contains(&key),
            Rest::Numbers => !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_digit()),
            Rest::Anything | Rest::Unknown => true,
        }
    }
}

impl Default for Keys {
    fn default() -> Self {
        Self::NONE
    }
}

/// The kind of a name: key or alias.
#[derive(Clone, Copy)]
enum Which {
    Keys,
    Aliases,
}

const fn same(a: &str, b: &str) -> bool {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    if a.len() != b.len() {
        return false;
    }
    let mut at = 0;
    while at < a.len() {
        if a[at] != b[at] {
            return false;
        }
        at += 1;
    }
    true
}
