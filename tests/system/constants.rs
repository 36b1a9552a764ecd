//! Constants of the program as names in a file, and bounds of generic fields.

use candle_nn::Linear;
use fabric_core::Checkpoint;

use crate::states::{PATH, fabric, image, linear};

#[derive(Checkpoint)]
struct State<'a> {
    #[checkpoint(rename = Self::LAYER, alias = Self::OLD)]
    layer: &'a mut Linear,
    step: u64,
}

impl State<'_> {
    const LAYER: &'static str = "encoder";
    const OLD: &'static str = "old.layer";
}

#[derive(Checkpoint)]
enum Model {
    #[checkpoint(rename = Self::DENSE, alias = Self::LINEAR)]
    Dense {
        #[checkpoint(rename = Self::INNER)]
        layer: Linear,
    },
}

impl Model {
    const DENSE: &'static str = "dense";
    const LINEAR: &'static str = "linear";
    const INNER: &'static str = "inner";
}

#[test]
fn a_constant_of_the_type_itself_is_a_name() {
    let fabric = fabric();
    let mut layer = linear(1, 2, 2);
    fabric
        .save(
            PATH,
            &State {
                layer: &mut layer,
                step: 1,
            },
        )
        .unwrap();
    assert_eq!(
        fabric.open(PATH).unwrap().names(),
        ["encoder.bias", "encoder.weight", "step"]
    );
    assert_eq!(State::FIELDS.layer.name(), "encoder");
    let model = Model::Dense { layer };
    fabric.save(PATH, &model).unwrap();
    let raw = fabric.open(PATH).unwrap();
    assert_eq!(raw.names(), ["inner.bias", "inner.weight", "variant"]);
    assert_eq!(raw.value::<String>("variant").unwrap(), "dense");
    let mut live = Model::Dense { layer: linear(3, 2, 2) };
    fabric.load(PATH, &mut live).unwrap();
    assert!(image(&live) == image(&model));
}

#[test]
fn metadata_of_a_type_parameter_takes_its_default() {
    #[derive(Checkpoint)]
    struct Run<C> {
        step: u64,
        #[checkpoint(metadata, default)]
        config: C,
        #[checkpoint(metadata, default = seven)]
        seed: u64,
    }
    fn seven() -> u64 {
        7
    }
    #[derive(Checkpoint)]
    struct Older {
        step: u64,
    }
    let fabric = fabric();
    fabric.save(PATH, &Older { step: 3 }).unwrap();
    let mut run = Run {
        step: 0,
        config: vec!["a".to_owned()],
        seed: 0,
    };
    fabric.load(PATH, &mut run).unwrap();
    assert_eq!((run.step, run.config.len(), run.seed), (3, 0, 7));
}
