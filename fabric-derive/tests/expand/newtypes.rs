// What #[derive(Checkpoint)] makes of input/newtypes.rs. To accept changes: BLESS=1 cargo test --workspace --lib snapshots

use fabric_core::candle_core::Device;
use fabric_core::candle_nn::Linear;
struct Step(u64);
#[allow(deprecated, unused_qualifications)]
const _: () = {
    use ::fabric_core::__private1 as __fabric;
    #[automatically_derived]
    impl __fabric::Checkpoint for Step {
        const KIND: __fabric::Kind = <u64 as __fabric::Checkpoint>::KIND;
        const KEYS: __fabric::Keys = <u64 as __fabric::Checkpoint>::KEYS;
        const RECORDED: __fabric::Recorded = __fabric::Recorded::ByItself;
        fn may_differ(
            __fabric_types: &mut __fabric::Types,
        ) -> __fabric::core::primitive::bool {
            __fabric_types.enter(__fabric::Schema::of::<Self>(&__FABRIC_DECLARATION))
                && (<u64 as __fabric::Checkpoint>::may_differ(__fabric_types))
        }
        fn structs(__fabric_types: &mut __fabric::TypeWalk<'_>) {
            __fabric_types.of::<Self>(&[(&[], <u64 as __fabric::Checkpoint>::structs)]);
        }
        fn visit<'__fabric>(
            &'__fabric self,
            __fabric_entries: &mut __fabric::Visitor<'__fabric>,
        ) {
            __fabric::Walking::record::<Self>(__fabric_entries);
            let __fabric_schema = __fabric::Schema::of::<Self>(&__FABRIC_DECLARATION);
            __fabric::Walking::enter(
                __fabric_entries,
                __fabric::FieldSchema::new(__fabric_schema, "Step.0", "0").flatten(),
            );
            <u64 as __fabric::Checkpoint>::visit_part(
                &self.0,
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
                __fabric::FieldSchema::new(__fabric_schema, "Step.0", "0").flatten(),
            );
            <u64 as __fabric::Checkpoint>::visit_part_mut(
                &mut self.0,
                __fabric_entries,
                __fabric::Sealed,
            );
            __fabric::Walking::leave(__fabric_entries);
        }
        #[allow(unused_variables)]
        fn to_value(
            &self,
            __fabric_sealed: __fabric::Sealed,
        ) -> __fabric::core::result::Result<__fabric::Value, __fabric::ValueError> {
            <u64 as __fabric::Checkpoint>::to_value(&self.0, __fabric_sealed)
        }
        #[allow(unused_variables)]
        fn from_value(
            __fabric_value: &__fabric::Value,
            __fabric_sealed: __fabric::Sealed,
        ) -> __fabric::core::result::Result<Self, __fabric::ValueError>
        where
            Self: __fabric::core::marker::Sized,
        {
            __fabric::core::result::Result::map(
                <u64 as __fabric::Checkpoint>::from_value(
                    __fabric_value,
                    __fabric_sealed,
                ),
                Self,
            )
        }
        fn when_absent(
            __fabric_sealed: __fabric::Sealed,
        ) -> __fabric::core::option::Option<Self>
        where
            Self: __fabric::core::marker::Sized,
        {
            __fabric::core::option::Option::map(
                <u64 as __fabric::Checkpoint>::when_absent(__fabric_sealed),
                Self,
            )
        }
    }
    static __FABRIC_DECLARATION: __fabric::Declaration = __fabric::Declaration::new(
        "Step",
    );
    ///The handles in [`Step::FIELDS`].
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
    struct StepFields(
        ///The field whose entries join this level.
        __fabric::Field<Step, u64>,
    );
    impl Step {
        /**Typed handles to the stored fields of [`Step`]. The handle of a field inside a field is reached with `then`, as in `Step::FIELDS.outer.then(Outer::FIELDS.inner)`.

| handle | type | name in the file |
|---|---|---|
| `0` | `u64` | its entries join this level |*/
        #[allow(dead_code, private_interfaces)]
        const FIELDS: StepFields = StepFields {
            0: __fabric::Field::flattened(&__FABRIC_DECLARATION),
        };
    }
};
struct Pair(Linear, Device, f64);
#[allow(deprecated, unused_qualifications)]
const _: () = {
    use ::fabric_core::__private1 as __fabric;
    #[automatically_derived]
    impl __fabric::Checkpoint for Pair {
        const KEYS: __fabric::Keys = __fabric::Keys::new(&["0", "scale"], &[]);
        const RECORDED: __fabric::Recorded = __fabric::Recorded::ByItself;
        fn may_differ(
            __fabric_types: &mut __fabric::Types,
        ) -> __fabric::core::primitive::bool {
            __fabric_types.enter(__fabric::Schema::of::<Self>(&__FABRIC_DECLARATION))
                && (<Linear as __fabric::Checkpoint>::may_differ(__fabric_types)
                    || <f64 as __fabric::Checkpoint>::may_differ(__fabric_types))
        }
        fn structs(__fabric_types: &mut __fabric::TypeWalk<'_>) {
            __fabric_types
                .of::<
                    Self,
                >(
                    &[
                        (&["0"], <Linear as __fabric::Checkpoint>::structs),
                        (&["scale"], <f64 as __fabric::Checkpoint>::structs),
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
                __fabric::FieldSchema::new(__fabric_schema, "Pair.0", "0"),
            );
            <Linear as __fabric::Checkpoint>::visit_part(
                &self.0,
                __fabric_entries,
                __fabric::Sealed,
            );
            __fabric::Walking::leave(__fabric_entries);
            __fabric::Walking::enter(
                __fabric_entries,
                __fabric::FieldSchema::new(__fabric_schema, "Pair.2", "scale"),
            );
            __fabric::default::stored::<f64>(__fabric_entries, &self.2);
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
                __fabric::FieldSchema::new(__fabric_schema, "Pair.0", "0"),
            );
            <Linear as __fabric::Checkpoint>::visit_part_mut(
                &mut self.0,
                __fabric_entries,
                __fabric::Sealed,
            );
            __fabric::Walking::leave(__fabric_entries);
            __fabric::Walking::enter(
                __fabric_entries,
                __fabric::FieldSchema::new(__fabric_schema, "Pair.2", "scale"),
            );
            __fabric::default::value::<
                f64,
            >(
                __fabric_entries,
                &mut self.2,
                <f64 as __fabric::core::default::Default>::default,
            );
            __fabric::Walking::leave(__fabric_entries);
        }
    }
    static __FABRIC_DECLARATION: __fabric::Declaration = __fabric::Declaration::new(
        "Pair",
    );
    ///The handles in [`Pair::FIELDS`].
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
    struct PairFields(
        ///The field that is stored as `0`.
        __fabric::Field<Pair, Linear>,
        (),
        ///The field that is stored as `scale`.
        __fabric::Field<Pair, f64>,
    );
    impl Pair {
        /**Typed handles to the stored fields of [`Pair`]. The handle of a field inside a field is reached with `then`, as in `Pair::FIELDS.outer.then(Outer::FIELDS.inner)`.

| handle | type | name in the file |
|---|---|---|
| `0` | `Linear` | `0` |
| `2` | `f64` | `scale` |*/
        #[allow(dead_code, private_interfaces)]
        const FIELDS: PairFields = PairFields {
            0: __fabric::Field::new(&__FABRIC_DECLARATION, "0"),
            1: (),
            2: __fabric::Field::new(&__FABRIC_DECLARATION, "scale"),
        };
    }
    const _: () = __fabric::core::assert!(
        < f64 as __fabric::Checkpoint > ::KIND.is_value(),
        "`2` has entries of its own, and `default` makes a plain value; write `optional`, and the field stays as it is"
    );
};
struct Marker;
#[allow(deprecated, unused_qualifications)]
const _: () = {
    use ::fabric_core::__private1 as __fabric;
    #[automatically_derived]
    impl __fabric::Checkpoint for Marker {
        const KIND: __fabric::Kind = __fabric::Kind::Nothing;
        const KEYS: __fabric::Keys = __fabric::Keys::new(&[], &[]);
        const RECORDED: __fabric::Recorded = __fabric::Recorded::ByItself;
        fn may_differ(_: &mut __fabric::Types) -> __fabric::core::primitive::bool {
            false
        }
        fn structs(__fabric_types: &mut __fabric::TypeWalk<'_>) {
            __fabric_types.of::<Self>(&[]);
        }
        fn visit<'__fabric>(
            &'__fabric self,
            __fabric_entries: &mut __fabric::Visitor<'__fabric>,
        ) {
            __fabric::Walking::record::<Self>(__fabric_entries);
        }
        fn visit_mut<'__fabric>(
            &'__fabric mut self,
            __fabric_entries: &mut __fabric::VisitorMut<'__fabric>,
        ) {
            __fabric::Walking::record::<Self>(__fabric_entries);
        }
        #[allow(unused_variables)]
        fn to_value(
            &self,
            __fabric_sealed: __fabric::Sealed,
        ) -> __fabric::core::result::Result<__fabric::Value, __fabric::ValueError> {
            __fabric::core::result::Result::Ok(__fabric::Value::null())
        }
        #[allow(unused_variables)]
        fn from_value(
            __fabric_value: &__fabric::Value,
            __fabric_sealed: __fabric::Sealed,
        ) -> __fabric::core::result::Result<Self, __fabric::ValueError>
        where
            Self: __fabric::core::marker::Sized,
        {
            __fabric::variant::nothing(__fabric_value)?;
            __fabric::core::result::Result::Ok(Self {})
        }
    }
    static __FABRIC_DECLARATION: __fabric::Declaration = __fabric::Declaration::new(
        "Marker",
    );
};
