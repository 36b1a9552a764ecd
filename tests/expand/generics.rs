// What #[derive(Checkpoint)] makes of input/generics.rs. To accept changes: BLESS=1 cargo test -p fabric-derive snapshots

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
#[allow(deprecated)]
const _: () = {
    #[automatically_derived]
    impl<T, M, const N: usize> ::fabric_core::__private::Checkpoint for Blocks<T, M, N>
    where
        T: Clone,
        [T; N]: ::fabric_core::__private::Checkpoint,
        Option<Box<T>>: ::fabric_core::__private::Checkpoint,
        M: ::fabric_core::__private::Metadata,
        Box<T>: ::fabric_core::__private::Checkpoint,
    {
        const KEYS: ::fabric_core::__private::Keys = ::fabric_core::__private::Keys::new(
            &["blocks", "head", "notes", "step"],
            &[&<Box<T> as ::fabric_core::__private::Checkpoint>::KEYS],
        );
        fn visit<'__fabric>(
            &'__fabric self,
            __fabric_entries: &mut ::fabric_core::__private::Visitor<'__fabric>,
        ) {
            __fabric_entries
                .enter(
                    ::fabric_core::__private::FieldSchema::new("Blocks.blocks", "blocks"),
                );
            <[T; N] as ::fabric_core::__private::Checkpoint>::visit(
                &self.blocks,
                __fabric_entries,
            );
            __fabric_entries.leave();
            __fabric_entries
                .enter(
                    ::fabric_core::__private::FieldSchema::new("Blocks.head", "head"),
                );
            <Option<
                Box<T>,
            > as ::fabric_core::__private::Checkpoint>::visit(
                &self.head,
                __fabric_entries,
            );
            __fabric_entries.leave();
            __fabric_entries
                .enter(
                    ::fabric_core::__private::FieldSchema::new("Blocks.notes", "notes"),
                );
            <M as ::fabric_core::__private::Metadata>::visit(
                &self.notes,
                __fabric_entries,
            );
            __fabric_entries.leave();
            __fabric_entries
                .enter(
                    ::fabric_core::__private::FieldSchema::new("Blocks.step", "step"),
                );
            <u64 as ::fabric_core::__private::Checkpoint>::visit(
                &self.step,
                __fabric_entries,
            );
            __fabric_entries.leave();
            __fabric_entries
                .enter(
                    ::fabric_core::__private::FieldSchema::new("Blocks.rest", "rest")
                        .flatten(),
                );
            <Box<
                T,
            > as ::fabric_core::__private::Checkpoint>::visit(
                &self.rest,
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
                    ::fabric_core::__private::FieldSchema::new("Blocks.blocks", "blocks"),
                );
            <[T; N] as ::fabric_core::__private::Checkpoint>::visit_mut(
                &mut self.blocks,
                __fabric_entries,
            );
            __fabric_entries.leave();
            __fabric_entries
                .enter(
                    ::fabric_core::__private::FieldSchema::new("Blocks.head", "head"),
                );
            <Option<
                Box<T>,
            > as ::fabric_core::__private::Checkpoint>::visit_mut(
                &mut self.head,
                __fabric_entries,
            );
            __fabric_entries.leave();
            __fabric_entries
                .enter(
                    ::fabric_core::__private::FieldSchema::new("Blocks.notes", "notes"),
                );
            <M as ::fabric_core::__private::Metadata>::visit_mut(
                &mut self.notes,
                __fabric_entries,
            );
            __fabric_entries.leave();
            __fabric_entries
                .enter(
                    ::fabric_core::__private::FieldSchema::new("Blocks.step", "step"),
                );
            <u64 as ::fabric_core::__private::Checkpoint>::visit_mut(
                &mut self.step,
                __fabric_entries,
            );
            __fabric_entries.leave();
            __fabric_entries
                .enter(
                    ::fabric_core::__private::FieldSchema::new("Blocks.rest", "rest")
                        .flatten(),
                );
            <Box<
                T,
            > as ::fabric_core::__private::Checkpoint>::visit_mut(
                &mut self.rest,
                __fabric_entries,
            );
            __fabric_entries.leave();
        }
    }
    ///The handles in [`Blocks::FIELDS`].
    #[allow(
        dead_code,
        missing_debug_implementations,
        non_camel_case_types,
        non_snake_case,
        unreachable_pub
    )]
    pub struct BlocksFields<__State, __Field0, __Field1, __Field2, __Field3, __Field4> {
        ///The field that is stored as `blocks`.
        pub blocks: ::fabric_core::__private::Field<__State, __Field0>,
        ///The field that is stored as `head`.
        pub head: ::fabric_core::__private::Field<__State, __Field1>,
        ///The field that is stored as `notes`.
        pub notes: ::fabric_core::__private::Field<__State, __Field2>,
        ///The field that is stored as `step`.
        pub step: ::fabric_core::__private::Field<__State, __Field3>,
        ///The field whose entries join this level.
        pub rest: ::fabric_core::__private::Field<__State, __Field4>,
    }
    impl<T, M, const N: usize> Blocks<T, M, N>
    where
        T: Clone,
    {
        ///Typed handles to the stored fields of [`Blocks`].
        #[allow(dead_code, private_interfaces, clippy::type_complexity)]
        const FIELDS: BlocksFields<Self, [T; N], Option<Box<T>>, M, u64, Box<T>> = BlocksFields {
            blocks: ::fabric_core::__private::Field::new("blocks"),
            head: ::fabric_core::__private::Field::new("head"),
            notes: ::fabric_core::__private::Field::new("notes"),
            step: ::fabric_core::__private::Field::new("step"),
            rest: ::fabric_core::__private::Field::flattened(),
        };
    }
};
struct List<T> {
    value: T,
    next: Option<Box<List<T>>>,
}
#[allow(deprecated)]
const _: () = {
    #[automatically_derived]
    impl<T> ::fabric_core::__private::Checkpoint for List<T>
    where
        T: ::fabric_core::__private::Checkpoint,
    {
        const KEYS: ::fabric_core::__private::Keys = ::fabric_core::__private::Keys::new(
            &["value", "next"],
            &[],
        );
        fn visit<'__fabric>(
            &'__fabric self,
            __fabric_entries: &mut ::fabric_core::__private::Visitor<'__fabric>,
        ) {
            __fabric_entries
                .enter(
                    ::fabric_core::__private::FieldSchema::new("List.value", "value"),
                );
            <T as ::fabric_core::__private::Checkpoint>::visit(
                &self.value,
                __fabric_entries,
            );
            __fabric_entries.leave();
            __fabric_entries
                .enter(::fabric_core::__private::FieldSchema::new("List.next", "next"));
            <Option<
                Box<List<T>>,
            > as ::fabric_core::__private::Checkpoint>::visit(
                &self.next,
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
                    ::fabric_core::__private::FieldSchema::new("List.value", "value"),
                );
            <T as ::fabric_core::__private::Checkpoint>::visit_mut(
                &mut self.value,
                __fabric_entries,
            );
            __fabric_entries.leave();
            __fabric_entries
                .enter(::fabric_core::__private::FieldSchema::new("List.next", "next"));
            <Option<
                Box<List<T>>,
            > as ::fabric_core::__private::Checkpoint>::visit_mut(
                &mut self.next,
                __fabric_entries,
            );
            __fabric_entries.leave();
        }
    }
    ///The handles in [`List::FIELDS`].
    #[allow(
        dead_code,
        missing_debug_implementations,
        non_camel_case_types,
        non_snake_case,
        unreachable_pub
    )]
    pub struct ListFields<__State, __Field0, __Field1> {
        ///The field that is stored as `value`.
        pub value: ::fabric_core::__private::Field<__State, __Field0>,
        ///The field that is stored as `next`.
        pub next: ::fabric_core::__private::Field<__State, __Field1>,
    }
    impl<T> List<T> {
        ///Typed handles to the stored fields of [`List`].
        #[allow(dead_code, private_interfaces, clippy::type_complexity)]
        const FIELDS: ListFields<Self, T, Option<Box<List<T>>>> = ListFields {
            value: ::fabric_core::__private::Field::new("value"),
            next: ::fabric_core::__private::Field::new("next"),
        };
    }
};
