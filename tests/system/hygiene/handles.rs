//! Handles outside of the module that declares a struct, whatever its private fields hold.

use std::marker::PhantomData;

use fabric_core::candle_nn::Linear;
use fabric_core::{Checkpoint, Field, LoadOptions};

mod state {
    use super::{Checkpoint, Linear, PhantomData};

    #[derive(Checkpoint)]
    struct Progress {
        epoch: u64,
    }

    #[derive(serde::Serialize, serde::Deserialize)]
    struct Config {
        width: usize,
    }

    /// Private fields of private types: a component, a list of them, a value.
    #[derive(Checkpoint)]
    pub(super) struct TrainState {
        pub(super) iteration: u64,
        progress: Progress,
        list: Vec<Progress>,
        #[checkpoint(metadata)]
        config: Config,
    }

    impl TrainState {
        pub(super) const INSIDE: super::Field<Self, u64> = Self::FIELDS.progress.then(Progress::FIELDS.epoch);
    }

    #[derive(Checkpoint)]
    struct Hidden<T> {
        layer: T,
    }

    pub(super) trait Named {
        type Part: Checkpoint;
    }

    impl Named for u8 {
        type Part = Linear;
    }

    /// Lifetimes, constants, associated types, a where-clause and a default.
    #[derive(Checkpoint)]
    pub(super) struct Generic<'a, T: Named, U = u64, const N: usize = 2>
    where
        T: 'a,
        U: Checkpoint + ?Sized,
    {
        pub(in crate::hygiene) part: T::Part,
        pub(crate) lent: &'a mut U,
        pub(super) rows: [Linear; N],
        hidden: Hidden<T::Part>,
        #[checkpoint(skip)]
        of: PhantomData<&'a T>,
    }

    /// `Self` in a type and in a constant.
    #[derive(Checkpoint)]
    pub(super) struct Node<T>
    where
        Self: Sized,
    {
        pub(super) item: T,
        pub(super) next: Option<Box<Self>>,
        pub(super) parents: (Vec<Node<T>>, u64),
    }

    #[derive(Checkpoint)]
    pub(super) struct Widths {
        pub(super) widths: [u64; Self::WIDTH],
    }

    impl Widths {
        const WIDTH: usize = 3;
    }

    pub(super) struct HolderFields;

    impl Checkpoint for HolderFields {
        fn visit<'a>(&'a self, entries: &mut fabric_core::Visitor<'a>) {
            entries.value("seven", &7_u64);
        }
        fn visit_mut<'a>(&'a mut self, _: &mut fabric_core::VisitorMut<'a>) {}
    }

    pub(super) mod filters {
        pub(in crate::hygiene) struct HolderFields_;

        impl HolderFields_ {
            pub(in crate::hygiene) fn keep(_: &str, _: &fabric_core::TensorInfo) -> bool {
                true
            }
        }
    }
    use filters::HolderFields_;

    /// The struct of handles would have the name of a field's type, and then that of a filter.
    #[derive(Checkpoint)]
    pub(super) struct Holder {
        pub(super) part: HolderFields,
        #[checkpoint(filter = HolderFields_::keep)]
        pub(super) layer: Linear,
    }
}

#[test]
fn a_handle_is_usable_outside_of_the_module_beside_private_fields_of_private_types() {
    use state::TrainState;

    let _: LoadOptions = LoadOptions::new().only(TrainState::FIELDS.iteration);
    assert_eq!(TrainState::FIELDS.iteration.name(), "iteration");
    assert_eq!(TrainState::INSIDE.name(), "progress.epoch");
}

#[test]
fn a_handle_of_a_generic_struct_is_usable_outside_of_the_module() {
    type Two<'a> = state::Generic<'a, u8, u64, 2>;
    const PART: Field<Two<'_>, Linear> = Two::FIELDS.part;
    assert_eq!(PART.name(), "part");
    assert_eq!(Two::FIELDS.lent.name(), "lent");
    let rows: Field<Two<'_>, [Linear; 2]> = Two::FIELDS.rows;
    assert_eq!(rows.name(), "rows");
}

#[test]
fn self_in_a_field_is_the_declared_type_in_its_handle() {
    let next: Field<state::Node<u64>, Option<Box<state::Node<u64>>>> = state::Node::FIELDS.next;
    assert_eq!(next.name(), "next");
    assert_eq!(state::Node::<u64>::FIELDS.item.name(), "item");
    assert_eq!(state::Node::<u64>::FIELDS.parents.name(), "parents");
    let widths: Field<state::Widths, [u64; 3]> = state::Widths::FIELDS.widths;
    assert_eq!(widths.name(), "widths");
}

#[test]
fn the_struct_of_handles_hides_no_name_of_the_declaration() {
    let part: Field<state::Holder, state::HolderFields> = state::Holder::FIELDS.part;
    assert_eq!(part.name(), "part");
    assert_eq!(state::Holder::FIELDS.layer.name(), "layer");
}
