// What #[derive(Checkpoint)] makes of input/shards.rs. To accept changes: BLESS=1 cargo test --workspace --lib snapshots

use fabric_core::candle_core::Tensor;
use fabric_core::candle_nn::Linear;
struct Parallel {
    rows: Linear,
    grid: Tensor,
    positions: Tensor,
}
#[allow(deprecated, unused_qualifications)]
const _: () = {
    use ::fabric_core::__private1 as __fabric;
    #[automatically_derived]
    impl __fabric::Checkpoint for Parallel {
        const KEYS: __fabric::Keys = __fabric::Keys::new(
            &["rows", "grid", "positions"],
            &[],
        );
        const RECORDED: __fabric::Recorded = __fabric::Recorded::ByItself;
        fn may_differ(
            __fabric_types: &mut __fabric::Types,
        ) -> __fabric::core::primitive::bool {
            __fabric_types.enter(__fabric::Schema::of::<Self>(&__FABRIC_DECLARATION))
                && (<Linear as __fabric::Checkpoint>::may_differ(__fabric_types)
                    || <Tensor as __fabric::Checkpoint>::may_differ(__fabric_types)
                    || <Tensor as __fabric::Checkpoint>::may_differ(__fabric_types))
        }
        fn structs(__fabric_types: &mut __fabric::TypeWalk<'_>) {
            __fabric_types
                .of::<
                    Self,
                >(
                    &[
                        (&["rows"], <Linear as __fabric::Checkpoint>::structs),
                        (&["grid"], <Tensor as __fabric::Checkpoint>::structs),
                        (&["positions"], <Tensor as __fabric::Checkpoint>::structs),
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
                __fabric::FieldSchema::new(__fabric_schema, "Parallel.rows", "rows")
                    .shard(0, __fabric::core::option::Option::None),
            );
            <Linear as __fabric::Checkpoint>::visit_part(
                &self.rows,
                __fabric_entries,
                __fabric::Sealed,
            );
            __fabric::Walking::leave(__fabric_entries);
            __fabric::Walking::enter(
                __fabric_entries,
                __fabric::FieldSchema::new(__fabric_schema, "Parallel.grid", "grid")
                    .shard(0, __fabric::core::option::Option::None)
                    .shard(1, __fabric::core::option::Option::Some("tp")),
            );
            <Tensor as __fabric::Checkpoint>::visit_part(
                &self.grid,
                __fabric_entries,
                __fabric::Sealed,
            );
            __fabric::Walking::leave(__fabric_entries);
            __fabric::Walking::enter(
                __fabric_entries,
                __fabric::FieldSchema::new(
                        __fabric_schema,
                        "Parallel.positions",
                        "positions",
                    )
                    .buffer(),
            );
            <Tensor as __fabric::Checkpoint>::visit_part(
                &self.positions,
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
                __fabric::FieldSchema::new(__fabric_schema, "Parallel.rows", "rows")
                    .shard(0, __fabric::core::option::Option::None),
            );
            <Linear as __fabric::Checkpoint>::visit_part_mut(
                &mut self.rows,
                __fabric_entries,
                __fabric::Sealed,
            );
            __fabric::Walking::leave(__fabric_entries);
            __fabric::Walking::enter(
                __fabric_entries,
                __fabric::FieldSchema::new(__fabric_schema, "Parallel.grid", "grid")
                    .shard(0, __fabric::core::option::Option::None)
                    .shard(1, __fabric::core::option::Option::Some("tp")),
            );
            <Tensor as __fabric::Checkpoint>::visit_part_mut(
                &mut self.grid,
                __fabric_entries,
                __fabric::Sealed,
            );
            __fabric::Walking::leave(__fabric_entries);
            __fabric::Walking::enter(
                __fabric_entries,
                __fabric::FieldSchema::new(
                        __fabric_schema,
                        "Parallel.positions",
                        "positions",
                    )
                    .buffer(),
            );
            <Tensor as __fabric::Checkpoint>::visit_part_mut(
                &mut self.positions,
                __fabric_entries,
                __fabric::Sealed,
            );
            __fabric::Walking::leave(__fabric_entries);
        }
    }
    static __FABRIC_DECLARATION: __fabric::Declaration = __fabric::Declaration::new(
        "Parallel",
    );
    ///The handles in [`Parallel::FIELDS`].
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
    struct ParallelFields {
        ///The field that is stored as `rows`.
        rows: __fabric::Field<Parallel, Linear>,
        ///The field that is stored as `grid`.
        grid: __fabric::Field<Parallel, Tensor>,
        ///The field that is stored as `positions`.
        positions: __fabric::Field<Parallel, Tensor>,
    }
    impl Parallel {
        /**Typed handles to the stored fields of [`Parallel`]. The handle of a field inside a field is reached with `then`, as in `Parallel::FIELDS.outer.then(Outer::FIELDS.inner)`.

| handle | type | name in the file |
|---|---|---|
| `rows` | `Linear` | `rows` |
| `grid` | `Tensor` | `grid` |
| `positions` | `Tensor` | `positions` |*/
        #[allow(dead_code, private_interfaces)]
        const FIELDS: ParallelFields = ParallelFields {
            rows: __fabric::Field::new(&__FABRIC_DECLARATION, "rows"),
            grid: __fabric::Field::new(&__FABRIC_DECLARATION, "grid"),
            positions: __fabric::Field::new(&__FABRIC_DECLARATION, "positions"),
        };
    }
    const _: () = __fabric::core::assert!(
        ! < Linear as __fabric::Checkpoint > ::KIND.is_one_value(),
        "`rows` is a plain value, and only tensors have dimensions; remove `shard`"
    );
    const _: () = __fabric::core::assert!(
        ! < Tensor as __fabric::Checkpoint > ::KIND.is_one_value(),
        "`grid` is a plain value, and only tensors have dimensions; remove `shard`"
    );
    const _: () = __fabric::core::assert!(
        ! < Tensor as __fabric::Checkpoint > ::KIND.is_one_value(),
        "`positions` is a plain value, and only tensors are buffers; remove `buffer`, or write `per_rank` if it differs by rank"
    );
};
