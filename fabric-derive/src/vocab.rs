//! The table of attributes: where each is allowed and which form it has. All messages about unknown, misplaced,
//! repeated and malformed attributes use this table.

use std::fmt::Write as _;

use proc_macro2::Ident;

use crate::errors::Errors;

/// The place of an attribute: the struct or the enum, a variant, or a field.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    Struct,
    Variant,
    Field,
}

impl Place {
    /// The place in a sentence.
    fn named(self) -> &'static str {
        match self {
            Self::Struct => "struct",
            Self::Variant => "variant",
            Self::Field => "field",
        }
    }
}

/// The form of an attribute after its name.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// A name alone: `skip`.
    Flag,
    /// A value: `rename = "name"`.
    Value,
    /// A name alone or a value: `default`, `default = path`.
    FlagOrValue,
    /// Options in parentheses: `shard(dim = 0)`.
    List,
    /// A value or a list: `filter = "text"`, `filter("a", "b")`.
    ValueOrList,
}

/// The rule for repeating an attribute on one field or struct.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Repeat {
    Never,
    /// Not allowed, with advice on what to write instead.
    Instead(&'static str),
    Often,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Name {
    Metadata,
    Skip,
    Filter,
    Rename,
    Alias,
    Optional,
    Default,
    Flatten,
    Shard,
    PerRank,
    Buffer,
    RenameAll,
    Crate,
    Bound,
    Version,
    Migrate,
}

pub(crate) struct Word {
    pub(crate) name: Name,
    pub(crate) text: &'static str,
    pub(crate) places: &'static [Place],
    pub(crate) form: Form,
    pub(crate) repeat: Repeat,
    /// An example of the attribute, for messages.
    pub(crate) example: &'static str,
}

const fn word(name: Name, text: &'static str, places: &'static [Place], form: Form, example: &'static str) -> Word {
    Word {
        name,
        text,
        places,
        form,
        repeat: Repeat::Never,
        example,
    }
}

impl Word {
    const fn repeat(mut self, repeat: Repeat) -> Self {
        self.repeat = repeat;
        self
    }
}

#[rustfmt::skip]
static WORDS: &[Word] = &[
    word(Name::Metadata, "metadata", &[Place::Field], Form::Flag, "metadata"),
    word(Name::Skip, "skip", &[Place::Field], Form::Flag, "skip"),
    word(Name::Filter, "filter", &[Place::Field], Form::ValueOrList, "filter = \"text\"")
        .repeat(Repeat::Instead("combine patterns as filter(\"a\", \"b\")")),
    word(Name::Rename, "rename", &[Place::Field, Place::Variant], Form::Value, "rename = \"name\""),
    word(Name::Alias, "alias", &[Place::Field, Place::Variant], Form::Value, "alias = \"old\"").repeat(Repeat::Often),
    word(Name::Optional, "optional", &[Place::Field], Form::Flag, "optional"),
    word(Name::Default, "default", &[Place::Field], Form::FlagOrValue, "default = path::to::function"),
    word(Name::Flatten, "flatten", &[Place::Field], Form::Flag, "flatten"),
    word(Name::Shard, "shard", &[Place::Field], Form::List, "shard(dim = 0)").repeat(Repeat::Often),
    word(Name::PerRank, "per_rank", &[Place::Field], Form::Flag, "per_rank"),
    word(Name::Buffer, "buffer", &[Place::Field], Form::Flag, "buffer"),
    word(Name::RenameAll, "rename_all", &[Place::Struct], Form::Value, "rename_all = \"camelCase\""),
    word(Name::Crate, "crate", &[Place::Struct], Form::Value, "crate = \"path::to::fabric_core\""),
    word(Name::Bound, "bound", &[Place::Struct], Form::Value, "bound = \"T: Checkpoint\""),
    word(Name::Version, "version", &[Place::Struct], Form::Value, "version = 2"),
    word(Name::Migrate, "migrate", &[Place::Struct], Form::Value, "version = 2, migrate = Self::migrations"),
];

/// Names of other libraries for these attributes, and names that users may expect, each with advice.
#[rustfmt::skip]
static ELSEWHERE: &[(&str, &str)] = &[
    ("ignore", CALLED_SKIP),
    ("ignored", CALLED_SKIP),
    ("constant", CALLED_SKIP),
    ("transient", CALLED_SKIP),
    ("skipped", CALLED_SKIP),
    ("skip_serializing", CALLED_SKIP),
    ("skip_deserializing", CALLED_SKIP),
    ("skip_if", MAY_BE_ABSENT),
    ("skip_serializing_if", MAY_BE_ABSENT),
    ("name", CALLED_RENAME),
    ("key", CALLED_RENAME),
    ("required", "a field is required unless it is marked `optional`"),
    ("serde", STORED_BY_SERDE),
    ("value", STORED_BY_SERDE),
    ("json", STORED_BY_SERDE),
    ("with", WITH),
    ("serialize_with", WITH),
    ("deserialize_with", WITH),
    ("load_with", WITH),
    ("save_with", WITH),
    ("transparent", "a struct of one unnamed field is transparent without an attribute, and a field among others whose entries need no \
                     name of their own is marked `flatten`"),
    ("inline", "a field whose entries need no name of its own is marked `flatten`"),
    ("module", "a module needs no attribute"),
    ("optimizer", "an optimizer needs no attribute"),
    ("tensor", "a tensor needs no attribute"),
    ("parameter", "a learned tensor needs no attribute"),
    ("trainable", "a learned tensor needs no attribute"),
    ("frozen", "a frozen module needs no attribute; to keep it out of the file, write `skip`, or `filter` for a part of it; \
                to leave it out of one load, use LoadOptions::only"),
    ("tied", "tied tensors are recognised by their storage and need no attribute"),
    ("replicated", "a tensor without `shard` is replicated and needs no attribute"),
    ("replicate", "a tensor without `shard` is replicated and needs no attribute"),
    ("split", CALLED_SHARD),
    ("partition", CALLED_SHARD),
    ("partitioned", CALLED_SHARD),
    ("sharded", CALLED_SHARD),
    ("dim", CALLED_SHARD),
    ("axis", "the axis of the mesh is an option of `shard`, as in shard(dim = 0, axis = \"tp\")"),
    ("local", "a value that differs by rank is marked `per_rank`; a tensor that is a part of a larger one is marked shard(dim = 0)"),
    ("glob", "a pattern is a form of `filter`, as in filter = glob(\"*.weight\")"),
    ("regex", "a pattern is a form of `filter`, as in filter = glob(\"*.weight\")"),
    ("only", CALLED_FILTER),
    ("include", CALLED_FILTER),
    ("exclude", "to leave out the whole field, write `skip`; to leave out a part of it, filter = path::to::function"),
    ("dtype", "a save keeps the element type of each tensor; LoadOptions::cast(true) converts on load"),
    ("cast", "a save keeps the element type of each tensor; LoadOptions::cast(true) converts on load"),
];

const CALLED_SKIP: &str = "it is called `skip` here";
const CALLED_RENAME: &str = "it is called `rename` here, as in rename = \"name\"";
const CALLED_SHARD: &str = "it is called `shard` here, as in shard(dim = 0)";
const CALLED_FILTER: &str = "it is called `filter` here, as in filter = \"weight\"";
const STORED_BY_SERDE: &str = "a field whose type has serde's traits is marked `metadata`";
const WITH: &str = "serde converts a field that is marked `metadata`: write #[serde(with = \"...\")] inside its type";
const MAY_BE_ABSENT: &str =
    "whether a field is stored depends on no condition; a field of type `Option` stores nothing for `None`";

/// The attribute `key`, if `place` allows it; otherwise reports the place that allows it, or a similar name.
pub(crate) fn find(key: &Ident, place: Place, errors: &Errors) -> Option<&'static Word> {
    let text = key.to_string();
    match WORDS.iter().find(|word| word.text == text) {
        Some(word) if word.places.contains(&place) => Some(word),
        Some(word) => {
            let with_article = |place: Place| {
                let article = if place == Place::Struct { "the" } else { "a" };
                format!("{article} {}", place.named())
            };
            let belongs = word.places.first().copied().unwrap_or(Place::Field);
            let (belongs, stands) = (with_article(belongs), with_article(place));
            errors.at(key, format_args!("`{text}` belongs on {belongs}, not on {stands}"));
            None
        }
        None => {
            errors.at(key, unknown(&text, place));
            None
        }
    }
}

/// The error message for an unknown attribute, with the attribute that is probably meant.
pub(crate) fn unknown(text: &str, place: Place) -> String {
    let kind = place.named();
    let mut message = format!("unknown checkpoint {kind} attribute `{text}`; ");
    if let Some((_, advice)) = ELSEWHERE.iter().find(|(other, _)| *other == text) {
        message.push_str(advice);
    } else if let Some(near) = nearest(text, place) {
        let _ = write!(message, "did you mean `{near}`?");
    } else {
        let known: Vec<_> = at(place).map(|word| format!("`{}`", word.text)).collect();
        let _ = write!(message, "known are {}", known.join(", "));
    }
    message
}

fn at(place: Place) -> impl Iterator<Item = &'static Word> {
    WORDS.iter().filter(move |word| word.places.contains(&place))
}

fn nearest(text: &str, place: Place) -> Option<&'static str> {
    let near = at(place).map(|word| (strsim::damerau_levenshtein(text, word.text), word.text));
    let (distance, word) = near.min()?;
    (distance <= 2.max(word.len() / 3) && distance < word.len()).then_some(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_word_finds_its_neighbour() {
        assert_eq!(nearest("fliter", Place::Field), Some("filter"));
        assert_eq!(nearest("renam", Place::Field), Some("rename"));
        assert_eq!(nearest("rename_al", Place::Struct), Some("rename_all"));
        assert_eq!(nearest("everything", Place::Field), None);
    }

    #[test]
    fn no_foreign_name_is_one_of_ours() {
        for (foreign, _) in ELSEWHERE {
            assert!(WORDS.iter().all(|word| word.text != *foreign), "{foreign}");
        }
    }
}
