// What #[derive(Checkpoint)] makes of input/struct_attributes.rs. To accept changes: BLESS=1 cargo test --workspace --lib snapshots

use fabric_core::candle_core::Tensor;
struct Versioned<T> {
    inner: Option<T>,
}
#[allow(deprecated, unused_qualifications)]
const _: () = {
    use ::fabric_core::__private1 as __fabric;
    #[automatically_derived]
    impl<T> __fabric::Checkpoint for Versioned<T>
    where
        T: fabric_core::Checkpoint + Copy,
    {
        const KEYS: __fabric::Keys = __fabric::Keys::new(&["inner"], &[]);
        const RECORDED: __fabric::Recorded = __fabric::Recorded::ByItself;
        const VERSION: __fabric::core::primitive::u32 = 3u32;
        fn may_differ(
            __fabric_types: &mut __fabric::Types,
        ) -> __fabric::core::primitive::bool {
            __fabric_types.enter(__fabric::Schema::of::<Self>(&__FABRIC_DECLARATION))
                && (<Option<T> as __fabric::Checkpoint>::may_differ(__fabric_types))
        }
        fn structs(__fabric_types: &mut __fabric::TypeWalk<'_>) {
            __fabric_types
                .of::<
                    Self,
                >(&[(&["inner"], <Option<T> as __fabric::Checkpoint>::structs)]);
        }
        fn visit<'__fabric>(
            &'__fabric self,
            __fabric_entries: &mut __fabric::Visitor<'__fabric>,
        ) {
            __fabric::Walking::record::<Self>(__fabric_entries);
            let __fabric_schema = __fabric::Schema::of::<Self>(&__FABRIC_DECLARATION);
            __fabric::Walking::enter(
                __fabric_entries,
                __fabric::FieldSchema::new(__fabric_schema, "Versioned.inner", "inner"),
            );
            <Option<
                T,
            > as __fabric::Checkpoint>::visit_part(
                &self.inner,
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
                __fabric::FieldSchema::new(__fabric_schema, "Versioned.inner", "inner"),
            );
            <Option<
                T,
            > as __fabric::Checkpoint>::visit_part_mut(
                &mut self.inner,
                __fabric_entries,
                __fabric::Sealed,
            );
            __fabric::Walking::leave(__fabric_entries);
        }
    }
    static __FABRIC_DECLARATION: __fabric::Declaration = __fabric::Declaration::new(
        "Versioned",
    );
    ///The handles in [`Versioned::FIELDS`].
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
    struct VersionedFields<T> {
        ///The field that is stored as `inner`.
        inner: __fabric::Field<Versioned<T>, Option<T>>,
    }
    impl<T> Versioned<T> {
        /**Typed handles to the stored fields of [`Versioned`]. The handle of a field inside a field is reached with `then`, as in `Versioned::FIELDS.outer.then(Outer::FIELDS.inner)`.

| handle | type | name in the file |
|---|---|---|
| `inner` | `Option<T>` | `inner` |*/
        #[allow(dead_code, private_interfaces)]
        const FIELDS: VersionedFields<T> = VersionedFields {
            inner: __fabric::Field::new(&__FABRIC_DECLARATION, "inner"),
        };
    }
};
struct Migrated {
    weight: Tensor,
}
#[allow(deprecated, unused_qualifications)]
const _: () = {
    use ::fabric_core::__private1 as __fabric;
    #[automatically_derived]
    impl __fabric::Checkpoint for Migrated {
        const KEYS: __fabric::Keys = __fabric::Keys::new(&["weight"], &[]);
        const RECORDED: __fabric::Recorded = __fabric::Recorded::ByItself;
        const VERSION: __fabric::core::primitive::u32 = 2u32;
        fn recipe(__fabric_migrations: &mut __fabric::Migrations) {
            let __fabric_recipe: fn(&mut __fabric::Migrations) = Self::migrations;
            __fabric_recipe(__fabric_migrations);
        }
        fn may_differ(
            __fabric_types: &mut __fabric::Types,
        ) -> __fabric::core::primitive::bool {
            __fabric_types.enter(__fabric::Schema::of::<Self>(&__FABRIC_DECLARATION))
                && (<Tensor as __fabric::Checkpoint>::may_differ(__fabric_types))
        }
        fn structs(__fabric_types: &mut __fabric::TypeWalk<'_>) {
            __fabric_types
                .of::<Self>(&[(&["weight"], <Tensor as __fabric::Checkpoint>::structs)]);
        }
        fn visit<'__fabric>(
            &'__fabric self,
            __fabric_entries: &mut __fabric::Visitor<'__fabric>,
        ) {
            __fabric::Walking::record::<Self>(__fabric_entries);
            let __fabric_schema = __fabric::Schema::of::<Self>(&__FABRIC_DECLARATION);
            __fabric::Walking::enter(
                __fabric_entries,
                __fabric::FieldSchema::new(__fabric_schema, "Migrated.weight", "weight"),
            );
            <Tensor as __fabric::Checkpoint>::visit_part(
                &self.weight,
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
                __fabric::FieldSchema::new(__fabric_schema, "Migrated.weight", "weight"),
            );
            <Tensor as __fabric::Checkpoint>::visit_part_mut(
                &mut self.weight,
                __fabric_entries,
                __fabric::Sealed,
            );
            __fabric::Walking::leave(__fabric_entries);
        }
    }
    static __FABRIC_DECLARATION: __fabric::Declaration = __fabric::Declaration::new(
        "Migrated",
    );
    ///The handles in [`Migrated::FIELDS`].
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
    struct MigratedFields {
        ///The field that is stored as `weight`.
        weight: __fabric::Field<Migrated, Tensor>,
    }
    impl Migrated {
        /**Typed handles to the stored fields of [`Migrated`]. The handle of a field inside a field is reached with `then`, as in `Migrated::FIELDS.outer.then(Outer::FIELDS.inner)`.

| handle | type | name in the file |
|---|---|---|
| `weight` | `Tensor` | `weight` |*/
        #[allow(dead_code, private_interfaces)]
        const FIELDS: MigratedFields = MigratedFields {
            weight: __fabric::Field::new(&__FABRIC_DECLARATION, "weight"),
        };
    }
};
impl Migrated {
    fn migrations(m: &mut fabric_core::Migrations) {
        m.from(1, "a clearer name").rename("w", "weight");
    }
}
