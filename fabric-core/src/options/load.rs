//! The options of a load.

use crate::entry::{shown, strip};
use crate::migrate::Migrations;
use crate::progress::{Callback, Progress};
use crate::state::Part;

/// How to load: strict and everything, unless said otherwise.
///
/// ```
/// use fabric_core::{LoadOptions, OnMismatch};
///
/// let fine_tuning = LoadOptions::new().strict(false).on_mismatch(OnMismatch::Skip);
/// ```
#[derive(Clone, Debug)]
#[allow(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
#[must_use = "options do nothing before they are given to a load"]
pub struct LoadOptions {
    pub(crate) strict: bool,
    pub(crate) cast: bool,
    pub(crate) on_mismatch: OnMismatch,
    pub(crate) verify_first: bool,
    pub(crate) only: Vec<Part>,
    pub(crate) exclude: Vec<Part>,
    pub(crate) root: Option<String>,
    pub(crate) prefixes: Vec<String>,
    pub(crate) renames: Vec<(String, String)>,
    pub(crate) recipe: Migrations,
    pub(crate) keep_hyperparameters: bool,
    pub(crate) change_optimizer: bool,
    pub(crate) progress: Option<Callback>,
}

/// The treatment of a tensor whose shape in the file differs from the state's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnMismatch {
    /// Refuse the load.
    #[default]
    Refuse,
    /// Restore the indices that the tensors of the file and of the state have in common, and say so in the report
    /// ([`LoadReport::overlapping`](crate::LoadReport::overlapping)): for a vocabulary that grew or shrank. The new rows keep the
    /// weights of the state; an optimizer's first moment of them is zero, and the second moment (a state whose name has `_sq` or
    /// `square`) the mean of the restored rows. Tensors with another number of dimensions refuse the load.
    Overlap,
    /// Leave the entry as it is, and say so in the report. For fine-tuning with another head. An optimizer's state of a
    /// parameter of which a part is skipped begins at zero as a whole.
    Skip,
}

impl Default for LoadOptions {
    fn default() -> Self {
        Self {
            strict: true,
            cast: false,
            on_mismatch: OnMismatch::default(),
            verify_first: false,
            only: Vec::new(),
            exclude: Vec::new(),
            root: None,
            prefixes: Vec::new(),
            renames: Vec::new(),
            recipe: Migrations::default(),
            keep_hyperparameters: false,
            change_optimizer: false,
            progress: None,
        }
    }
}

impl LoadOptions {
    /// Strict; everything in the state; shapes and element types as they are.
    pub fn new() -> Self {
        Self::default()
    }

    /// With `true`, the default, an entry that only the state has, or only the file, refuses the load. With `false`, such
    /// entries are left alone and reported. A file without any entry of the state is refused in any case.
    pub fn strict(mut self, strict: bool) -> Self {
        self.strict = strict;
        self
    }

    /// With `true`, tensors of another element type are converted to the state's. With `false`, the default, they refuse the
    /// load.
    pub fn cast(mut self, cast: bool) -> Self {
        self.cast = cast;
        self
    }

    /// The treatment of tensors of another shape. By default they refuse the load, strict or not.
    pub fn on_mismatch(mut self, on_mismatch: OnMismatch) -> Self {
        self.on_mismatch = on_mismatch;
        self
    }

    /// With `true`, every byte is read and compared with its checksum before the first tensor is overwritten: the load
    /// changes everything or nothing, also on a damaged disk, and reads twice. `false` by default.
    pub fn verify_first(mut self, verify_first: bool) -> Self {
        self.verify_first = verify_first;
        self
    }

    /// Takes only what lies below this name in the file, and names it relative to it: `root("state_dict")` for
    /// `{"state_dict": {...}, "epoch": 3}`. The rest of the file is in the remainder.
    ///
    /// Names are changed in this order: the root, then prefixes, then renames; the report speaks of entries by their
    /// changed names, the remainder by those of the file. Two entries that come to have one name are an error.
    pub fn root(mut self, name: impl Into<String>) -> Self {
        self.root = Some(name.into());
        self
    }

    /// Removes this prefix where a name begins with it, and where what lies below a component does: `"module."` turns
    /// `module.fc1.weight` into `fc1.weight`, and `model.module.fc1.weight` into `model.fc1.weight`. The prefixes that
    /// PyTorch's wrappers leave inside of names (`"_orig_mod."`, `"_fsdp_wrapped_module."`) are removed anywhere. May be
    /// repeated for several.
    ///
    /// A prefix that no name of the file has is no error, so that one program takes the files of wrapped models and those of
    /// plain ones. A load that is refused names it.
    pub fn strip_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefixes.push(prefix.into());
        self
    }

    /// Gives the entry `from` of the file, and everything below it, the name `to`. May be repeated; renames follow each
    /// other. Where the name of a parameter changes, so does that of an optimizer's state of it.
    ///
    /// A rename that finds nothing is an error, strict or not: with a mistyped name, or another file, a load would restore other
    /// entries than the caller means. A field that is declared with `#[checkpoint(alias = "...")]` takes files of either name.
    pub fn rename(mut self, from: impl Into<String>, to: impl Into<String>) -> Self {
        self.renames.push((from.into(), to.into()));
        self
    }

    /// Follows the words of a recipe, after all other options that change names: for the file of another program, or an old one.
    /// Names are those after [`root`](Self::root), [`strip_prefix`](Self::strip_prefix) and [`rename`](Self::rename), from the first
    /// level on. May be repeated; the words follow each other. Words are followed for parts too that `only` and `exclude` leave out.
    ///
    /// ```
    /// use fabric_core::LoadOptions;
    ///
    /// let from_hugging_face = LoadOptions::new().migrations(|m| {
    ///     m.rename("transformer.h.*.ln_1", "blocks.*.norm");
    ///     m.transpose("transformer.h.*.attn.c_attn.weight", 0, 1);
    ///     m.rename("transformer.h.*.attn.c_attn", "blocks.*.attention.qkv");
    /// });
    /// ```
    ///
    /// A step `m.from(n, "..")` is followed if the outermost struct of the file has the version `n` or an older one, or if the file
    /// has no versions. The recipes of the structs of the state come after this one. The report and the remainder have the names
    /// after all recipes.
    pub fn migrations(mut self, recipe: impl FnOnce(&mut Migrations)) -> Self {
        // The words before the first `from` of this recipe belong to no version, whatever the call before said.
        let mut own = Migrations::default();
        recipe(&mut own);
        self.recipe.steps.extend(own.steps);
        self
    }

    /// Leaves the hyper-parameters of all optimizers as the program has set them: learning rates, weight decays, and the groups of
    /// parameters. Moments and counts of steps are restored by the names of the parameters, whatever group they were in. A file that
    /// numbers its parameters, and does not name them, needs equal groups.
    ///
    /// A new learning rate in the source takes effect with this option: without it a load brings the old one back. A
    /// [`Schedule`](crate::optim::Schedule) in the state is a value, which [`exclude`](Self::exclude) leaves as it is.
    pub fn keep_hyperparameters(mut self) -> Self {
        self.keep_hyperparameters = true;
        self
    }

    /// Accepts a file with an optimizer of another kind: the state of a parameter is restored if the file has all of it under the same
    /// names (from `Adam` to `AdamW` and back), and begins anew otherwise (from `SGD` to `AdamW`); the hyper-parameters stay. The file
    /// is one of this library: other files do not say the kind of their optimizers, which [`exclude`](Self::exclude) leaves out.
    ///
    /// The report lists the state that begins anew ([`LoadReport::begun_anew`](crate::LoadReport::begun_anew)), and the state of the
    /// file that has no place ([`LoadReport::ignored`](crate::LoadReport::ignored)).
    pub fn change_optimizer(mut self) -> Self {
        self.change_optimizer = true;
        self
    }

    /// Restores only this part, `TrainState::FIELDS.model` or `"model"`, say; may be repeated for several. The rest of the
    /// state is not touched, and its entries in the file are in the remainder.
    ///
    /// The compiler checks the name of a handle ([`Field`](crate::Field)), and the load checks a text ([`Part`]): a name that the
    /// state does not have is [`StateError::NoSuchComponent`](crate::StateError::NoSuchComponent), with the names there are.
    /// A handle belongs to the type that is loaded. A handle of another type is
    /// [`StateError::Handle`](crate::StateError::Handle), whatever it is called.
    pub fn only(mut self, part: impl Into<Part>) -> Self {
        self.only.push(part.into());
        self
    }

    /// Leaves this part as it is, `TrainState::FIELDS.optimizer` or `"optimizer"`, say, and restores the others; may be
    /// repeated for several. The entries of the part in the file are in the remainder. Together with [`only`](Self::only), a
    /// field inside of a restored one can be left out.
    ///
    /// ```
    /// use fabric_core::{Checkpoint, Fabric, LoadOptions};
    ///
    /// #[derive(Checkpoint)]
    /// struct Counters { step: u64, epoch: u64 }
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("run.ckpt");
    /// # let fabric = Fabric::new();
    /// # fabric.save(&path, &Counters { step: 7, epoch: 2 })?;
    /// let mut counters = Counters { step: 0, epoch: 0 };
    /// let loaded = fabric.load_with(&path, &mut counters, LoadOptions::new().exclude(Counters::FIELDS.epoch))?;
    /// assert_eq!((counters.step, counters.epoch), (7, 0));
    /// assert_eq!(loaded.remainder.names(), ["epoch"]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn exclude(mut self, part: impl Into<Part>) -> Self {
        self.exclude.push(part.into());
        self
    }

    /// Tells `callback` how far the load has come: about once for each MiB, and when the last byte was read. It is not
    /// called if there is nothing to read.
    ///
    /// Of several threads that read, the one that has just read calls it, and the others do not call it meanwhile:
    /// [`Progress::bytes_done`] only grows, and the last call of a load that succeeds says that all is done. It should return
    /// soon, and must not touch the state: the tensor that is being filled is locked, and a callback that waits for it hangs. It
    /// must not use the Fabric that loads: such a call returns [`Error::Nested`](crate::Error::Nested). Each rank is told of its
    /// own bytes, and one rank may ask where others do not.
    ///
    /// If it panics, the panic unwinds out of the load, after the other ranks were told of it; tensors may hold new contents
    /// by then, in part, unless the load was still [verifying first](Self::verify_first).
    ///
    /// ```
    /// use fabric_core::LoadOptions;
    ///
    /// let options = LoadOptions::new().progress(|progress| {
    ///     eprintln!("{} of {} bytes, {}", progress.bytes_done, progress.bytes_in_all, progress.entry);
    /// });
    /// ```
    pub fn progress(mut self, callback: impl Fn(&Progress<'_>) + Send + Sync + 'static) -> Self {
        self.progress = Some(Callback::new(callback));
        self
    }

    /// Returns true if the options ask for the entry, or the level, of this name.
    pub(crate) fn asks_for(&self, name: &str) -> bool {
        let is_below = |part: &Part| strip(name, &part.name).is_some();
        (self.only.is_empty() || self.only.iter().any(is_below)) && !self.exclude.iter().any(is_below)
    }

    /// Returns true if the options ask for the level of this name, or for a part inside of it.
    pub(crate) fn touches(&self, level: &str) -> bool {
        let is_above = |part: &Part| strip(&part.name, level).is_some();
        let is_excluded = self.exclude.iter().any(|part| strip(level, &part.name).is_some());
        self.asks_for(level) || (!is_excluded && self.only.iter().any(is_above))
    }

    /// The options that ranks compare, each with its name and its value. The callback is not compared.
    pub(crate) fn lines(&self) -> Vec<(String, String)> {
        let Self {
            strict,
            cast,
            on_mismatch,
            verify_first,
            only,
            exclude,
            root,
            prefixes,
            renames,
            recipe,
            keep_hyperparameters,
            change_optimizer,
            progress: _,
        } = self;
        let list = |items: &[String]| match items {
            [] => "not given".to_owned(),
            items => shown(&items.join(", ")).into_owned(),
        };
        let parts = |parts: &[Part]| {
            let names = parts.iter().map(|part| format!("{part:?}"));
            list(&names.collect::<Vec<_>>())
        };
        let renames: Vec<String> = renames.iter().map(|(from, to)| format!("{from} to {to}")).collect();
        let said = [
            ("strict", strict.to_string()),
            ("cast", cast.to_string()),
            ("on_mismatch", format!("{on_mismatch:?}")),
            ("verify_first", verify_first.to_string()),
            ("only", parts(only)),
            ("exclude", parts(exclude)),
            ("root", root.clone().map_or_else(|| list(&[]), |root| list(&[root]))),
            ("strip_prefix", list(prefixes)),
            ("rename", list(&renames)),
            ("migrations", format!("{recipe:?}")),
            ("keep_hyperparameters", keep_hyperparameters.to_string()),
            ("change_optimizer", change_optimizer.to_string()),
        ];
        let named = said.map(|(name, what)| (format!("the option LoadOptions::{name}"), what));
        named.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_compare_the_parts_that_texts_name() {
        let said = |options: LoadOptions| {
            let lines = options.lines().into_iter();
            let parts = lines.filter(|(name, _)| name.ends_with("only") || name.ends_with("exclude"));
            parts.map(|(_, said)| said).collect::<Vec<_>>()
        };
        let options = LoadOptions::new().only("model").only("step\n").exclude("model.head");
        assert_eq!(said(options), ["`model`, `step\\n`", "`model.head`"]);
        assert_eq!(said(LoadOptions::new()), ["not given", "not given"]);
    }
}
