//! Names: long ones, and many that differ from those of the state.

use candle_core::{DType, Device, Var};
use candle_nn::VarMap;
use fabric_core::Error;
use testkit::files::{on, storage};
use testkit::torch::safetensors;

use super::in_proportion;
use crate::alone;

const LONG: usize = 2 << 20;

/// Variables of these names, of no elements.
fn variables(names: impl IntoIterator<Item = String>) -> VarMap {
    let map = VarMap::new();
    for name in names {
        let variable = Var::zeros(0, DType::F32, &Device::Cpu).unwrap();
        map.data().lock().unwrap().insert(name, variable);
    }
    map
}

fn header(names: impl IntoIterator<Item = String>) -> Vec<u8> {
    let entries = names.into_iter().map(|name| {
        let tensor = r#"{"dtype":"F32","shape":[0],"data_offsets":[0,0]}"#;
        format!(r#""{name}":{tensor}"#)
    });
    safetensors(&format!("{{{}}}", entries.collect::<Vec<_>>().join(",")), &[])
}

#[test]
fn a_long_name_that_no_entry_of_the_state_has_takes_memory_in_proportion() {
    let _alone = alone();
    let wanted = format!("layers.{}weight", "0.".repeat(50));
    for name in ["x".repeat(LONG), format!("{}{wanted}", "a.".repeat(LONG / 2))] {
        let file = header([name]);
        let memory = storage(&[("long.safetensors", &file)]);
        let loaded = in_proportion(&memory, "long.safetensors", file.len(), |raw| {
            raw.load_raw(&mut variables([wanted.clone()]))
        });
        assert!(matches!(loaded, Err(Error::Mismatch(_))), "{loaded:?}");
    }
}

#[test]
fn so_many_names_that_comparing_their_letters_would_take_long_are_not_compared() {
    let names = |root: &'static str| (0..500).map(move |at| format!("{root}.layers.{at}.attention.projection.weight"));
    let file = header(names("model"));
    let memory = storage(&[("renamed.safetensors", &file)]);
    let loaded = on(memory.clone()).load_raw("renamed.safetensors", &mut variables(names("network")));
    let Err(Error::Mismatch(report)) = loaded else {
        panic!("{loaded:?}")
    };
    assert_eq!((report.missing.len(), report.suggestions.len()), (500, 0));
    let text = report.to_string();
    assert!(text.contains(r#"LoadOptions::rename("model", "network")"#), "{text}");
}
