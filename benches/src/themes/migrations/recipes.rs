//! The recipes of loads, the states that they lead to, and the conversions of the file.

use std::path::Path;

use candle_nn::VarMap;
use fabric_core::{Checkpoint, Durability, Fabric, LoadOptions, Migrations, Recipes, ReshardOptions, SaveReport};

use super::Old;
use crate::Outcome;
use crate::states::named;

/// The matrices of the file; each has as many rows as columns.
pub(super) const TENSORS: usize = 64;
/// The matrices that `concat` joins; one matrix of the file is left.
const JOINED: usize = 3;

type Shapes = Vec<(String, Vec<usize>)>;

/// The words of a load, and the state that it needs.
pub(super) struct Recipe {
    /// The row of the load in a table.
    pub(super) name: &'static str,
    follow: fn(&mut Migrations, usize),
    shapes: fn(usize) -> Shapes,
}

/// A load without words.
pub(super) const NO_RECIPE: Recipe = Recipe {
    name: "no recipe",
    follow: |_, _| {},
    shapes: |side| matrices("weight", side),
};

pub(super) const RECIPES: [Recipe; 7] = [
    Recipe {
        name: "renames",
        follow: |m, _| {
            m.rename("layers.*.weight", "layers.*.matrix");
        },
        shapes: |side| matrices("matrix", side),
    },
    Recipe {
        name: "concat of three along dimension 0",
        follow: |m, _| concat(m, 0),
        shapes: |side| concatenated(side, 0),
    },
    Recipe {
        name: "concat of three along dimension 1",
        follow: |m, _| concat(m, 1),
        shapes: |side| concatenated(side, 1),
    },
    Recipe {
        name: "split in two along dimension 0",
        follow: |m, side| split(m, side, 0),
        shapes: |side| halves(side, 0),
    },
    Recipe {
        name: "split in two along dimension 1",
        follow: |m, side| split(m, side, 1),
        shapes: |side| halves(side, 1),
    },
    Recipe {
        name: "transpose",
        follow: |m, _| transpose(m),
        shapes: |side| matrices("weight", side),
    },
    Recipe {
        name: "stack of 64 by a pattern",
        follow: |m, _| {
            m.stack("layers.*.weight", "stacked", 0);
        },
        shapes: |side| vec![("stacked".to_owned(), vec![TENSORS, side, side])],
    },
];

impl Recipe {
    /// A state for loads through the recipe; its memory has been touched.
    pub(super) fn state(&self, old: &Old) -> Outcome<VarMap> {
        named((self.shapes)(old.side))
    }

    pub(super) fn load(&self, fabric: &Fabric, old: &Old, state: &mut VarMap) -> Outcome {
        let options = LoadOptions::new().migrations(|m| (self.follow)(m, old.side));
        Ok(fabric.load_with(&old.path, state, options).map(drop)?)
    }
}

fn matrices(name: &str, side: usize) -> Shapes {
    (0..TENSORS)
        .map(|layer| (format!("layers.{layer}.{name}"), vec![side, side]))
        .collect()
}

fn concat(m: &mut Migrations, dim: usize) {
    for group in 0..TENSORS / JOINED {
        let layers = group * JOINED..(group + 1) * JOINED;
        let from = layers.map(|layer| format!("layers.{layer}.weight"));
        m.concat(from, format!("layers.{group}.joined"), dim);
    }
}

fn concatenated(side: usize, dim: usize) -> Shapes {
    let mut shape = vec![side, side];
    shape[dim] *= JOINED;
    let joined = (0..TENSORS / JOINED).map(|group| (format!("layers.{group}.joined"), shape.clone()));
    let left = matrices("weight", side).into_iter().skip(TENSORS / JOINED * JOINED);
    joined.chain(left).collect()
}

fn split(m: &mut Migrations, side: usize, dim: usize) {
    let parts = ["layers.*.first", "layers.*.second"].map(|name| (name, side / 2));
    m.split("layers.*.weight", parts, dim);
}

fn halves(side: usize, dim: usize) -> Shapes {
    let mut halves = [matrices("first", side), matrices("second", side)].concat();
    for (_, shape) in &mut halves {
        shape[dim] /= 2;
    }
    halves
}

fn transpose(m: &mut Migrations) {
    m.transpose("layers.*.weight", 0, 1);
}

/// The state that wrote the file.
#[derive(Checkpoint)]
pub(super) struct Before {
    layers: VarMap,
}

impl Before {
    pub(super) fn new(side: usize) -> Outcome<Self> {
        let layers = (0..TENSORS).map(|layer| (format!("{layer}.weight"), vec![side, side]));
        Ok(Self { layers: named(layers)? })
    }
}

/// A later state, of which three matrices are one.
#[derive(Checkpoint)]
#[checkpoint(version = 2, migrate = Joined::migrations)]
struct Joined {
    layers: VarMap,
}

impl Joined {
    fn migrations(m: &mut Migrations) {
        m.from(1, "three matrices side by side");
        concat(m, 1);
    }
}

/// A later state, whose matrices are transposed.
#[derive(Checkpoint)]
#[checkpoint(version = 2, migrate = Transposed::migrations)]
struct Transposed {
    layers: VarMap,
}

impl Transposed {
    fn migrations(m: &mut Migrations) {
        m.from(1, "matrices as PyTorch has them");
        transpose(m);
    }
}

/// A conversion of the file into a new one.
pub(super) struct Conversion {
    pub(super) name: &'static str,
    convert: fn(&Fabric, (&Path, &Path), Durability) -> fabric_core::Result<SaveReport>,
}

/// The conversion that changes nothing.
pub(super) const COPY: Conversion = Conversion {
    name: "consolidate",
    convert: |fabric, (from, to), durability| {
        fabric.consolidate_with(from, to, ReshardOptions::new().durability(durability))
    },
};

pub(super) const CONVERSIONS: [Conversion; 2] = [
    Conversion {
        name: "migrate through concat of three along dimension 1",
        convert: |fabric, paths, durability| migrate::<Joined>(fabric, paths, durability, Joined::migrations),
    },
    Conversion {
        name: "migrate through transpose",
        convert: |fabric, paths, durability| migrate::<Transposed>(fabric, paths, durability, Transposed::migrations),
    },
];

impl Conversion {
    pub(super) fn run(&self, fabric: &Fabric, old: &Old, to: &Path, durability: Durability) -> Outcome {
        Ok((self.convert)(fabric, (&old.path, to), durability).map(drop)?)
    }
}

/// Only the call with a recipe by its name has options.
fn migrate<S: Checkpoint>(
    fabric: &Fabric,
    (from, to): (&Path, &Path),
    durability: Durability,
    recipe: fn(&mut Migrations),
) -> fabric_core::Result<SaveReport> {
    if durability == Durability::Durable {
        return fabric.migrate::<S>(from, to);
    }
    let recipes = Recipes::new().of("Before", 2, recipe);
    fabric.migrate_with(from, to, &recipes, ReshardOptions::new().durability(durability))
}
