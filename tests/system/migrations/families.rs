//! Models of the hub under the names of candle-transformers. The lists of names are those of the published checkpoints; the tensors are
//! small.

use std::collections::HashMap;

use candle_core::Tensor;
use fabric_core::{Fabric, LoadOptions, Migrations};

use crate::states::{bits, tensor};

type Tensors = std::collections::BTreeMap<String, Tensor>;

/// The file of a hub, with a tensor of its own for each name.
struct Hub {
    tensors: HashMap<String, Tensor>,
}

impl Hub {
    fn new(names: impl IntoIterator<Item = (String, Vec<usize>)>) -> Self {
        let numbered = (1..).zip(names);
        Self {
            tensors: numbered
                .map(|(seed, (name, shape))| (name, tensor(seed, shape)))
                .collect(),
        }
    }

    /// Loads the file into tensors of these names and shapes, strictly.
    fn load(
        &self,
        state: impl IntoIterator<Item = (String, Vec<usize>)>,
        recipe: impl FnOnce(&mut Migrations),
    ) -> Tensors {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.safetensors");
        candle_core::safetensors::save(&self.tensors, &path).unwrap();
        let mut state: Tensors = state
            .into_iter()
            .map(|(name, shape)| (name, tensor(0, shape)))
            .collect();
        let options = LoadOptions::new().migrations(recipe);
        let loaded = Fabric::new().load_raw_with(&path, &mut state, options).unwrap();
        assert!(
            loaded.report.is_complete() && loaded.remainder.is_empty(),
            "{}",
            loaded.report
        );
        state
    }

    fn cat(&self, names: &[String]) -> Tensor {
        let parts: Vec<&Tensor> = names.iter().map(|name| &self.tensors[name]).collect();
        Tensor::cat(&parts, 0).unwrap()
    }

    #[track_caller]
    fn is(&self, state: &Tensors, own: &str, hub: &str) {
        assert_eq!(bits(&state[own]), bits(&self.tensors[hub]), "{own}");
    }
}

/// `weight` and `bias` below a name.
fn affine(name: &str, weight: &[usize], bias: usize) -> [(String, Vec<usize>); 2] {
    [
        (format!("{name}.weight"), weight.to_vec()),
        (format!("{name}.bias"), vec![bias]),
    ]
}

const WIDTH: usize = 4;

/// Phi 1.5 and 2: `microsoft/phi-2` after it came to the transformers library, and `models/mixformer.rs`, which has the layers in one
/// list between the embedding and the head.
#[test]
fn phi() {
    const LAYERS: usize = 3;
    let square = [WIDTH, WIDTH];
    let mut names = vec![("model.embed_tokens.weight".to_owned(), vec![9, WIDTH])];
    let mut own = vec![("layers.0.wte.weight".to_owned(), vec![9, WIDTH])];
    for layer in 0..LAYERS {
        let (hub, candle) = (format!("model.layers.{layer}"), format!("layers.{}", layer + 1));
        names.extend(affine(&format!("{hub}.input_layernorm"), &[WIDTH], WIDTH));
        for part in ["q_proj", "k_proj", "v_proj", "dense"] {
            names.extend(affine(&format!("{hub}.self_attn.{part}"), &square, WIDTH));
        }
        names.extend(affine(&format!("{hub}.mlp.fc1"), &[4 * WIDTH, WIDTH], 4 * WIDTH));
        names.extend(affine(&format!("{hub}.mlp.fc2"), &[WIDTH, 4 * WIDTH], WIDTH));
        own.extend(affine(&format!("{candle}.ln"), &[WIDTH], WIDTH));
        own.extend(affine(&format!("{candle}.mixer.Wqkv"), &[3 * WIDTH, WIDTH], 3 * WIDTH));
        own.extend(affine(&format!("{candle}.mixer.out_proj"), &square, WIDTH));
        own.extend(affine(&format!("{candle}.mlp.fc1"), &[4 * WIDTH, WIDTH], 4 * WIDTH));
        own.extend(affine(&format!("{candle}.mlp.fc2"), &[WIDTH, 4 * WIDTH], WIDTH));
    }
    names.extend(affine("model.final_layernorm", &[WIDTH], WIDTH));
    names.extend(affine("lm_head", &[9, WIDTH], 9));
    let head = format!("layers.{}", LAYERS + 1);
    own.extend(affine(&format!("{head}.ln"), &[WIDTH], WIDTH));
    own.extend(affine(&format!("{head}.linear"), &[9, WIDTH], 9));
    let hub = Hub::new(names);
    let state = hub.load(own, |m| {
        m.rename("model.embed_tokens", "layers.0.wte");
        for layer in 0..LAYERS {
            m.rename(format!("model.layers.{layer}"), format!("layers.{}", layer + 1));
        }
        m.concat(
            ["q_proj", "k_proj", "v_proj"].map(|part| format!("layers.*.self_attn.{part}.*")),
            "layers.*.mixer.Wqkv.*",
            0,
        )
        .rename("layers.*.self_attn.dense", "layers.*.mixer.out_proj")
        .rename("layers.*.input_layernorm", "layers.*.ln")
        .rename("model.final_layernorm", format!("{head}.ln"))
        .rename("lm_head", format!("{head}.linear"));
    });
    hub.is(&state, "layers.0.wte.weight", "model.embed_tokens.weight");
    hub.is(&state, "layers.3.ln.bias", "model.layers.2.input_layernorm.bias");
    hub.is(&state, "layers.4.linear.bias", "lm_head.bias");
    let parts = ["q", "k", "v"].map(|part| format!("model.layers.1.self_attn.{part}_proj.weight"));
    assert_eq!(bits(&state["layers.2.mixer.Wqkv.weight"]), bits(&hub.cat(&parts)));
}

/// `DINOv2` with registers: `facebook/dinov2-with-registers-small`, and `models/dinov2reg4.rs`, whose patches have positions of their own
/// and the class token none.
#[test]
fn dinov2_with_registers() {
    const LAYERS: usize = 2;
    let mut names = vec![
        ("embeddings.cls_token".to_owned(), vec![1, 1, WIDTH]),
        ("embeddings.register_tokens".to_owned(), vec![1, 4, WIDTH]),
        ("embeddings.mask_token".to_owned(), vec![1, WIDTH]),
        ("embeddings.position_embeddings".to_owned(), vec![1, 10, WIDTH]),
    ];
    let mut own = vec![
        ("cls_token".to_owned(), vec![1, 1, WIDTH]),
        ("reg_token".to_owned(), vec![1, 4, WIDTH]),
        ("pos_embed".to_owned(), vec![1, 9, WIDTH]),
    ];
    names.extend(affine(
        "embeddings.patch_embeddings.projection",
        &[WIDTH, 3, 2, 2],
        WIDTH,
    ));
    own.extend(affine("patch_embed.proj", &[WIDTH, 3, 2, 2], WIDTH));
    for layer in 0..LAYERS {
        let (hub, candle) = (format!("encoder.layer.{layer}"), format!("blocks.{layer}"));
        for part in ["query", "key", "value"] {
            names.extend(affine(
                &format!("{hub}.attention.attention.{part}"),
                &[WIDTH, WIDTH],
                WIDTH,
            ));
        }
        names.extend(affine(&format!("{hub}.attention.output.dense"), &[WIDTH, WIDTH], WIDTH));
        own.extend(affine(&format!("{candle}.attn.qkv"), &[3 * WIDTH, WIDTH], 3 * WIDTH));
        own.extend(affine(&format!("{candle}.attn.proj"), &[WIDTH, WIDTH], WIDTH));
        for number in [1, 2] {
            names.extend(affine(&format!("{hub}.norm{number}"), &[WIDTH], WIDTH));
            own.extend(affine(&format!("{candle}.norm{number}"), &[WIDTH], WIDTH));
            names.push((format!("{hub}.layer_scale{number}.lambda1"), vec![WIDTH]));
            own.push((format!("{candle}.ls{number}.gamma"), vec![WIDTH]));
            names.extend(affine(&format!("{hub}.mlp.fc{number}"), &[WIDTH, WIDTH], WIDTH));
            own.extend(affine(&format!("{candle}.mlp.fc{number}"), &[WIDTH, WIDTH], WIDTH));
        }
    }
    names.extend(affine("layernorm", &[WIDTH], WIDTH));
    own.extend(affine("norm", &[WIDTH], WIDTH));
    let hub = Hub::new(names);
    let state = hub.load(own, |m| {
        m.rename("embeddings.cls_token", "cls_token")
            .rename("embeddings.register_tokens", "reg_token")
            .remove("embeddings.mask_token")
            .split(
                "embeddings.position_embeddings",
                [("of_cls_token", 1), ("pos_embed", 9)],
                1,
            )
            .remove("of_cls_token")
            .rename("embeddings.patch_embeddings.projection", "patch_embed.proj")
            .rename("encoder.layer", "blocks")
            .concat(
                ["query", "key", "value"].map(|part| format!("blocks.*.attention.attention.{part}.*")),
                "blocks.*.attn.qkv.*",
                0,
            )
            .rename("blocks.*.attention.output.dense", "blocks.*.attn.proj")
            .rename("blocks.*.layer_scale*.lambda1", "blocks.*.ls*.gamma")
            .rename("layernorm", "norm");
    });
    hub.is(&state, "blocks.1.ls2.gamma", "encoder.layer.1.layer_scale2.lambda1");
    let parts = ["query", "key", "value"].map(|part| format!("encoder.layer.0.attention.attention.{part}.bias"));
    assert_eq!(bits(&state["blocks.0.attn.qkv.bias"]), bits(&hub.cat(&parts)));
    let positions = hub.tensors["embeddings.position_embeddings"].narrow(1, 1, 9).unwrap();
    assert_eq!(bits(&state["pos_embed"]), bits(&positions.contiguous().unwrap()));
}

/// `ConvNeXt`: `facebook/convnext-tiny-224`, and `models/convnext.rs`, which has the names of timm.
#[test]
fn convnext() {
    let mut names = Vec::new();
    let mut own = Vec::new();
    let mut both = |hub: &str, candle: &str, weight: &[usize], bias: usize| {
        names.extend(affine(hub, weight, bias));
        own.extend(affine(candle, weight, bias));
    };
    both(
        "convnext.embeddings.patch_embeddings",
        "stem.0",
        &[WIDTH, 3, 4, 4],
        WIDTH,
    );
    both("convnext.embeddings.layernorm", "stem.1", &[WIDTH], WIDTH);
    for (stage, blocks) in [(0, 1), (1, 2), (2, 3)] {
        let (hub, candle) = (format!("convnext.encoder.stages.{stage}"), format!("stages.{stage}"));
        if stage > 0 {
            both(
                &format!("{hub}.downsampling_layer.0"),
                &format!("{candle}.downsample.0"),
                &[WIDTH],
                WIDTH,
            );
            both(
                &format!("{hub}.downsampling_layer.1"),
                &format!("{candle}.downsample.1"),
                &[WIDTH, WIDTH, 2, 2],
                WIDTH,
            );
        }
        for block in 0..blocks {
            let (hub, candle) = (format!("{hub}.layers.{block}"), format!("{candle}.blocks.{block}"));
            both(
                &format!("{hub}.dwconv"),
                &format!("{candle}.conv_dw"),
                &[WIDTH, 1, 7, 7],
                WIDTH,
            );
            both(&format!("{hub}.layernorm"), &format!("{candle}.norm"), &[WIDTH], WIDTH);
            both(
                &format!("{hub}.pwconv1"),
                &format!("{candle}.mlp.fc1"),
                &[4 * WIDTH, WIDTH],
                4 * WIDTH,
            );
            both(
                &format!("{hub}.pwconv2"),
                &format!("{candle}.mlp.fc2"),
                &[WIDTH, 4 * WIDTH],
                WIDTH,
            );
        }
    }
    both("convnext.layernorm", "head.norm", &[WIDTH], WIDTH);
    both("classifier", "head.fc", &[10, WIDTH], 10);
    for (stage, block) in [(0, 0), (1, 0), (1, 1), (2, 0), (2, 1), (2, 2)] {
        names.push((
            format!("convnext.encoder.stages.{stage}.layers.{block}.layer_scale_parameter"),
            vec![WIDTH],
        ));
        own.push((format!("stages.{stage}.blocks.{block}.gamma"), vec![WIDTH]));
    }
    let hub = Hub::new(names);
    let state = hub.load(own, |m| {
        m.rename("convnext.embeddings.patch_embeddings", "stem.0")
            .rename("convnext.embeddings.layernorm", "stem.1")
            .rename("convnext.encoder.stages.*.downsampling_layer", "stages.*.downsample")
            .rename("convnext.encoder.stages.*.layers.*", "stages.*.blocks.*")
            .rename("stages.*.blocks.*.dwconv", "stages.*.blocks.*.conv_dw")
            .rename("stages.*.blocks.*.layernorm", "stages.*.blocks.*.norm")
            .rename("stages.*.blocks.*.pwconv*", "stages.*.blocks.*.mlp.fc*")
            .rename("stages.*.blocks.*.layer_scale_parameter", "stages.*.blocks.*.gamma")
            .rename("convnext.layernorm", "head.norm")
            .rename("classifier", "head.fc");
    });
    hub.is(&state, "stem.1.bias", "convnext.embeddings.layernorm.bias");
    hub.is(
        &state,
        "stages.2.blocks.1.gamma",
        "convnext.encoder.stages.2.layers.1.layer_scale_parameter",
    );
    hub.is(
        &state,
        "stages.1.downsample.1.weight",
        "convnext.encoder.stages.1.downsampling_layer.1.weight",
    );
    hub.is(
        &state,
        "stages.0.blocks.0.mlp.fc2.weight",
        "convnext.encoder.stages.0.layers.0.pwconv2.weight",
    );
}
