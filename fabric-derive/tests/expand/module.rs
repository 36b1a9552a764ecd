// What #[derive(Checkpoint)] makes of input/module.rs. To accept changes: BLESS=1 cargo test --workspace --lib snapshots

use fabric_core::candle_nn::Linear;
pub struct Mlp {
    fc1: Linear,
    fc2: Linear,
}
#[allow(deprecated, unused_qualifications)]
const _: () = {
    use ::fabric_core::__private1 as __fabric;
    #[automatically_derived]
    impl __fabric::Checkpoint for Mlp {
        const KEYS: __fabric::Keys = __fabric::Keys::new(&["fc1", "fc2"], &[]);
        const RECORDED: __fabric::Recorded = __fabric::Recorded::ByItself;
        fn may_differ(
            __fabric_types: &mut __fabric::Types,
        ) -> __fabric::core::primitive::bool {
            __fabric_types.enter(__fabric::Schema::of::<Self>(&__FABRIC_DECLARATION))
                && (<Linear as __fabric::Checkpoint>::may_differ(__fabric_types)
                    || <Linear as __fabric::Checkpoint>::may_differ(__fabric_types))
        }
        fn structs(__fabric_types: &mut __fabric::TypeWalk<'_>) {
            __fabric_types
                .of::<
                    Self,
                >(
                    &[
                        (&["fc1"], <Linear as __fabric::Checkpoint>::structs),
                        (&["fc2"], <Linear as __fabric::Checkpoint>::structs),
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
                __fabric::FieldSchema::new(__fabric_schema, "Mlp.fc1", "fc1"),
            );
            <Linear as __fabric::Checkpoint>::visit_part(
                &self.fc1,
                __fabric_entries,
                __fabric::Sealed,
            );
            __fabric::Walking::leave(__fabric_entries);
            __fabric::Walking::enter(
                __fabric_entries,
                __fabric::FieldSchema::new(__fabric_schema, "Mlp.fc2", "fc2"),
            );
            <Linear as __fabric::Checkpoint>::visit_part(
                &self.fc2,
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
                __fabric::FieldSchema::new(__fabric_schema, "Mlp.fc1", "fc1"),
            );
            <Linear as __fabric::Checkpoint>::visit_part_mut(
                &mut self.fc1,
                __fabric_entries,
                __fabric::Sealed,
            );
            __fabric::Walking::leave(__fabric_entries);
            __fabric::Walking::enter(
                __fabric_entries,
                __fabric::FieldSchema::new(__fabric_schema, "Mlp.fc2", "fc2"),
            );
            <Linear as __fabric::Checkpoint>::visit_part_mut(
                &mut self.fc2,
                __fabric_entries,
                __fabric::Sealed,
            );
            __fabric::Walking::leave(__fabric_entries);
        }
    }
    static __FABRIC_DECLARATION: __fabric::Declaration = __fabric::Declaration::new(
        "Mlp",
    );
    ///The handles in [`Mlp::FIELDS`].
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
    pub struct MlpFields {
        ///The field that is stored as `fc1`.
        fc1: __fabric::Field<Mlp, Linear>,
        ///The field that is stored as `fc2`.
        fc2: __fabric::Field<Mlp, Linear>,
    }
    impl Mlp {
        ///Typed handles to the stored fields of [`Mlp`]. The handle of a field inside a field is reached with `then`, as in `Mlp::FIELDS.outer.then(Outer::FIELDS.inner)`.
        #[allow(dead_code, private_interfaces)]
        pub const FIELDS: MlpFields = MlpFields {
            fc1: __fabric::Field::new(&__FABRIC_DECLARATION, "fc1"),
            fc2: __fabric::Field::new(&__FABRIC_DECLARATION, "fc2"),
        };
    }
};
