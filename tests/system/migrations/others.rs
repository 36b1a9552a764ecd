//! Files of other programs.

use std::collections::BTreeMap;

use candle_core::{Device, Tensor};
use fabric_core::{Checkpoint, LoadOptions};

use crate::states::{bits, tensor};

#[derive(Checkpoint)]
struct Block {
    norm: BTreeMap<String, Tensor>,
    qkv: Tensor,
}

#[derive(Checkpoint)]
struct Gpt {
    embedding: Tensor,
    blocks: Vec<Block>,
}

/// A file with the names of GPT-2, whose linear layers are stored as their transposes.
#[test]
fn one_recipe_brings_the_names_of_another_program_in() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    let mut file: std::collections::HashMap<String, Tensor> = std::collections::HashMap::new();
    file.insert("wte.weight".into(), tensor(1, (5, 4)));
    for layer in 0..2u64 {
        file.insert(format!("h.{layer}.ln_1.weight"), tensor(10 + layer, 4));
        file.insert(format!("h.{layer}.ln_1.bias"), tensor(20 + layer, 4));
        file.insert(format!("h.{layer}.attn.c_attn.weight"), tensor(30 + layer, (4, 12)));
        file.insert(format!("h.{layer}.attn.bias"), tensor(40 + layer, (1, 1)));
    }
    candle_core::safetensors::save(&file, &path).unwrap();
    let block = || Block {
        norm: BTreeMap::from(["weight", "bias"].map(|name| (name.to_owned(), tensor(0, 4)))),
        qkv: tensor(0, (12, 4)),
    };
    let mut model = Gpt {
        embedding: tensor(0, (5, 4)),
        blocks: vec![block(), block()],
    };
    let options = LoadOptions::new().migrations(|m| {
        m.rename("wte.weight", "embedding")
            .rename("h.*.ln_1", "blocks.*.norm")
            .transpose("h.*.attn.c_attn.weight", 0, 1)
            .rename("h.*.attn.c_attn.weight", "blocks.*.qkv")
            .remove("h.*.attn.bias");
    });
    let loaded = fabric_core::Fabric::new()
        .load_raw_with(&path, &mut model, options)
        .unwrap();
    assert!(loaded.report.is_complete() && loaded.remainder.is_empty());
    for (layer, block) in model.blocks.iter().enumerate() {
        let stored = &file[&format!("h.{layer}.attn.c_attn.weight")];
        assert_eq!(bits(&block.qkv), bits(&stored.t().unwrap().contiguous().unwrap()));
        assert_eq!(bits(&block.norm["bias"]), bits(&file[&format!("h.{layer}.ln_1.bias")]));
    }
    assert_eq!(model.embedding.device().location(), Device::Cpu.location());
}
