//! Tensors that show the same memory in part, or in another order.

use candle_core::{DType, Tensor};
use candle_nn::Linear;
use fabric_core::{Checkpoint, LoadOptions, MismatchKind};

use crate::states::{PATH, bits, fabric, image, mismatched, refused, tensor};

#[derive(Checkpoint)]
struct Views {
    matrix: Tensor,
    view: Tensor,
}

/// Ways to look at a matrix of 4 rows and 4 columns.
const VIEWS: [fn(&Tensor) -> Tensor; 5] = [
    |matrix| matrix.t().unwrap(),
    |matrix| matrix.reshape(16).unwrap(),
    |matrix| matrix.narrow(0, 1, 2).unwrap(),
    |matrix| matrix.narrow(1, 3, 1).unwrap(),
    |matrix| matrix.narrow(0, 3, 1).unwrap().squeeze(0).unwrap(),
];

fn shared(seed: u64, view: fn(&Tensor) -> Tensor) -> Views {
    let matrix = tensor(seed, (4, 4));
    Views {
        view: view(&matrix),
        matrix,
    }
}

/// Copies of both, of which the last element of the view is another if `differs`.
fn apart(seed: u64, view: fn(&Tensor) -> Tensor, differs: bool) -> Views {
    let Views { matrix, view } = shared(seed, view);
    let mut elements: Vec<f32> = view.flatten_all().unwrap().to_vec1().unwrap();
    if differs {
        *elements.last_mut().unwrap() += 1.;
    }
    Views {
        matrix: matrix.copy().unwrap(),
        view: Tensor::from_vec(elements, view.shape(), view.device()).unwrap(),
    }
}

#[test]
fn a_file_that_says_two_things_about_one_element_is_refused() {
    for view in VIEWS {
        let fabric = fabric();
        fabric.save(PATH, &apart(1, view, true)).unwrap();
        let mut live = shared(2, view);
        for options in [LoadOptions::new(), LoadOptions::new().strict(false)] {
            let report = refused(&fabric, &mut live, options);
            assert_eq!(mismatched(&report), [("view", MismatchKind::Tied)]);
            assert!(
                report.to_string().contains("shares its memory with `matrix`"),
                "{report}"
            );
            assert!(!report.restored.contains(&"view".to_owned()));
        }
    }
}

#[test]
fn what_was_saved_from_the_views_and_equal_copies_of_them_load() {
    for view in VIEWS {
        for saved in [shared(1, view), apart(1, view, false)] {
            let fabric = fabric();
            fabric.save(PATH, &saved).unwrap();
            let mut live = shared(2, view);
            let loaded = fabric.load(PATH, &mut live).unwrap();
            assert!(loaded.report.is_complete(), "{}", loaded.report);
            assert!(image(&live) == image(&saved));
        }
    }
}

#[test]
fn columns_that_lie_between_each_other_share_nothing() {
    let columns = |seed| {
        let whole = tensor(seed, (4, 4));
        Views {
            matrix: whole.narrow(1, 0, 2).unwrap(),
            view: whole.narrow(1, 2, 2).unwrap(),
        }
    };
    let fabric = fabric();
    let saved = columns(1);
    fabric.save(PATH, &saved).unwrap();
    let mut live = columns(2);
    fabric.load(PATH, &mut live).unwrap();
    assert_eq!(bits(&live.matrix), bits(&saved.matrix));
    assert_eq!(bits(&live.view), bits(&saved.view));
}

#[test]
fn elements_are_compared_as_they_would_be_converted() {
    #[derive(Checkpoint)]
    struct Halves {
        matrix: Tensor,
        view: Tensor,
    }
    let turned = VIEWS[0];
    for differs in [false, true] {
        let Views { matrix, view } = apart(1, turned, differs);
        let saved = Halves {
            matrix: matrix.to_dtype(DType::BF16).unwrap(),
            view: view.to_dtype(DType::BF16).unwrap(),
        };
        let fabric = fabric();
        fabric.save(PATH, &saved).unwrap();
        let mut live = shared(2, turned);
        let options = LoadOptions::new().cast(true);
        if differs {
            let report = refused(&fabric, &mut live, options);
            assert_eq!(mismatched(&report), [("view", MismatchKind::Tied)]);
        } else {
            fabric.load_with(PATH, &mut live, options).unwrap();
            assert_eq!(bits(&live.matrix), bits(&saved.matrix));
        }
    }
}

#[test]
fn a_head_that_is_the_embedding_turned_round_is_held_to_it() {
    #[derive(Checkpoint)]
    struct Model {
        embedding: Tensor,
        head: Linear,
    }
    let model = |seed: u64| {
        let embedding = tensor(seed, (300, 200));
        Model {
            head: Linear::new(embedding.t().unwrap(), None),
            embedding,
        }
    };
    let fabric = fabric();
    let untied = Model {
        embedding: tensor(1, (300, 200)),
        head: Linear::new(tensor(3, (200, 300)), None),
    };
    fabric.save(PATH, &untied).unwrap();
    let report = refused(&fabric, &mut model(5), LoadOptions::new());
    assert_eq!(mismatched(&report), [("head.weight", MismatchKind::Tied)]);
    fabric.save(PATH, &model(7)).unwrap();
    let mut live = model(5);
    fabric.load(PATH, &mut live).unwrap();
    assert!(image(&live) == image(&model(7)));
}
