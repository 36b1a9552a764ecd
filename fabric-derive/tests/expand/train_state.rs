// What #[derive(Checkpoint)] makes of input/train_state.rs. To accept changes: BLESS=1 cargo test --workspace --lib snapshots

use fabric_core::candle_core::Device;
use fabric_core::candle_nn::Linear;
struct TrainState {
    model: Linear,
    iteration: u64,
    hparams: std::collections::BTreeMap<String, f64>,
    device: Device,
}
#[allow(deprecated, unused_qualifications)]
const _: () = {
    use ::fabric_core::__private1 as __fabric;
    #[automatically_derived]
    impl __fabric::Checkpoint for TrainState {
        const KEYS: __fabric::Keys = __fabric::Keys::new(
            &["model", "iteration", "hparams"],
            &[],
        );
        const RECORDED: __fabric::Recorded = __fabric::Recorded::ByItself;
        fn may_differ(
            __fabric_types: &mut __fabric::Types,
        ) -> __fabric::core::primitive::bool {
            __fabric_types.enter(__fabric::Schema::of::<Self>(&__FABRIC_DECLARATION))
                && (<Linear as __fabric::Checkpoint>::may_differ(__fabric_types)
                    || <u64 as __fabric::Checkpoint>::may_differ(__fabric_types))
        }
        fn structs(__fabric_types: &mut __fabric::TypeWalk<'_>) {
            __fabric_types
                .of::<
                    Self,
                >(
                    &[
                        (&["model"], <Linear as __fabric::Checkpoint>::structs),
                        (&["iteration"], <u64 as __fabric::Checkpoint>::structs),
                    ],
                );
        }
        fn visit<'__fabric>(
            &'__fabric self,
            __fabric_entries: &mut __fabric::Visitor<'__fabric>,
        ) {
            __fabric::Walking::record::<Self>(__fabric_entries);
            let __fabric_schema = __fabric::Schema::of::<Self>(&__FABRIC_DECLARATION);
            __fabric::Walking::enter(
                __fabric_entries,
                __fabric::FieldSchema::new(__fabric_schema, "TrainState.model", "model")
                    .filter_text(&["weight"]),
            );
            <Linear as __fabric::Checkpoint>::visit_part(
                &self.model,
                __fabric_entries,
                __fabric::Sealed,
            );
            __fabric::Walking::leave(__fabric_entries);
            __fabric::Walking::enter(
                __fabric_entries,
                __fabric::FieldSchema::new(
                    __fabric_schema,
                    "TrainState.iteration",
                    "iteration",
                ),
            );
            <u64 as __fabric::Checkpoint>::visit_part(
                &self.iteration,
                __fabric_entries,
                __fabric::Sealed,
            );
            __fabric::Walking::leave(__fabric_entries);
            __fabric::Walking::enter(
                __fabric_entries,
                __fabric::FieldSchema::new(
                    __fabric_schema,
                    "TrainState.hparams",
                    "hparams",
                ),
            );
            <std::collections::BTreeMap<
                String,
                f64,
            > as __fabric::Metadata>::visit(&self.hparams, __fabric_entries);
            __fabric::Walking::leave(__fabric_entries);
        }
        fn visit_mut<'__fabric>(
            &'__fabric mut self,
            __fabric_entries: &mut __fabric::VisitorMut<'__fabric>,
        ) {
            __fabric::Walking::record::<Self>(__fabric_entries);
            let __fabric_schema = __fabric::Schema::of::<Self>(&__FABRIC_DECLARATION);
            __fabric::Walking::enter(
                __fabric_entries,
                __fabric::FieldSchema::new(__fabric_schema, "TrainState.model", "model")
                    .filter_text(&["weight"]),
            );
            <Linear as __fabric::Checkpoint>::visit_part_mut(
                &mut self.model,
                __fabric_entries,
                __fabric::Sealed,
            );
            __fabric::Walking::leave(__fabric_entries);
            __fabric::Walking::enter(
                __fabric_entries,
                __fabric::FieldSchema::new(
                    __fabric_schema,
                    "TrainState.iteration",
                    "iteration",
                ),
            );
            <u64 as __fabric::Checkpoint>::visit_part_mut(
                &mut self.iteration,
                __fabric_entries,
                __fabric::Sealed,
            );
            __fabric::Walking::leave(__fabric_entries);
            __fabric::Walking::enter(
                __fabric_entries,
                __fabric::FieldSchema::new(
                    __fabric_schema,
                    "TrainState.hparams",
                    "hparams",
                ),
            );
            <std::collections::BTreeMap<
                String,
                f64,
            > as __fabric::Metadata>::visit_mut(&mut self.hparams, __fabric_entries);
            __fabric::Walking::leave(__fabric_entries);
        }
    }
    static __FABRIC_DECLARATION: __fabric::Declaration = __fabric::Declaration::new(
        "TrainState",
    );
    ///The handles in [`TrainState::FIELDS`].
    #[allow(
        dead_code,
        missing_debug_implementations,
        non_camel_case_types,
        non_snake_case
    )]
    #[allow(
        private_bounds,
        private_interfaces,
        unreachable_pub,
        clippy::type_complexity
    )]
    struct TrainStateFields {
        ///The field that is stored as `model`.
        model: __fabric::Field<TrainState, Linear>,
        ///The field that is stored as `iteration`.
        iteration: __fabric::Field<TrainState, u64>,
        ///The field that is stored as `hparams`.
        hparams: __fabric::Field<TrainState, std::collections::BTreeMap<String, f64>>,
    }
    impl TrainState {
        /**Typed handles to the stored fields of [`TrainState`]. The handle of a field inside a field is reached with `then`, as in `TrainState::FIELDS.outer.then(Outer::FIELDS.inner)`.

| handle | type | name in the file |
|---|---|---|
| `model` | `Linear` | `model` |
| `iteration` | `u64` | `iteration` |
| `hparams` | `std::collections::BTreeMap<String, f64>` | `hparams` |*/
        #[allow(dead_code, private_interfaces)]
        const FIELDS: TrainStateFields = TrainStateFields {
            model: __fabric::Field::new(&__FABRIC_DECLARATION, "model"),
            iteration: __fabric::Field::new(&__FABRIC_DECLARATION, "iteration"),
            hparams: __fabric::Field::new(&__FABRIC_DECLARATION, "hparams"),
        };
    }
    const _: () = __fabric::core::assert!(
        ! < Linear as __fabric::Checkpoint > ::KIND.is_one_value(),
        "`model` is a plain value, and only tensors can be filtered; remove `filter`"
    );
};
