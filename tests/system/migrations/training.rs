//! A training goes on in a program of another shape: parameters and moments move together, bit for bit.

use std::collections::BTreeMap;

use candle_core::{Tensor, Var};
use fabric_core::optim::{AdamW, Sgd};
use fabric_core::{Checkpoint, LoadOptions, Migrations, Moments};
use testkit::kinds::Kind;

use crate::states::{PATH, bits, fabric, tensor, var};

type Tensors = BTreeMap<String, Tensor>;

#[derive(Checkpoint)]
struct State<O> {
    model: Tensors,
    optimizer: O,
}

/// A model in training.
struct Training<O> {
    vars: BTreeMap<String, Var>,
    state: State<O>,
}

impl<O: Kind> Training<O> {
    fn new(contents: &Tensors) -> Self {
        let vars: BTreeMap<String, Var> = contents
            .iter()
            .map(|(name, tensor)| {
                (
                    name.clone(),
                    Var::from_tensor(&tensor.force_contiguous().unwrap()).unwrap(),
                )
            })
            .collect();
        let named = vars.iter().map(|(name, var)| (name.clone(), var.clone())).collect();
        Self {
            state: State {
                model: vars
                    .iter()
                    .map(|(name, var)| (name.clone(), var.as_tensor().clone()))
                    .collect(),
                optimizer: O::of(named),
            },
            vars,
        }
    }

    /// One step in which each parameter has this gradient.
    fn step(&mut self, gradients: &Tensors) {
        let terms = self
            .vars
            .iter()
            .map(|(name, var)| (var.as_tensor() * &gradients[name]).unwrap().sum_all().unwrap());
        let loss = terms.reduce(|a, b| (a + b).unwrap()).unwrap();
        self.state.optimizer.backward_step(&loss).unwrap();
    }
}

fn noise(like: &Tensors, seed: u64) -> Tensors {
    let numbered = (seed..).zip(like);
    numbered
        .map(|(seed, (name, tensor))| (name.clone(), self::tensor(seed, tensor.shape().clone())))
        .collect()
}

fn all_bits(tensors: &Tensors) -> BTreeMap<String, Vec<u8>> {
    tensors
        .iter()
        .map(|(name, tensor)| (name.clone(), bits(&tensor.force_contiguous().unwrap())))
        .collect()
}

/// One change of a program: the parameters before it, the words, and the same change of a map of tensors.
struct Change {
    before: Vec<(&'static str, Vec<usize>)>,
    recipe: fn(&mut Migrations),
    rearrange: fn(&Tensors) -> Tensors,
}

fn goes_on<O: Kind>(change: &Change) {
    let fabric = fabric();
    let shapes = (10..).zip(&change.before);
    let contents: Tensors = shapes
        .map(|(seed, (name, shape))| ((*name).to_owned(), tensor(seed, &shape[..])))
        .collect();
    let mut old = Training::<O>::new(&contents);
    for step in 0..3 {
        old.step(&noise(&contents, 100 * step));
    }
    fabric.save(PATH, &old.state).unwrap();
    let zeros: Tensors = (change.rearrange)(&contents)
        .into_iter()
        .map(|(name, tensor)| (name, tensor.zeros_like().unwrap()))
        .collect();
    let mut new = Training::<O>::new(&zeros);
    let loaded = fabric
        .load_with(PATH, &mut new.state, LoadOptions::new().migrations(change.recipe))
        .unwrap();
    assert!(loaded.report.is_complete(), "{}", loaded.report);
    assert!(loaded.remainder.is_empty(), "{:?}", loaded.remainder);
    assert_eq!(
        all_bits(&new.state.model),
        all_bits(&(change.rearrange)(&old.state.model)),
        "the parameters"
    );
    for step in 7..10 {
        let gradients = noise(&contents, 100 * step);
        old.step(&gradients);
        new.step(&(change.rearrange)(&gradients));
        let expected = all_bits(&(change.rearrange)(&old.state.model));
        assert_eq!(all_bits(&new.state.model), expected, "the parameters after a step");
    }
    // The new file needs no recipe.
    fabric.save(PATH, &new.state).unwrap();
    let mut again = Training::<O>::new(&zeros);
    assert!(fabric.load(PATH, &mut again.state).unwrap().report.is_complete());
    assert_eq!(all_bits(&again.state.model), all_bits(&new.state.model));
}

fn both(change: &Change) {
    goes_on::<AdamW>(change);
    goes_on::<Sgd>(change);
}

fn named<const N: usize>(tensors: [(&str, Tensor); N]) -> Tensors {
    tensors.map(|(name, tensor)| (name.to_owned(), tensor)).into()
}

#[test]
fn renamed() {
    both(&Change {
        before: vec![
            ("layers.0.ln.weight", vec![3]),
            ("layers.1.ln.weight", vec![3]),
            ("head", vec![2, 3]),
        ],
        recipe: |m| {
            m.rename("model.layers.*.ln.*", "model.blocks.*.norm.*")
                .rename("model.head", "model.out");
        },
        rearrange: |old| {
            named([
                ("blocks.0.norm.weight", old["layers.0.ln.weight"].clone()),
                ("blocks.1.norm.weight", old["layers.1.ln.weight"].clone()),
                ("out", old["head"].clone()),
            ])
        },
    });
}

#[test]
fn concatenated_with_other_lengths() {
    both(&Change {
        before: vec![
            ("0.wq.weight", vec![4, 3]),
            ("0.wk.weight", vec![2, 3]),
            ("0.wv.weight", vec![2, 3]),
            ("0.other", vec![5]),
        ],
        recipe: |m| {
            let names = ["model.*.wq.weight", "model.*.wk.weight", "model.*.wv.weight"];
            m.concat(names, "model.*.qkv.weight", 0);
        },
        rearrange: |old| {
            let parts = [&old["0.wq.weight"], &old["0.wk.weight"], &old["0.wv.weight"]];
            named([
                ("0.qkv.weight", Tensor::cat(&parts, 0).unwrap()),
                ("0.other", old["0.other"].clone()),
            ])
        },
    });
}

#[test]
fn concatenated_along_the_second_dimension() {
    both(&Change {
        before: vec![("a", vec![3, 2]), ("b", vec![3, 4])],
        recipe: |m| {
            m.concat(["model.b", "model.a"], "model.a", 1);
        },
        rearrange: |old| named([("a", Tensor::cat(&[&old["b"], &old["a"]], 1).unwrap())]),
    });
}

#[test]
fn split() {
    for dim in [0, 1] {
        let recipe: fn(&mut Migrations) = if dim == 0 {
            |m| {
                m.split("model.qkv", [("model.q", 3), ("model.kv", 2)], 0);
            }
        } else {
            |m| {
                m.split("model.qkv", [("model.q", 3), ("model.kv", 2)], 1);
            }
        };
        let rearrange: fn(&Tensors) -> Tensors = if dim == 0 {
            |old| {
                let part = |from, len| old["qkv"].narrow(0, from, len).unwrap();
                named([("q", part(0, 3)), ("kv", part(3, 2))])
            }
        } else {
            |old| {
                let part = |from, len| old["qkv"].narrow(1, from, len).unwrap();
                named([("q", part(0, 3)), ("kv", part(3, 2))])
            }
        };
        both(&Change {
            before: vec![("qkv", vec![5, 5])],
            recipe,
            rearrange,
        });
    }
}

#[test]
fn stacked_in_the_order_of_numbers() {
    both(&Change {
        before: (0..11)
            .map(|n| {
                (
                    [
                        "e.0.w", "e.1.w", "e.2.w", "e.3.w", "e.4.w", "e.5.w", "e.6.w", "e.7.w", "e.8.w", "e.9.w",
                        "e.10.w",
                    ][n],
                    vec![2, 3],
                )
            })
            .collect(),
        recipe: |m| {
            m.stack("model.e.*.w", "model.experts", 1);
        },
        rearrange: |old| {
            let all: Vec<&Tensor> = (0..11).map(|n| &old[&format!("e.{n}.w")]).collect();
            named([("experts", Tensor::stack(&all, 1).unwrap())])
        },
    });
}

#[test]
fn stacked_by_names_and_taken_apart() {
    both(&Change {
        before: vec![("a", vec![2]), ("b", vec![2])],
        recipe: |m| {
            m.stack(["model.b", "model.a"], "model.both", 0);
        },
        rearrange: |old| named([("both", Tensor::stack(&[&old["b"], &old["a"]], 0).unwrap())]),
    });
    both(&Change {
        before: vec![("both", vec![2, 3, 2])],
        recipe: |m| {
            m.unstack("model.both", "model.part.*", 1);
        },
        rearrange: |old| {
            let part = |n| old["both"].narrow(1, n, 1).unwrap().squeeze(1).unwrap();
            named([("part.0", part(0)), ("part.1", part(1)), ("part.2", part(2))])
        },
    });
}

#[test]
fn transposed_and_reshaped() {
    both(&Change {
        before: vec![("w", vec![3, 4])],
        recipe: |m| {
            m.transpose("model.w", 0, 1).reshape("model.w", (2, 2, 3));
        },
        rearrange: |old| {
            named([(
                "w",
                old["w"].t().unwrap().contiguous().unwrap().reshape((2, 2, 3)).unwrap(),
            )])
        },
    });
    both(&Change {
        before: vec![("w", vec![4, 4]), ("v", vec![2, 2, 3])],
        recipe: |m| {
            m.transpose("model.w", 0, 1)
                .transpose("model.v", 0, 2)
                .reshape("model.v", [12]);
        },
        rearrange: |old| {
            let v = old["v"]
                .transpose(0, 2)
                .unwrap()
                .contiguous()
                .unwrap()
                .flatten_all()
                .unwrap();
            named([("w", old["w"].t().unwrap()), ("v", v)])
        },
    });
}

#[test]
fn several_words_follow_each_other() {
    both(&Change {
        before: vec![
            ("h.0.c.weight", vec![2, 6]),
            ("h.1.c.weight", vec![2, 6]),
            ("head.weight", vec![2, 2]),
        ],
        recipe: |m| {
            m.transpose("model.h.*.c.weight", 0, 1)
                .rename("model.h.*.c", "model.blocks.*.qkv")
                .split(
                    "model.blocks.*.qkv.weight",
                    [
                        ("model.blocks.*.q", 2),
                        ("model.blocks.*.k", 2),
                        ("model.blocks.*.v", 2),
                    ],
                    0,
                )
                .stack("model.blocks.*.q", "model.q", 0)
                .concat(["model.blocks.*.v", "model.blocks.*.k"], "model.blocks.*.vk", 1);
        },
        rearrange: |old| {
            let part = |n: usize, from| {
                let turned = old[&format!("h.{n}.c.weight")].t().unwrap();
                turned.narrow(0, from, 2).unwrap().contiguous().unwrap()
            };
            let vk = |n| Tensor::cat(&[part(n, 4), part(n, 2)], 1).unwrap();
            named([
                ("q", Tensor::stack(&[part(0, 0), part(1, 0)], 0).unwrap()),
                ("blocks.0.vk", vk(0)),
                ("blocks.1.vk", vk(1)),
                ("head.weight", old["head.weight"].clone()),
            ])
        },
    });
}

#[test]
fn a_removed_parameter_takes_its_moments_with_it() {
    both(&Change {
        before: vec![("w", vec![3]), ("gone.a", vec![2]), ("gone.b", vec![2])],
        recipe: |m| {
            m.remove("model.gone");
        },
        rearrange: |old| named([("w", old["w"].clone())]),
    });
}

/// Two parameters after three steps, and a state that the recipe fills.
fn loaded(recipe: fn(&mut Migrations), zeros: &Tensors) -> (Training<AdamW>, Training<AdamW>, fabric_core::LoadReport) {
    let fabric = fabric();
    let contents = named([("w", tensor(3, (2, 3))), ("v", tensor(4, 4))]);
    let mut old = Training::<AdamW>::new(&contents);
    for step in 0..3 {
        old.step(&noise(&contents, 100 * step));
    }
    fabric.save(PATH, &old.state).unwrap();
    // The optimizer has moments of its own, which the load replaces, clears, or keeps.
    let mut new = Training::<AdamW>::new(zeros);
    new.step(&noise(zeros, 900));
    let loaded = fabric
        .load_with(PATH, &mut new.state, LoadOptions::new().migrations(recipe))
        .unwrap();
    assert!(loaded.remainder.is_empty());
    (old, new, loaded.report)
}

/// Says for each parameter whether the optimizer has moments of it.
fn has_moments(training: &Training<AdamW>) -> BTreeMap<String, bool> {
    let fabric = fabric();
    fabric.save("moments", &training.state).unwrap();
    let raw = fabric.open("moments").unwrap();
    let of = |name: &String| {
        let moment = raw
            .tensor(
                &format!("optimizer.state.model.{name}.exp_avg"),
                &candle_core::Device::Cpu,
            )
            .unwrap();
        let step: u64 = raw.value(&format!("optimizer.state.model.{name}.step")).unwrap();
        let zero = moment.abs().unwrap().sum_all().unwrap().to_scalar::<f32>().unwrap() == 0.;
        assert_eq!(zero, step == 0, "{name}");
        !zero
    };
    training.vars.keys().map(|name| (name.clone(), of(name))).collect()
}

fn moments<const N: usize>(expected: [(&str, bool); N]) -> BTreeMap<String, bool> {
    expected.map(|(name, has)| (name.to_owned(), has)).into()
}

#[test]
fn moments_begin_anew_where_the_word_says_so() {
    let zeros = named([("w", tensor(1, (3, 2))), ("v", tensor(1, 4))]);
    let (_, new, report) = loaded(
        |m| {
            m.transpose("model.w", 0, 1).moments(Moments::Reset);
        },
        &zeros,
    );
    assert_eq!(has_moments(&new), moments([("w", false), ("v", true)]));
    assert!(
        report
            .begun_anew
            .iter()
            .all(|name| name.starts_with("optimizer.state.model.w.")),
        "{:?}",
        report.begun_anew
    );
    assert_eq!(report.begun_anew.len(), 3);

    let zeros = named([("u", tensor(1, (2, 3))), ("v", tensor(1, 4))]);
    let (old, new, _) = loaded(
        |m| {
            m.rename("model.w", "model.u").moments(Moments::Reset);
        },
        &zeros,
    );
    assert_eq!(has_moments(&new), moments([("u", false), ("v", true)]));
    assert_eq!(bits(&new.state.model["u"]), bits(&old.state.model["w"]));
}

#[test]
fn a_tensor_that_the_program_makes_begins_with_new_moments() {
    let zeros = named([("w", tensor(1, (2, 3))), ("v", tensor(1, 4))]);
    let (old, new, _) = loaded(
        |m| {
            m.tensor("model.w", "model.w", |w| w * 2.);
        },
        &zeros,
    );
    assert_eq!(
        bits(&new.state.model["w"]),
        bits(&(&old.state.model["w"] * 2.).unwrap())
    );
    assert_eq!(has_moments(&new), moments([("w", false), ("v", true)]));
}

#[test]
fn zeros_and_kept_entries_are_there_for_parameters_that_older_files_lack() {
    let fresh = var(77, 5).as_tensor().clone();
    let zeros = named([("w", tensor(1, (2, 3))), ("v", tensor(1, 4)), ("new", fresh.clone())]);
    let (_, new, report) = loaded(
        |m| {
            m.insert_zeros("model.new");
        },
        &zeros,
    );
    assert_eq!(new.state.model["new"].to_vec1::<f32>().unwrap(), [0.; 5]);
    assert_eq!(has_moments(&new), moments([("w", true), ("v", true), ("new", false)]));
    assert_eq!(report.zeroed, ["model.new"]);

    let (_, new, report) = loaded(
        |m| {
            m.keep("model.new");
        },
        &zeros,
    );
    assert_eq!(has_moments(&new), moments([("w", true), ("v", true), ("new", true)]));
    let mut own = Training::<AdamW>::new(&zeros);
    own.step(&noise(&zeros, 900));
    assert_eq!(bits(&new.state.model["new"]), bits(&own.state.model["new"]));
    let moment = |state: &State<AdamW>| {
        let all = fabric_core::named_optimizer_state(state).unwrap();
        let own = all.iter().find(|own| own.parameter == "model.new").unwrap();
        bits(own.tensor("exp_avg").unwrap())
    };
    assert_eq!(moment(&new.state), moment(&own.state));
    assert!(report.kept.contains(&"model.new".to_owned()), "{:?}", report.kept);
}

#[derive(Checkpoint)]
struct Half {
    model: Tensors,
}

#[test]
fn a_cast_leaves_moments_as_they_are() {
    let fabric = fabric();
    let contents = named([("w", tensor(3, (2, 3)))]);
    let mut old = Training::<AdamW>::new(&contents);
    old.step(&noise(&contents, 1));
    fabric.save(PATH, &old.state).unwrap();
    let mut half = Half {
        model: named([("w", contents["w"].to_dtype(candle_core::DType::BF16).unwrap())]),
    };
    let options = LoadOptions::new().migrations(|m| {
        m.cast("model.w", candle_core::DType::BF16);
    });
    let loaded = fabric.load_with(PATH, &mut half, options).unwrap();
    let expected = old.state.model["w"].to_dtype(candle_core::DType::BF16).unwrap();
    assert_eq!(bits(&half.model["w"]), bits(&expected));
    let moment = loaded.remainder.info("optimizer.state.model.w.exp_avg").unwrap();
    assert!(moment.dtype() == candle_core::DType::F32);
}

/// A level with the model and its optimizer has a new name: the names of parameters change inside of the names of moments.
#[test]
fn a_renamed_level_that_holds_the_optimizer_too() {
    #[derive(Checkpoint)]
    struct Old {
        trainer: State<AdamW>,
    }
    #[derive(Checkpoint)]
    struct New {
        t: State<AdamW>,
    }
    let fabric = fabric();
    let contents = named([("w", tensor(3, (2, 3)))]);
    let mut old = Training::<AdamW>::new(&contents);
    old.step(&noise(&contents, 1));
    let old = Old { trainer: old.state };
    fabric.save(PATH, &old).unwrap();
    let mut new = New {
        t: Training::<AdamW>::new(&contents).state,
    };
    let options = LoadOptions::new().migrations(|m| {
        m.rename("trainer", "t");
    });
    let loaded = fabric.load_with(PATH, &mut new, options).unwrap();
    assert!(
        loaded.report.is_complete() && loaded.remainder.is_empty(),
        "{}",
        loaded.report
    );
    let moment = |state: &State<AdamW>| {
        bits(
            fabric_core::named_optimizer_state(state).unwrap()[0]
                .tensor("exp_avg")
                .unwrap(),
        )
    };
    assert_eq!(moment(&new.t), moment(&old.trainer));
}
