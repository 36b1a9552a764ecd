//! The words of a recipe.

use std::fmt;
use std::sync::Arc;

use candle_core::Tensor;

use super::Pattern;
use crate::entry::DType;
use crate::value::Value;

/// The treatment of an optimizer's state by a word of a recipe.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Moments {
    /// The state of a parameter follows its elements.
    #[default]
    Follow,
    /// The state of the parameter begins anew, as that of a new parameter does.
    Reset,
}

/// The words from one version to the next.
#[derive(Clone, Debug, Default)]
pub(crate) struct Step {
    /// The version that the step starts from; `None` for words of a call, which belong to no version.
    pub(crate) from: Option<u32>,
    pub(crate) what: String,
    pub(crate) words: Vec<Word>,
}

/// A word with its modifiers.
#[derive(Clone)]
pub(crate) struct Word {
    pub(crate) verb: Verb,
    pub(crate) if_present: bool,
    pub(crate) moments: Moments,
}

/// Makes a value of a stored one. The error is a clause.
pub(crate) type ConvertValue = Arc<dyn Fn(&Value) -> Result<Value, String> + Send + Sync>;

/// Makes a tensor of a stored one. The error is a clause.
pub(crate) type ConvertTensor = Arc<dyn Fn(Tensor) -> Result<Tensor, String> + Send + Sync>;

#[derive(Clone)]
pub(crate) enum Verb {
    Rename {
        from: Pattern,
        to: Pattern,
    },
    Concat {
        from: Vec<Pattern>,
        to: Pattern,
        dim: usize,
    },
    Split {
        from: Pattern,
        to: Vec<(Pattern, usize)>,
        dim: usize,
    },
    /// Of several patterns, each is one tensor; the last star of a single one stands for numbers.
    Stack {
        from: Vec<Pattern>,
        to: Pattern,
        dim: usize,
    },
    Unstack {
        from: Pattern,
        to: Pattern,
        dim: usize,
    },
    Transpose {
        name: Pattern,
        dims: (usize, usize),
    },
    Reshape {
        name: Pattern,
        shape: Vec<usize>,
    },
    Cast {
        name: Pattern,
        dtype: DType,
    },
    Value {
        from: Pattern,
        to: Pattern,
        convert: ConvertValue,
    },
    Insert {
        name: Pattern,
        value: Result<Value, String>,
    },
    Zeros(Pattern),
    Version {
        name: Pattern,
        version: u32,
    },
    Keep(Pattern),
    Remove(Pattern),
    Tensor {
        from: Pattern,
        to: Pattern,
        convert: ConvertTensor,
    },
}

impl Verb {
    /// The names that the word looks for.
    pub(crate) fn sources(&self) -> Vec<&Pattern> {
        match self {
            Self::Concat { from, .. } | Self::Stack { from, .. } => from.iter().collect(),
            Self::Rename { from: name, .. }
            | Self::Split { from: name, .. }
            | Self::Unstack { from: name, .. }
            | Self::Value { from: name, .. }
            | Self::Tensor { from: name, .. }
            | Self::Transpose { name, .. }
            | Self::Reshape { name, .. }
            | Self::Cast { name, .. }
            | Self::Insert { name, .. }
            | Self::Version { name, .. }
            | Self::Zeros(name)
            | Self::Keep(name)
            | Self::Remove(name) => vec![name],
        }
    }

    pub(super) fn value(
        from: impl Into<String>,
        to: impl Into<String>,
        convert: impl Fn(&Value) -> Result<Value, String> + Send + Sync + 'static,
    ) -> Self {
        Self::Value {
            from: Pattern::new(from),
            to: Pattern::new(to),
            convert: Arc::new(convert),
        }
    }

    pub(super) fn tensor(
        from: impl Into<String>,
        to: impl Into<String>,
        convert: impl Fn(Tensor) -> Result<Tensor, String> + Send + Sync + 'static,
    ) -> Self {
        Self::Tensor {
            from: Pattern::new(from),
            to: Pattern::new(to),
            convert: Arc::new(convert),
        }
    }
}

/// The call in the program, for messages.
impl fmt::Debug for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rename { from, to } => write!(f, "rename({from:?}, {to:?})"),
            Self::Concat { from, to, dim } => write!(f, "concat({from:?}, {to:?}, {dim})"),
            Self::Split { from, to, dim } => write!(f, "split({from:?}, {to:?}, {dim})"),
            Self::Stack { from, to, dim } => match &from[..] {
                [pattern] => write!(f, "stack({pattern:?}, {to:?}, {dim})"),
                names => write!(f, "stack({names:?}, {to:?}, {dim})"),
            },
            Self::Unstack { from, to, dim } => write!(f, "unstack({from:?}, {to:?}, {dim})"),
            Self::Transpose { name, dims: (a, b) } => write!(f, "transpose({name:?}, {a}, {b})"),
            Self::Reshape { name, shape } => write!(f, "reshape({name:?}, {shape:?})"),
            Self::Cast { name, dtype } => write!(f, "cast({name:?}, {dtype:?})"),
            Self::Value { from, to, .. } => write!(f, "value({from:?}, {to:?}, ..)"),
            Self::Insert { name, .. } => write!(f, "insert({name:?}, ..)"),
            Self::Version { name, version } => write!(f, "version({name:?}, {version})"),
            Self::Zeros(name) => write!(f, "insert_zeros({name:?})"),
            Self::Keep(name) => write!(f, "keep({name:?})"),
            Self::Remove(name) => write!(f, "remove({name:?})"),
            Self::Tensor { from, to, .. } => write!(f, "tensor({from:?}, {to:?}, ..)"),
        }
    }
}

impl fmt::Debug for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.verb)?;
        if self.if_present {
            f.write_str(".if_present()")?;
        }
        if self.moments == Moments::Reset {
            f.write_str(".moments(Moments::Reset)")?;
        }
        Ok(())
    }
}
