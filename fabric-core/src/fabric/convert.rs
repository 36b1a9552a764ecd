//! Conversions of checkpoints without a state: into one file, another layout, or the format of another program.

use std::path::Path;

use super::Fabric;
use crate::dist::reshard::reshard;
use crate::dist::save::{decode_report, encode_report};
use crate::dist::strategy::Strategy;
use crate::error::Result;
use crate::foreign::export::{ExportOptions, ExportReport, export};
use crate::load::migrated::{brought_up, brought_up_by};
use crate::load::raw::RawCheckpoint;
use crate::migrate::Recipes;
use crate::options::ReshardOptions;
use crate::phases::Phases;
use crate::save::{CommitTarget, SaveReport};
use crate::source::open;
use crate::state::Checkpoint;

impl Fabric {
    /// Copies a checkpoint of any layout into one file, to pass it on, or to load it without its ranks.
    ///
    /// No state and no model is needed, and no more memory than a few blocks. Everything that is read is verified; the
    /// checkpoint at `to` is replaced as by [`save`](Self::save). If several ranks call it, rank 0 does the work and
    /// the others wait.
    ///
    /// ```
    /// # use candle_core::{Device, Tensor};
    /// # use fabric_core::{Checkpoint, Fabric, Strategy};
    /// # #[derive(Checkpoint)] struct State { weight: Tensor }
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let directory = tempfile::tempdir()?;
    /// # let (run, file) = (directory.path().join("run"), directory.path().join("run.ckpt"));
    /// # let mut state = State { weight: Tensor::arange(0f32, 6f32, &Device::Cpu)? };
    /// let fabric = Fabric::new();
    /// # fabric.save(&file, &state)?;
    /// fabric.reshard(&file, &run, Strategy::fsdp().ranks(4))?;  // a directory with four files
    /// fabric.consolidate(&run, &file)?;                         // and back
    /// fabric.load(&file, &mut state)?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`open`](Self::open); and if the source is damaged or the storage fails: the old checkpoint at `to` is still
    /// there then.
    pub fn consolidate(&self, from: impl AsRef<Path>, to: impl AsRef<Path>) -> Result<SaveReport> {
        self.reshard(from, to, Strategy::single_device())
    }

    /// Copies a checkpoint of any layout into one file as [`consolidate`](Self::consolidate) does, with options.
    ///
    /// # Errors
    /// As [`reshard_with`](Self::reshard_with).
    pub fn consolidate_with(
        &self,
        from: impl AsRef<Path>,
        to: impl AsRef<Path>,
        options: ReshardOptions,
    ) -> Result<SaveReport> {
        self.reshard_with(from, to, Strategy::single_device(), options)
    }

    /// Copies a checkpoint into the layout of another strategy, for any number of ranks, as
    /// [`consolidate`](Self::consolidate) does.
    ///
    /// Loading does not need it: every strategy loads the checkpoints of every other. It spares the ranks small reads
    /// where a checkpoint is loaded often.
    ///
    /// # Errors
    /// As [`consolidate`](Self::consolidate); and [`Error::Strategy`](crate::Error::Strategy) if the strategy has no
    /// number of ranks, see [`Strategy::ranks`].
    pub fn reshard(&self, from: impl AsRef<Path>, to: impl AsRef<Path>, strategy: Strategy) -> Result<SaveReport> {
        self.reshard_with(from, to, strategy, ReshardOptions::new())
    }

    /// Copies a checkpoint into the layout of another strategy as [`reshard`](Self::reshard) does, with options: a part of it,
    /// another element type, progress.
    ///
    /// The source may be in any format that [`open`](Self::open) reads. Of a file of PyTorch whose optimizer numbers its
    /// parameters, the copy keeps the order of the names, so that a load finds the same parameters by it.
    ///
    /// # Errors
    /// As [`reshard`](Self::reshard); [`Error::NoSuchEntry`](crate::Error::NoSuchEntry) if nothing lies below the name of
    /// [`ReshardOptions::subtree`]; [`Error::Options`](crate::Error::Options) for an element type that tensors are not
    /// converted to.
    #[allow(
        clippy::needless_pass_by_value,
        reason = "a strategy is given away, as to the builder"
    )]
    pub fn reshard_with(
        &self,
        from: impl AsRef<Path>,
        to: impl AsRef<Path>,
        strategy: Strategy,
        options: ReshardOptions,
    ) -> Result<SaveReport> {
        self.copy("Fabric::reshard", (from.as_ref(), to.as_ref()), &strategy, options, Ok)
    }

    /// Writes a file of an older version of the state `S` as one of the present version: the recipes of all structs are followed, and the
    /// optimizer comes along. No model is needed in memory. The new checkpoint has the layout of this `Fabric`'s strategy.
    ///
    /// A load follows the recipes too, so a training goes on without this call. It spares each later load the recipes, and lets them be
    /// removed from the program.
    ///
    /// ```
    /// # use candle_core::{Device, Tensor};
    /// # use fabric_core::{Checkpoint, Fabric, Migrations};
    /// # #[derive(Checkpoint)] struct Old { w: Tensor }
    /// #[derive(Checkpoint)]
    /// #[checkpoint(version = 2, migrate = Model::migrations)]
    /// struct Model { weight: Tensor }
    ///
    /// impl Model {
    ///     fn migrations(m: &mut Migrations) {
    ///         m.from(1, "a word for a letter").rename("w", "weight");
    ///     }
    /// }
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let directory = tempfile::tempdir()?;
    /// # let (old, new) = (directory.path().join("old.ckpt"), directory.path().join("new.ckpt"));
    /// # let fabric = Fabric::new();
    /// # fabric.save(&old, &Old { w: Tensor::zeros(3, candle_core::DType::F32, &Device::Cpu)? })?;
    /// fabric.migrate::<Model>(&old, &new)?;
    /// assert_eq!(fabric.open(&new)?.names(), ["weight"]);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`reshard`](Self::reshard); [`Error::Migration`](crate::Error::Migration) as a load, and for
    /// [`insert_zeros`](crate::Migrations::insert_zeros) and [`keep`](crate::Migrations::keep), which need a state. The structs inside
    /// of a hand-written implementation are not found without a state.
    pub fn migrate<S: Checkpoint + ?Sized>(&self, from: impl AsRef<Path>, to: impl AsRef<Path>) -> Result<SaveReport> {
        let strategy = self.strategy.clone().ranks(self.world_size());
        let options = ReshardOptions::new();
        let call = "Fabric::migrate";
        self.copy(call, (from.as_ref(), to.as_ref()), &strategy, options, |raw| {
            brought_up::<S>(&raw)
        })
    }

    /// Writes a file after recipes that a text or another program gives, as [`migrate`](Self::migrate) does after those of the types.
    ///
    /// # Errors
    /// As [`migrate`](Self::migrate); and [`Error::Options`](crate::Error::Options) if the recipes are for structs and the file has none
    /// of them.
    pub fn migrate_with(
        &self,
        from: impl AsRef<Path>,
        to: impl AsRef<Path>,
        recipes: &Recipes,
        options: ReshardOptions,
    ) -> Result<SaveReport> {
        let strategy = self.strategy.clone().ranks(self.world_size());
        let call = "Fabric::migrate_with";
        self.copy(call, (from.as_ref(), to.as_ref()), &strategy, options, |raw| {
            brought_up_by(&raw, recipes)
        })
    }

    /// Writes what `edit` makes of the entries of a checkpoint.
    fn copy(
        &self,
        call: &'static str,
        (from, to): (&Path, &Path),
        strategy: &Strategy,
        options: ReshardOptions,
        edit: impl FnOnce(RawCheckpoint) -> Result<RawCheckpoint>,
    ) -> Result<SaveReport> {
        let _within = self.background.enter(call)?;
        let (absolute_from, absolute_to) = (self.absolute(from), self.absolute(to));
        let alone = || {
            self.background.join_last();
            let reshard = || {
                let raw = edit(RawCheckpoint::new(open(
                    &self.storage,
                    absolute_from.path()?,
                    self.limit,
                )?))?;
                let (phases, dry_run) = (Phases::of_reshard(from, to), options.dry_run);
                let report = phases.within(|| {
                    let target = CommitTarget {
                        storage: &*self.storage,
                        path: absolute_to.path()?,
                        phases: &phases,
                    };
                    reshard(&target, &raw, strategy, options)
                })?;
                if !dry_run {
                    phases.saved(report.bytes);
                }
                Ok(report)
            };
            reshard().map_err(|error| absolute_from.named(absolute_to.named(error)))
        };
        match &self.world {
            None => alone(),
            Some(world) => decode_report(&world.ranks.on_rank_zero("reshard", || encode_report(alone()?))?),
        }
    }

    /// Writes a checkpoint, or a part of it, in a format of other programs: plain safetensors, or a file for
    /// `torch.load(path, weights_only=True)`, so that a run can go on in PyTorch.
    ///
    /// Tensors are copied block by block and verified on the way; the file at `to` is replaced in one step, as by
    /// [`save`](Self::save). In PyTorch, `torch.load` returns `{"model": ..., "optimizer": ..., "iteration": 7}` for a
    /// state with those fields: `model` for `load_state_dict` of the module, `optimizer` for that of `torch.optim`.
    ///
    /// ```no_run
    /// use fabric_core::{ExportOptions, Fabric};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let fabric = Fabric::new();
    /// fabric.export("run/last.ckpt", "run/last.pt", ExportOptions::new())?;
    /// fabric.export("run/last.ckpt", "model.safetensors", ExportOptions::new().subtree("model"))?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`open`](Self::open); and if the name of `to` does not say which format, or if an entry has no form in it:
    /// before anything is written. If the source is damaged or the storage fails, the old file at `to` is still there.
    pub fn export(&self, from: impl AsRef<Path>, to: impl AsRef<Path>, options: ExportOptions) -> Result<ExportReport> {
        let absolute = self.absolute(from.as_ref());
        let exported = self.export_raw(&self.open(from)?, to, options);
        exported.map_err(|error| absolute.named(error))
    }

    /// Exports open entries, as [`export`](Self::export) does from a path: a part of a checkpoint, or the
    /// [remainder](crate::Loaded::remainder) of a load.
    ///
    /// # Errors
    /// As [`export`](Self::export).
    pub fn export_raw(
        &self,
        raw: &RawCheckpoint,
        to: impl AsRef<Path>,
        options: ExportOptions,
    ) -> Result<ExportReport> {
        let _within = self.background.enter("Fabric::export")?;
        let absolute = self.absolute(to.as_ref());
        let report = export(&*self.storage, raw, absolute.path()?, options);
        report.map_err(|error| absolute.named(error))
    }
}
