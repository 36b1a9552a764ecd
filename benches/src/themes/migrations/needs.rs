//! The bytes that loads through recipes read, and the memory that loads and conversions need.

use std::fs::File;
use std::io::Read;
use std::ops::Range;

use candle_nn::VarMap;
use fabric_core::storage::Local;
use fabric_core::testing::Counting;
use fabric_core::{Durability, Fabric};

use super::recipes::{CONVERSIONS, COPY, NO_RECIPE, RECIPES, Recipe};
use super::{Bench, Old};
use crate::figures::{Table, Theme};
use crate::measured::float;
use crate::resident::peak_of;
use crate::table::number;
use crate::{Outcome, files};

pub(super) fn measure(bench: &Bench, theme: &mut Theme, old: &Old) -> Outcome {
    loading(theme, old)?;
    converting(bench, theme, old)
}

fn loading(theme: &mut Theme, old: &Old) -> Outcome {
    let fabric = Fabric::new();
    let mut rows = Vec::new();
    let (mut most_bytes, mut most_memory) = (0f64, 0f64);
    for recipe in [NO_RECIPE].into_iter().chain(RECIPES) {
        let mut state = recipe.state(old)?;
        let memory = peak_of(|| recipe.load(&fabric, old, &mut state))?;
        let bytes = bytes_read(&recipe, old, &mut state)?;
        if recipe.name != NO_RECIPE.name {
            (most_bytes, most_memory) = (most_bytes.max(bytes), most_memory.max(memory));
        }
        rows.push(vec![recipe.name.to_owned(), number(bytes), mebibytes(memory)]);
    }
    theme.tables.push(Table {
        caption: "Bytes that a load reads for each byte of the tensors, and its peak memory beside the state"
            .to_owned(),
        head: ["", "bytes read for each byte", "peak memory"]
            .map(str::to_owned)
            .to_vec(),
        rows,
    });
    theme.at_most(
        "bytes read for each byte of the tensors, load through a recipe",
        1.,
        "B",
        Some(most_bytes),
    );
    theme.at_most(
        "peak memory beside a state of 1 GiB, load through a recipe",
        64.,
        "MiB",
        Some(most_memory),
    );
    Ok(())
}

fn converting(bench: &Bench, theme: &mut Theme, old: &Old) -> Outcome {
    let (fabric, made) = (Fabric::new(), bench.path("made"));
    let mut rows = Vec::new();
    let mut most = 0f64;
    for conversion in [COPY].into_iter().chain(CONVERSIONS) {
        let memory = peak_of(|| conversion.run(&fabric, old, &made, Durability::Durable))?;
        files::remove(&made)?;
        if conversion.name != COPY.name {
            most = most.max(memory);
        }
        rows.push(vec![conversion.name.to_owned(), mebibytes(memory)]);
    }
    theme.tables.push(Table {
        caption: "Peak memory of a conversion".to_owned(),
        head: ["", "peak memory"].map(str::to_owned).to_vec(),
        rows,
    });
    theme.at_most("peak memory of `migrate`, 1 GiB", 64., "MiB", Some(most));
    Ok(())
}

/// The bytes of tensors that a load reads, for each byte that they have. The index is not counted.
fn bytes_read(recipe: &Recipe, old: &Old, state: &mut VarMap) -> Outcome<f64> {
    let counting = Counting::new(Local::new());
    let fabric = Fabric::builder().storage(counting.clone()).build()?;
    recipe.load(&fabric, old, state)?;
    let mut json = [0; 8];
    File::open(&old.path)?.read_exact(&mut json)?;
    let bytes = old.form.bytes() as u64;
    // The tensors follow the header without a gap.
    let start = 8 + u64::from_le_bytes(json);
    let end = start + bytes;
    let of_tensors = |read: Range<u64>| read.end.min(end).saturating_sub(read.start.max(start));
    let files = counting.bytes_read_by_file().into_keys();
    let read: u64 = files.flat_map(|file| counting.reads(file)).map(of_tensors).sum();
    if read < bytes {
        return Err(format!("{}: {read} of {bytes} bytes were read", recipe.name).into());
    }
    Ok(float(usize::try_from(read)?) / float(old.form.bytes()))
}

fn mebibytes(value: f64) -> String {
    format!("{value:.1} MiB")
}
