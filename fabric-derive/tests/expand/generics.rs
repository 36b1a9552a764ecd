// What #[derive(Checkpoint)] makes of input/generics.rs. To accept changes: BLESS=1 cargo test --workspace --lib snapshots

struct Blocks<T, M = String, const N: usize = 2>
where
    T: Clone,
{
    blocks: [T; N],
    head: Option<Box<T>>,
    notes: M,
    step: u64,
    rest: Box<T>,
}
#[allow(deprecated, unused_qualifications)]
const _: () = {
    use ::fabric_core::__private1 as __fabric;
    #[automatically_derived]
    impl<T, M, const N: usize> __fabric::Checkpoint for Blocks<T, M, N>
    where
        T: Clone,
        [T; N]: __fabric::Checkpoint,
        Option<Box<T>>: __fabric::Checkpoint,
        M: __fabric::Metadata,
        Box<T>: __fabric::Checkpoint,
    {
        const KEYS: __fabric::Keys = __fabric::Keys::new(
            &["blocks", "head", "notes", "step"],
            &[&<Box<T> as __fabric::Checkpoint>::KEYS],
        );
        const RECORDED: __fabric::Recorded = __fabric::Recorded::ByItself;
        fn may_differ(
            __fabric_types: &mut __fabric::Types,
        ) -> __fabric::core::primitive::bool {
            __fabric_types.enter(__fabric::Schema::of::<Self>(&__FABRIC_DECLARATION))
                && (<[T; N] as __fabric::Checkpoint>::may_differ(__fabric_types)
                    || <Option<
                        Box<T>,
                    > as __fabric::Checkpoint>::may_differ(__fabric_types)
                    || <u64 as __fabric::Checkpoint>::may_differ(__fabric_types)
                    || <Box<T> as __fabric::Checkpoint>::may_differ(__fabric_types))
        }
        fn structs(__fabric_types: &mut __fabric::TypeWalk<'_>) {
            __fabric_types
                .of::<
                    Self,
                >(
                    &[
                        (&["blocks"], <[T; N] as __fabric::Checkpoint>::structs),
                        (&["head"], <Option<Box<T>> as __fabric::Checkpoint>::structs),
                        (&["step"], <u64 as __fabric::Checkpoint>::structs),
                        (&[], <Box<T> as __fabric::Checkpoint>::structs),
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
                __fabric::FieldSchema::new(__fabric_schema, "Blocks.blocks", "blocks"),
            );
            <[T; N] as __fabric::Checkpoint>::visit_part(
                &self.blocks,
                __fabric_entries,
                __fabric::Sealed,
            );
            __fabric::Walking::leave(__fabric_entries);
            __fabric::Walking::enter(
                __fabric_entries,
                __fabric::FieldSchema::new(__fabric_schema, "Blocks.head", "head"),
            );
            <Option<
                Box<T>,
            > as __fabric::Checkpoint>::visit_part(
                &self.head,
                __fabric_entries,
                __fabric::Sealed,
            );
            __fabric::Walking::leave(__fabric_entries);
            __fabric::Walking::enter(
                __fabric_entries,
                __fabric::FieldSchema::new(__fabric_schema, "Blocks.notes", "notes"),
            );
            <M as __fabric::Metadata>::visit(&self.notes, __fabric_entries);
            __fabric::Walking::leave(__fabric_entries);
            __fabric::Walking::enter(
                __fabric_entries,
                __fabric::FieldSchema::new(__fabric_schema, "Blocks.step", "step"),
            );
            <u64 as __fabric::Checkpoint>::visit_part(
                &self.step,
                __fabric_entries,
                __fabric::Sealed,
            );
            __fabric::Walking::leave(__fabric_entries);
            __fabric::Walking::enter(
                __fabric_entries,
                __fabric::FieldSchema::new(__fabric_schema, "Blocks.rest", "rest")
                    .flatten(),
            );
            <Box<
                T,
            > as __fabric::Checkpoint>::visit_part(
                &self.rest,
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
                __fabric::FieldSchema::new(__fabric_schema, "Blocks.blocks", "blocks"),
            );
            <[T; N] as __fabric::Checkpoint>::visit_part_mut(
                &mut self.blocks,
                __fabric_entries,
                __fabric::Sealed,
            );
            __fabric::Walking::leave(__fabric_entries);
            __fabric::Walking::enter(
                __fabric_entries,
                __fabric::FieldSchema::new(__fabric_schema, "Blocks.head", "head"),
            );
            <Option<
                Box<T>,
            > as __fabric::Checkpoint>::visit_part_mut(
                &mut self.head,
                __fabric_entries,
                __fabric::Sealed,
            );
            __fabric::Walking::leave(__fabric_entries);
            __fabric::Walking::enter(
                __fabric_entries,
                __fabric::FieldSchema::new(__fabric_schema, "Blocks.notes", "notes"),
            );
            <M as __fabric::Metadata>::visit_mut(&mut self.notes, __fabric_entries);
            __fabric::Walking::leave(__fabric_entries);
            __fabric::Walking::enter(
                __fabric_entries,
                __fabric::FieldSchema::new(__fabric_schema, "Blocks.step", "step"),
            );
            <u64 as __fabric::Checkpoint>::visit_part_mut(
                &mut self.step,
                __fabric_entries,
                __fabric::Sealed,
            );
            __fabric::Walking::leave(__fabric_entries);
            __fabric::Walking::enter(
                __fabric_entries,
                __fabric::FieldSchema::new(__fabric_schema, "Blocks.rest", "rest")
                    .flatten(),
            );
            <Box<
                T,
            > as __fabric::Checkpoint>::visit_part_mut(
                &mut self.rest,
                __fabric_entries,
                __fabric::Sealed,
            );
            __fabric::Walking::leave(__fabric_entries);
        }
    }
    static __FABRIC_DECLARATION: __fabric::Declaration = __fabric::Declaration::new(
        "Blocks",
    );
    ///The handles in [`Blocks::FIELDS`].
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
    struct BlocksFields<T, M, const N: usize>
    where
        T: Clone,
    {
        ///The field that is stored as `blocks`.
        blocks: __fabric::Field<Blocks<T, M, N>, [T; N]>,
        ///The field that is stored as `head`.
        head: __fabric::Field<Blocks<T, M, N>, Option<Box<T>>>,
        ///The field that is stored as `notes`.
        notes: __fabric::Field<Blocks<T, M, N>, M>,
        ///The field that is stored as `step`.
        step: __fabric::Field<Blocks<T, M, N>, u64>,
        ///The field whose entries join this level.
        rest: __fabric::Field<Blocks<T, M, N>, Box<T>>,
    }
    impl<T, M, const N: usize> Blocks<T, M, N>
    where
        T: Clone,
    {
        /**Typed handles to the stored fields of [`Blocks`]. The handle of a field inside a field is reached with `then`, as in `Blocks::FIELDS.outer.then(Outer::FIELDS.inner)`.

| handle | type | name in the file |
|---|---|---|
| `blocks` | `[T; N]` | `blocks` |
| `head` | `Option<Box<T>>` | `head` |
| `notes` | `M` | `notes` |
| `step` | `u64` | `step` |
| `rest` | `Box<T>` | its entries join this level |*/
        #[allow(dead_code, private_interfaces)]
        const FIELDS: BlocksFields<T, M, N> = BlocksFields {
            blocks: __fabric::Field::new(&__FABRIC_DECLARATION, "blocks"),
            head: __fabric::Field::new(&__FABRIC_DECLARATION, "head"),
            notes: __fabric::Field::new(&__FABRIC_DECLARATION, "notes"),
            step: __fabric::Field::new(&__FABRIC_DECLARATION, "step"),
            rest: __fabric::Field::flattened(&__FABRIC_DECLARATION),
        };
    }
};
struct List<T> {
    value: T,
    next: Option<Box<List<T>>>,
}
#[allow(deprecated, unused_qualifications)]
const _: () = {
    use ::fabric_core::__private1 as __fabric;
    #[automatically_derived]
    impl<T> __fabric::Checkpoint for List<T>
    where
        T: __fabric::Checkpoint,
    {
        const KEYS: __fabric::Keys = __fabric::Keys::new(&["value", "next"], &[]);
        const RECORDED: __fabric::Recorded = __fabric::Recorded::ByItself;
        fn may_differ(
            __fabric_types: &mut __fabric::Types,
        ) -> __fabric::core::primitive::bool {
            __fabric_types.enter(__fabric::Schema::of::<Self>(&__FABRIC_DECLARATION))
                && (<T as __fabric::Checkpoint>::may_differ(__fabric_types)
                    || <Option<
                        Box<List<T>>,
                    > as __fabric::Checkpoint>::may_differ(__fabric_types))
        }
        fn structs(__fabric_types: &mut __fabric::TypeWalk<'_>) {
            __fabric_types
                .of::<
                    Self,
                >(
                    &[
                        (&["value"], <T as __fabric::Checkpoint>::structs),
                        (
                            &["next"],
                            <Option<Box<List<T>>> as __fabric::Checkpoint>::structs,
                        ),
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
                __fabric::FieldSchema::new(__fabric_schema, "List.value", "value"),
            );
            <T as __fabric::Checkpoint>::visit_part(
                &self.value,
                __fabric_entries,
                __fabric::Sealed,
            );
            __fabric::Walking::leave(__fabric_entries);
            __fabric::Walking::enter(
                __fabric_entries,
                __fabric::FieldSchema::new(__fabric_schema, "List.next", "next"),
            );
            <Option<
                Box<List<T>>,
            > as __fabric::Checkpoint>::visit_part(
                &self.next,
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
                __fabric::FieldSchema::new(__fabric_schema, "List.value", "value"),
            );
            <T as __fabric::Checkpoint>::visit_part_mut(
                &mut self.value,
                __fabric_entries,
                __fabric::Sealed,
            );
            __fabric::Walking::leave(__fabric_entries);
            __fabric::Walking::enter(
                __fabric_entries,
                __fabric::FieldSchema::new(__fabric_schema, "List.next", "next"),
            );
            <Option<
                Box<List<T>>,
            > as __fabric::Checkpoint>::visit_part_mut(
                &mut self.next,
                __fabric_entries,
                __fabric::Sealed,
            );
            __fabric::Walking::leave(__fabric_entries);
        }
    }
    static __FABRIC_DECLARATION: __fabric::Declaration = __fabric::Declaration::new(
        "List",
    );
    ///The handles in [`List::FIELDS`].
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
    struct ListFields<T> {
        ///The field that is stored as `value`.
        value: __fabric::Field<List<T>, T>,
        ///The field that is stored as `next`.
        next: __fabric::Field<List<T>, Option<Box<List<T>>>>,
    }
    impl<T> List<T> {
        /**Typed handles to the stored fields of [`List`]. The handle of a field inside a field is reached with `then`, as in `List::FIELDS.outer.then(Outer::FIELDS.inner)`.

| handle | type | name in the file |
|---|---|---|
| `value` | `T` | `value` |
| `next` | `Option<Box<List<T>>>` | `next` |*/
        #[allow(dead_code, private_interfaces)]
        const FIELDS: ListFields<T> = ListFields {
            value: __fabric::Field::new(&__FABRIC_DECLARATION, "value"),
            next: __fabric::Field::new(&__FABRIC_DECLARATION, "next"),
        };
    }
};
