// What #[derive(Checkpoint)] makes of input/names.rs. To accept changes: BLESS=1 cargo test --workspace --lib snapshots

struct Named {
    learning_rate: f64,
    epoch_count: u64,
    r#type: String,
}
#[allow(deprecated, unused_qualifications)]
const _: () = {
    use ::fabric_core::__private1 as __fabric;
    #[automatically_derived]
    impl __fabric::Checkpoint for Named {
        const KEYS: __fabric::Keys = __fabric::Keys::new(
                &["learningRate", "epochs_done", "type"],
                &[],
            )
            .aliases(&["epoch", "epochs"]);
        const RECORDED: __fabric::Recorded = __fabric::Recorded::ByItself;
        fn may_differ(
            __fabric_types: &mut __fabric::Types,
        ) -> __fabric::core::primitive::bool {
            __fabric_types.enter(__fabric::Schema::of::<Self>(&__FABRIC_DECLARATION))
                && (<f64 as __fabric::Checkpoint>::may_differ(__fabric_types)
                    || <u64 as __fabric::Checkpoint>::may_differ(__fabric_types)
                    || <String as __fabric::Checkpoint>::may_differ(__fabric_types))
        }
        fn structs(__fabric_types: &mut __fabric::TypeWalk<'_>) {
            __fabric_types
                .of::<
                    Self,
                >(
                    &[
                        (&["learningRate"], <f64 as __fabric::Checkpoint>::structs),
                        (
                            &["epochs_done", "epoch", "epochs"],
                            <u64 as __fabric::Checkpoint>::structs,
                        ),
                        (&["type"], <String as __fabric::Checkpoint>::structs),
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
                __fabric::FieldSchema::new(
                    __fabric_schema,
                    "Named.learning_rate",
                    "learningRate",
                ),
            );
            <f64 as __fabric::Checkpoint>::visit_part(
                &self.learning_rate,
                __fabric_entries,
                __fabric::Sealed,
            );
            __fabric::Walking::leave(__fabric_entries);
            __fabric::Walking::enter(
                __fabric_entries,
                __fabric::FieldSchema::new(
                        __fabric_schema,
                        "Named.epoch_count",
                        "epochs_done",
                    )
                    .alias(&["epoch", "epochs"]),
            );
            <u64 as __fabric::Checkpoint>::visit_part(
                &self.epoch_count,
                __fabric_entries,
                __fabric::Sealed,
            );
            __fabric::Walking::leave(__fabric_entries);
            __fabric::Walking::enter(
                __fabric_entries,
                __fabric::FieldSchema::new(__fabric_schema, "Named.type", "type"),
            );
            <String as __fabric::Checkpoint>::visit_part(
                &self.r#type,
                __fabric_entries,
                __fabric::Sealed,
            );
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
                __fabric::FieldSchema::new(
                    __fabric_schema,
                    "Named.learning_rate",
                    "learningRate",
                ),
            );
            <f64 as __fabric::Checkpoint>::visit_part_mut(
                &mut self.learning_rate,
                __fabric_entries,
                __fabric::Sealed,
            );
            __fabric::Walking::leave(__fabric_entries);
            __fabric::Walking::enter(
                __fabric_entries,
                __fabric::FieldSchema::new(
                        __fabric_schema,
                        "Named.epoch_count",
                        "epochs_done",
                    )
                    .alias(&["epoch", "epochs"]),
            );
            <u64 as __fabric::Checkpoint>::visit_part_mut(
                &mut self.epoch_count,
                __fabric_entries,
                __fabric::Sealed,
            );
            __fabric::Walking::leave(__fabric_entries);
            __fabric::Walking::enter(
                __fabric_entries,
                __fabric::FieldSchema::new(__fabric_schema, "Named.type", "type"),
            );
            <String as __fabric::Checkpoint>::visit_part_mut(
                &mut self.r#type,
                __fabric_entries,
                __fabric::Sealed,
            );
            __fabric::Walking::leave(__fabric_entries);
        }
    }
    static __FABRIC_DECLARATION: __fabric::Declaration = __fabric::Declaration::new(
        "Named",
    );
    ///The handles in [`Named::FIELDS`].
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
    struct NamedFields {
        ///The field that is stored as `learningRate`.
        learning_rate: __fabric::Field<Named, f64>,
        ///The field that is stored as `epochs_done`.
        epoch_count: __fabric::Field<Named, u64>,
        ///The field that is stored as `type`.
        r#type: __fabric::Field<Named, String>,
    }
    impl Named {
        /**Typed handles to the stored fields of [`Named`]. The handle of a field inside a field is reached with `then`, as in `Named::FIELDS.outer.then(Outer::FIELDS.inner)`.

| handle | type | name in the file |
|---|---|---|
| `learning_rate` | `f64` | `learningRate` |
| `epoch_count` | `u64` | `epochs_done` |
| `type` | `String` | `type` |*/
        #[allow(dead_code, private_interfaces)]
        const FIELDS: NamedFields = NamedFields {
            learning_rate: __fabric::Field::new(&__FABRIC_DECLARATION, "learningRate"),
            epoch_count: __fabric::Field::new(&__FABRIC_DECLARATION, "epochs_done"),
            r#type: __fabric::Field::new(&__FABRIC_DECLARATION, "type"),
        };
    }
};
