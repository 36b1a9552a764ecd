//! Recipes for files of older versions: the words that a program writes, without the engine that follows them.

mod names;
mod pattern;
mod recipes;
mod word;

use std::fmt;

use candle_core::Tensor;
use serde::Serialize;
use serde::de::DeserializeOwned;

pub use self::names::{EntryNames, NewShape};
pub(crate) use self::pattern::{Captures, Pattern};
pub use self::recipes::Recipes;
pub(crate) use self::recipes::StructRecipe;
pub use self::word::Moments;
pub(crate) use self::word::{Step, Verb, Word};
use crate::entry::DType;
use crate::value::Value;

/// A recipe that brings the entries of an older file to the present version of a struct.
///
/// `#[checkpoint(version = 3, migrate = Attention::migrations)]` declares the recipe of a struct. Its steps are numbered by the
/// version that they start from, and a load follows those that the file has not yet seen, one version after the other. The words of
/// a step edit the names, shapes and values that the file shows; the bytes of the file stay.
///
/// ```
/// use candle_nn::Linear;
/// use fabric_core::{Checkpoint, Migrations};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize, Deserialize)]
/// struct Rope { theta: f64, scaling: f64 }
///
/// #[derive(Checkpoint)]
/// #[checkpoint(version = 3, migrate = Attention::migrations)]
/// struct Attention { qkv: Linear, out: Linear, #[checkpoint(metadata)] rope: Rope }
///
/// impl Attention {
///     fn migrations(m: &mut Migrations) {
///         m.from(1, "one matrix for q, k and v")
///             .concat(["wq.weight", "wk.weight", "wv.weight"], "qkv.weight", 0)
///             .concat(["wq.bias", "wk.bias", "wv.bias"], "qkv.bias", 0);
///         m.from(2, "out as PyTorch has it")
///             .rename("proj.*", "out.*")
///             .transpose("out.weight", 0, 1)
///             .value("theta", "rope", |theta: f64| Rope { theta, scaling: 1.0 })
///             .remove("mask");
///     }
/// }
/// ```
///
/// # Names
///
/// A name is relative to the struct; in [`LoadOptions::migrations`](crate::LoadOptions::migrations) it begins at the first level of the
/// file, and words may stand before the first `from`. `*` stands for one or more characters between two dots, `layers.*.weight` for the
/// weight of each layer, and the first `*` of a new name becomes the text that the first `*` of the old name stood for.
/// [`rename`](Self::rename), [`remove`](Self::remove), [`keep`](Self::keep) and [`insert_zeros`](Self::insert_zeros) take everything
/// below a name too.
///
/// # The optimizer
///
/// A word that moves the elements of a parameter does the same to an optimizer's state of it, and to its name in the groups. After
/// [`tensor`](Self::tensor) and [`insert_zeros`](Self::insert_zeros) the state of the parameter begins anew.
/// [`moments`](Self::moments) asks for that after any word about tensors.
///
/// # Errors
///
/// A word that finds nothing, in the file or for `keep` and `insert_zeros` in the state, refuses the load, unless
/// [`if_present`](Self::if_present) follows it or a filter left the entry out when the file was saved. The load changes nothing before all words have been followed.
#[derive(Clone, Default)]
pub struct Migrations {
    pub(crate) steps: Vec<Step>,
}

impl Migrations {
    /// Begins the step from `version` to the next one. `what` says in messages what the step is for. A step without words is
    /// right where a version moved nothing.
    pub fn from(&mut self, version: u32, what: impl Into<String>) -> &mut Self {
        self.steps.push(Step {
            from: Some(version),
            what: what.into(),
            words: Vec::new(),
        });
        self
    }

    /// Gives an entry, or all entries below a name, another name: `rename("layers.*.ln", "blocks.*.norm")`.
    pub fn rename(&mut self, from: impl Into<String>, to: impl Into<String>) -> &mut Self {
        self.word(Verb::Rename {
            from: Pattern::new(from),
            to: Pattern::new(to),
        })
    }

    /// Joins tensors along the dimension `dim`, in the order of `names`. Their lengths along it may differ.
    pub fn concat<S: Into<String>>(
        &mut self,
        names: impl IntoIterator<Item = S>,
        to: impl Into<String>,
        dim: usize,
    ) -> &mut Self {
        let from = names.into_iter().map(Pattern::new).collect();
        self.word(Verb::Concat {
            from,
            to: Pattern::new(to),
            dim,
        })
    }

    /// Cuts a tensor along the dimension `dim` into tensors of these lengths, which together are its length.
    pub fn split<S: Into<String>>(
        &mut self,
        from: impl Into<String>,
        parts: impl IntoIterator<Item = (S, usize)>,
        dim: usize,
    ) -> &mut Self {
        let to = parts.into_iter().map(|(name, len)| (Pattern::new(name), len));
        self.word(Verb::Split {
            from: Pattern::new(from),
            to: to.collect(),
            dim,
        })
    }

    /// Joins tensors of one shape along a new dimension `dim`: those of a list of names, in its order, or those of a name whose last
    /// `*` stands for a number, in the order of the numbers.
    pub fn stack(&mut self, names: impl Into<EntryNames>, to: impl Into<String>, dim: usize) -> &mut Self {
        self.word(Verb::Stack {
            from: names.into().0,
            to: Pattern::new(to),
            dim,
        })
    }

    /// Takes a tensor apart along the dimension `dim`, which goes. The last `*` of `to` stands for the index, from 0 on.
    pub fn unstack(&mut self, from: impl Into<String>, to: impl Into<String>, dim: usize) -> &mut Self {
        self.word(Verb::Unstack {
            from: Pattern::new(from),
            to: Pattern::new(to),
            dim,
        })
    }

    /// Exchanges two dimensions of a tensor.
    pub fn transpose(&mut self, name: impl Into<String>, a: usize, b: usize) -> &mut Self {
        self.word(Verb::Transpose {
            name: Pattern::new(name),
            dims: (a, b),
        })
    }

    /// Gives a tensor another shape of as many elements, in row-major order. A tensor that is stored in pieces may come to lie in
    /// very many of them, which is an error: [`tensor`](Self::tensor) reshapes it in memory.
    pub fn reshape(&mut self, name: impl Into<String>, shape: impl Into<NewShape>) -> &mut Self {
        self.word(Verb::Reshape {
            name: Pattern::new(name),
            shape: shape.into().0,
        })
    }

    /// Converts the elements of a tensor to another type while they are read. An optimizer's state keeps its types. Of several
    /// conversions the last one counts, from the stored elements.
    pub fn cast(&mut self, name: impl Into<String>, dtype: impl Into<DType>) -> &mut Self {
        self.word(Verb::Cast {
            name: Pattern::new(name),
            dtype: dtype.into(),
        })
    }

    /// Makes the value `to` of the value `from`, which may have the same name. `A` is the type that the old program stored.
    pub fn value<A: DeserializeOwned, B: Serialize>(
        &mut self,
        from: impl Into<String>,
        to: impl Into<String>,
        convert: impl Fn(A) -> B + Send + Sync + 'static,
    ) -> &mut Self {
        self.word(Verb::value(from, to, move |old| {
            let old: A = old.decode().map_err(|error| error.to_string())?;
            Value::of(&convert(old)).map_err(|error| error.to_string())
        }))
    }

    /// Makes the value `to` of the value `from` with a function that may fail. Its error refuses the load.
    pub fn try_value<A: DeserializeOwned, B: Serialize, E: fmt::Display>(
        &mut self,
        from: impl Into<String>,
        to: impl Into<String>,
        convert: impl Fn(A) -> Result<B, E> + Send + Sync + 'static,
    ) -> &mut Self {
        self.word(Verb::value(from, to, move |old| {
            let old: A = old.decode().map_err(|error| error.to_string())?;
            let new = convert(old).map_err(|error| error.to_string())?;
            Value::of(&new).map_err(|error| error.to_string())
        }))
    }

    /// Adds a value that an older file lacks.
    pub fn insert<B: Serialize>(&mut self, name: impl Into<String>, value: B) -> &mut Self {
        let value = Value::of(&value).map_err(|error| error.to_string());
        self.word(Verb::Insert {
            name: Pattern::new(name),
            value,
        })
    }

    /// Adds a tensor of zeros that an older file lacks. It has the shape and the type that the state has.
    pub fn insert_zeros(&mut self, name: impl Into<String>) -> &mut Self {
        self.word(Verb::Zeros(Pattern::new(name)))
    }

    /// Leaves an entry that an older file lacks, or all entries below a name, as the state has them.
    pub fn keep(&mut self, name: impl Into<String>) -> &mut Self {
        self.word(Verb::Keep(Pattern::new(name)))
    }

    /// Takes an entry of the file, or all entries below a name, away: the state has no such entry any more, and the remainder of the
    /// load lacks it.
    pub fn remove(&mut self, name: impl Into<String>) -> &mut Self {
        self.word(Verb::Remove(Pattern::new(name)))
    }

    /// Says that the entries below a name are those of a version of their struct. A struct that a step makes, of entries that lay
    /// elsewhere before, has no version in the file: `version("attn", 3)` lets a later load follow its steps from 3 on. Without the
    /// word, the entries are taken for those of the present version, and the report says so.
    ///
    /// ```
    /// # use fabric_core::Migrations;
    /// fn migrations(m: &mut Migrations) {
    ///     m.from(1, "attention is a struct").rename("wq", "attn.wq").rename("wo", "attn.wo").version("attn", 3);
    /// }
    /// # migrations(&mut Migrations::default());
    /// ```
    pub fn version(&mut self, name: impl Into<String>, version: u32) -> &mut Self {
        self.word(Verb::Version {
            name: Pattern::new(name),
            version,
        })
    }

    /// Makes the tensor `to` of the tensor `from` with any function, on the CPU. This is the only word that holds a tensor in memory.
    pub fn tensor<E: fmt::Display>(
        &mut self,
        from: impl Into<String>,
        to: impl Into<String>,
        convert: impl Fn(Tensor) -> Result<Tensor, E> + Send + Sync + 'static,
    ) -> &mut Self {
        self.word(Verb::tensor(from, to, move |old| {
            convert(old).map_err(|error| error.to_string())
        }))
    }

    /// The word before may find nothing.
    pub fn if_present(&mut self) -> &mut Self {
        if let Some(word) = self.steps.last_mut().and_then(|step| step.words.last_mut()) {
            word.if_present = true;
        }
        self
    }

    /// The treatment of an optimizer's state by the word before.
    pub fn moments(&mut self, moments: Moments) -> &mut Self {
        if let Some(word) = self.steps.last_mut().and_then(|step| step.words.last_mut()) {
            word.moments = moments;
        }
        self
    }

    /// Returns true if a word leaves entries of the state as they are.
    pub(crate) fn keeps(&self) -> bool {
        let mut words = self.steps.iter().flat_map(|step| &step.words);
        words.any(|word| matches!(word.verb, Verb::Keep(_)))
    }

    fn word(&mut self, verb: Verb) -> &mut Self {
        if self.steps.is_empty() {
            self.steps.push(Step::default());
        }
        if let Some(step) = self.steps.last_mut() {
            step.words.push(Word {
                verb,
                if_present: false,
                moments: Moments::Follow,
            });
        }
        self
    }
}

/// The text is equal in every process that runs the program: ranks compare options by it.
impl fmt::Debug for Migrations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.steps).finish()
    }
}
