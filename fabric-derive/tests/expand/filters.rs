// What #[derive(Checkpoint)] makes of input/filters.rs. To accept changes: BLESS=1 cargo test --workspace --lib snapshots

use fabric_core::TensorInfo;
use fabric_core::candle_nn::Linear;
fn matrices(_: &str, tensor: &TensorInfo) -> bool {
    tensor.shape().len() == 2
}
struct Filtered {
    any_text: Linear,
    any_glob: Linear,
    function: Linear,
}
#[allow(deprecated, unused_qualifications)]
const _: () = {
    use ::fabric_core::__private1 as __fabric;
    #[automatically_derived]
    impl __fabric::Checkpoint for Filtered {
        const KEYS: __fabric::Keys = __fabric::Keys::new(
            &["any_text", "any_glob", "function"],
            &[],
        );
        const RECORDED: __fabric::Recorded = __fabric::Recorded::ByItself;
        fn may_differ(
            __fabric_types: &mut __fabric::Types,
        ) -> __fabric::core::primitive::bool {
            __fabric_types.enter(__fabric::Schema::of::<Self>(&__FABRIC_DECLARATION))
                && (<Linear as __fabric::Checkpoint>::may_differ(__fabric_types)
                    || <Linear as __fabric::Checkpoint>::may_differ(__fabric_types)
                    || <Linear as __fabric::Checkpoint>::may_differ(__fabric_types))
        }
        fn structs(__fabric_types: &mut __fabric::TypeWalk<'_>) {
            __fabric_types
                .of::<
                    Self,
                >(
                    &[
                        (&["any_text"], <Linear as __fabric::Checkpoint>::structs),
                        (&["any_glob"], <Linear as __fabric::Checkpoint>::structs),
                        (&["function"], <Linear as __fabric::Checkpoint>::structs),
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
                        "Filtered.any_text",
                        "any_text",
                    )
                    .filter_text(&["weight", "scale"]),
            );
            <Linear as __fabric::Checkpoint>::visit_part(
                &self.any_text,
                __fabric_entries,
                __fabric::Sealed,
            );
            __fabric::Walking::leave(__fabric_entries);
            __fabric::Walking::enter(
                __fabric_entries,
                __fabric::FieldSchema::new(
                        __fabric_schema,
                        "Filtered.any_glob",
                        "any_glob",
                    )
                    .filter_glob(&["*.weight", "fc[0-9].*"]),
            );
            <Linear as __fabric::Checkpoint>::visit_part(
                &self.any_glob,
                __fabric_entries,
                __fabric::Sealed,
            );
            __fabric::Walking::leave(__fabric_entries);
            __fabric::Walking::enter(
                __fabric_entries,
                __fabric::FieldSchema::new(
                        __fabric_schema,
                        "Filtered.function",
                        "function",
                    )
                    .filter_function({
                        let __fabric_filter: fn(
                            &__fabric::core::primitive::str,
                            &__fabric::TensorInfo,
                        ) -> __fabric::core::primitive::bool = self::matrices;
                        __fabric_filter
                    }),
            );
            <Linear as __fabric::Checkpoint>::visit_part(
                &self.function,
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
                        "Filtered.any_text",
                        "any_text",
                    )
                    .filter_text(&["weight", "scale"]),
            );
            <Linear as __fabric::Checkpoint>::visit_part_mut(
                &mut self.any_text,
                __fabric_entries,
                __fabric::Sealed,
            );
            __fabric::Walking::leave(__fabric_entries);
            __fabric::Walking::enter(
                __fabric_entries,
                __fabric::FieldSchema::new(
                        __fabric_schema,
                        "Filtered.any_glob",
                        "any_glob",
                    )
                    .filter_glob(&["*.weight", "fc[0-9].*"]),
            );
            <Linear as __fabric::Checkpoint>::visit_part_mut(
                &mut self.any_glob,
                __fabric_entries,
                __fabric::Sealed,
            );
            __fabric::Walking::leave(__fabric_entries);
            __fabric::Walking::enter(
                __fabric_entries,
                __fabric::FieldSchema::new(
                        __fabric_schema,
                        "Filtered.function",
                        "function",
                    )
                    .filter_function({
                        let __fabric_filter: fn(
                            &__fabric::core::primitive::str,
                            &__fabric::TensorInfo,
                        ) -> __fabric::core::primitive::bool = self::matrices;
                        __fabric_filter
                    }),
            );
            <Linear as __fabric::Checkpoint>::visit_part_mut(
                &mut self.function,
                __fabric_entries,
                __fabric::Sealed,
            );
            __fabric::Walking::leave(__fabric_entries);
        }
    }
    static __FABRIC_DECLARATION: __fabric::Declaration = __fabric::Declaration::new(
        "Filtered",
    );
    ///The handles in [`Filtered::FIELDS`].
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
    struct FilteredFields {
        ///The field that is stored as `any_text`.
        any_text: __fabric::Field<Filtered, Linear>,
        ///The field that is stored as `any_glob`.
        any_glob: __fabric::Field<Filtered, Linear>,
        ///The field that is stored as `function`.
        function: __fabric::Field<Filtered, Linear>,
    }
    impl Filtered {
        /**Typed handles to the stored fields of [`Filtered`]. The handle of a field inside a field is reached with `then`, as in `Filtered::FIELDS.outer.then(Outer::FIELDS.inner)`.

| handle | type | name in the file |
|---|---|---|
| `any_text` | `Linear` | `any_text` |
| `any_glob` | `Linear` | `any_glob` |
| `function` | `Linear` | `function` |*/
        #[allow(dead_code, private_interfaces)]
        const FIELDS: FilteredFields = FilteredFields {
            any_text: __fabric::Field::new(&__FABRIC_DECLARATION, "any_text"),
            any_glob: __fabric::Field::new(&__FABRIC_DECLARATION, "any_glob"),
            function: __fabric::Field::new(&__FABRIC_DECLARATION, "function"),
        };
    }
    const _: () = __fabric::core::assert!(
        ! < Linear as __fabric::Checkpoint > ::KIND.is_one_value(),
        "`any_text` is a plain value, and only tensors can be filtered; remove `filter`"
    );
    const _: () = __fabric::core::assert!(
        ! < Linear as __fabric::Checkpoint > ::KIND.is_one_value(),
        "`any_glob` is a plain value, and only tensors can be filtered; remove `filter`"
    );
    const _: () = __fabric::core::assert!(
        ! < Linear as __fabric::Checkpoint > ::KIND.is_one_value(),
        "`function` is a plain value, and only tensors can be filtered; remove `filter`"
    );
};
