// What #[derive(Checkpoint)] makes of input/train_state.rs. To accept changes: BLESS=1 cargo test -p fabric-derive snapshots

use fabric_core::candle_core::Device;
use fabric_core::candle_nn::Linear;
struct TrainState {
    model: Linear,
    iteration: u64,
    hparams: std::collections::BTreeMap<String, f64>,
    device: Device,
}
#[allow(deprecated)]
const _: () = {
    #[automatically_derived]
    impl ::fabric_core::__private::Checkpoint for TrainState {
        const KEYS: ::fabric_core::__private::Keys = ::fabric_core::__private::Keys::new(
            &["model", "iteration", "hparams"],
            &[],
        );
        fn visit<'__fabric>(
            &'__fabric self,
            __fabric_entries: &mut ::fabric_core::__private::Visitor<'__fabric>,
        ) {
            __fabric_entries
                .enter(
                    ::fabric_core::__private::FieldSchema::new(
                            "TrainState.model",
                            "model",
                        )
                        .filter_text(&["weight"]),
                );
            <Linear as ::fabric_core::__private::Checkpoint>::visit(
                &self.model,
                __fabric_entries,
            );
            __fabric_entries.leave();
            __fabric_entries
                .enter(
                    ::fabric_core::__private::FieldSchema::new(
                        "TrainState.iteration",
                        "iteration",
                    ),
                );
            <u64 as ::fabric_core::__private::Checkpoint>::visit(
                &self.iteration,
                __fabric_entries,
            );
            __fabric_entries.leave();
            __fabric_entries
                .enter(
                    ::fabric_core::__private::FieldSchema::new(
                        "TrainState.hparams",
                        "hparams",
                    ),
                );
            <std::collections::BTreeMap<
                String,
                f64,
            > as ::fabric_core::__private::Metadata>::visit(
                &self.hparams,
                __fabric_entries,
            );
            __fabric_entries.leave();
        }
        fn visit_mut<'__fabric>(
            &'__fabric mut self,
            __fabric_entries: &mut ::fabric_core::__private::VisitorMut<'__fabric>,
        ) {
            __fabric_entries
                .enter(
                    ::fabric_core::__private::FieldSchema::new(
                            "TrainState.model",
                            "model",
                        )
                        .filter_text(&["weight"]),
                );
            <Linear as ::fabric_core::__private::Checkpoint>::visit_mut(
                &mut self.model,
                __fabric_entries,
            );
            __fabric_entries.leave();
            __fabric_entries
                .enter(
                    ::fabric_core::__private::FieldSchema::new(
                        "TrainState.iteration",
                        "iteration",
                    ),
                );
            <u64 as ::fabric_core::__private::Checkpoint>::visit_mut(
                &mut self.iteration,
                __fabric_entries,
            );
            __fabric_entries.leave();
            __fabric_entries
                .enter(
                    ::fabric_core::__private::FieldSchema::new(
                        "TrainState.hparams",
                        "hparams",
                    ),
                );
            <std::collections::BTreeMap<
                String,
                f64,
            > as ::fabric_core::__private::Metadata>::visit_mut(
                &mut self.hparams,
                __fabric_entries,
            );
            __fabric_entries.leave();
        }
    }
    ///The handles in [`TrainState::FIELDS`].
    #[allow(
        dead_code,
        missing_debug_implementations,
        non_camel_case_types,
        non_snake_case,
        unreachable_pub
    )]
    pub struct TrainStateFields<__State, __Field0, __Field1, __Field2> {
        ///The field that is stored as `model`.
        pub model: ::fabric_core::__private::Field<__State, __Field0>,
        ///The field that is stored as `iteration`.
        pub iteration: ::fabric_core::__private::Field<__State, __Field1>,
        ///The field that is stored as `hparams`.
        pub hparams: ::fabric_core::__private::Field<__State, __Field2>,
    }
    impl TrainState {
        ///Typed handles to the stored fields of [`TrainState`].
        #[allow(dead_code, private_interfaces, clippy::type_complexity)]
        const FIELDS: TrainStateFields<
            Self,
            Linear,
            u64,
            std::collections::BTreeMap<String, f64>,
        > = TrainStateFields {
            model: ::fabric_core::__private::Field::new("model"),
            iteration: ::fabric_core::__private::Field::new("iteration"),
            hparams: ::fabric_core::__private::Field::new("hparams"),
        };
    }
    const _: () = ::fabric_core::__private::core::assert!(
        ! < Linear as ::fabric_core::__private::Checkpoint > ::KIND.is_value(),
        "`model` is a plain value, and only tensors can be filtered; remove `filter`"
    );
};
