// What #[derive(Checkpoint)] makes of input/rank_and_absence.rs. To accept changes: BLESS=1 cargo test --workspace --lib snapshots

struct Progress {
    best: Option<f64>,
    position: u64,
    generator: [u8; 32],
}
#[allow(deprecated, unused_qualifications)]
const _: () = {
    use ::fabric_core::__private1 as __fabric;
    #[automatically_derived]
    impl __fabric::Checkpoint for Progress {
        const KEYS: __fabric::Keys = __fabric::Keys::new(
            &["best", "position", "generator"],
            &[],
        );
        const RECORDED: __fabric::Recorded = __fabric::Recorded::ByItself;
        fn may_differ(
            __fabric_types: &mut __fabric::Types,
        ) -> __fabric::core::primitive::bool {
            __fabric_types.enter(__fabric::Schema::of::<Self>(&__FABRIC_DECLARATION))
                && (<Option<f64> as __fabric::Checkpoint>::may_differ(__fabric_types)
                    || <u64 as __fabric::Checkpoint>::may_differ(__fabric_types))
        }
        fn structs(__fabric_types: &mut __fabric::TypeWalk<'_>) {
            __fabric_types
                .of::<
                    Self,
                >(
                    &[
                        (&["best"], <Option<f64> as __fabric::Checkpoint>::structs),
                        (&["position"], <u64 as __fabric::Checkpoint>::structs),
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
                __fabric::FieldSchema::new(__fabric_schema, "Progress.best", "best")
                    .optional(),
            );
            <Option<
                f64,
            > as __fabric::Checkpoint>::visit_part(
                &self.best,
                __fabric_entries,
                __fabric::Sealed,
            );
            __fabric::Walking::leave(__fabric_entries);
            __fabric::Walking::enter(
                __fabric_entries,
                __fabric::FieldSchema::new(
                        __fabric_schema,
                        "Progress.position",
                        "position",
                    )
                    .per_rank(),
            );
            <u64 as __fabric::Checkpoint>::visit_part(
                &self.position,
                __fabric_entries,
                __fabric::Sealed,
            );
            __fabric::Walking::leave(__fabric_entries);
            __fabric::Walking::enter(
                __fabric_entries,
                __fabric::FieldSchema::new(
                        __fabric_schema,
                        "Progress.generator",
                        "generator",
                    )
                    .optional()
                    .per_rank(),
            );
            <[u8; 32] as __fabric::Metadata>::visit(&self.generator, __fabric_entries);
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
                __fabric::FieldSchema::new(__fabric_schema, "Progress.best", "best")
                    .optional(),
            );
            <Option<
                f64,
            > as __fabric::Checkpoint>::visit_part_mut(
                &mut self.best,
                __fabric_entries,
                __fabric::Sealed,
            );
            __fabric::Walking::leave(__fabric_entries);
            __fabric::Walking::enter(
                __fabric_entries,
                __fabric::FieldSchema::new(
                        __fabric_schema,
                        "Progress.position",
                        "position",
                    )
                    .per_rank(),
            );
            <u64 as __fabric::Checkpoint>::visit_part_mut(
                &mut self.position,
                __fabric_entries,
                __fabric::Sealed,
            );
            __fabric::Walking::leave(__fabric_entries);
            __fabric::Walking::enter(
                __fabric_entries,
                __fabric::FieldSchema::new(
                        __fabric_schema,
                        "Progress.generator",
                        "generator",
                    )
                    .optional()
                    .per_rank(),
            );
            <[u8; 32] as __fabric::Metadata>::visit_mut(
                &mut self.generator,
                __fabric_entries,
            );
            __fabric::Walking::leave(__fabric_entries);
        }
    }
    static __FABRIC_DECLARATION: __fabric::Declaration = __fabric::Declaration::new(
        "Progress",
    );
    ///The handles in [`Progress::FIELDS`].
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
    struct ProgressFields {
        ///The field that is stored as `best`.
        best: __fabric::Field<Progress, Option<f64>>,
        ///The field that is stored as `position`.
        position: __fabric::Field<Progress, u64>,
        ///The field that is stored as `generator`.
        generator: __fabric::Field<Progress, [u8; 32]>,
    }
    impl Progress {
        /**Typed handles to the stored fields of [`Progress`]. The handle of a field inside a field is reached with `then`, as in `Progress::FIELDS.outer.then(Outer::FIELDS.inner)`.

| handle | type | name in the file |
|---|---|---|
| `best` | `Option<f64>` | `best` |
| `position` | `u64` | `position` |
| `generator` | `[u8; 32]` | `generator` |*/
        #[allow(dead_code, private_interfaces)]
        const FIELDS: ProgressFields = ProgressFields {
            best: __fabric::Field::new(&__FABRIC_DECLARATION, "best"),
            position: __fabric::Field::new(&__FABRIC_DECLARATION, "position"),
            generator: __fabric::Field::new(&__FABRIC_DECLARATION, "generator"),
        };
    }
};
