// What #[derive(Checkpoint)] makes of input/borrowed.rs. To accept changes: BLESS=1 cargo test --workspace --lib snapshots

use fabric_core::candle_nn::Linear;
pub(crate) struct Borrowed<'a, T: ?Sized> {
    model: &'a mut Linear,
    head: &'a mut T,
    names: &'a [String],
}
#[allow(deprecated, unused_qualifications)]
const _: () = {
    use ::fabric_core::__private1 as __fabric;
    #[automatically_derived]
    impl<'a, T: ?Sized> __fabric::Checkpoint for Borrowed<'a, T>
    where
        &'a mut T: __fabric::Checkpoint,
    {
        const KEYS: __fabric::Keys = __fabric::Keys::new(&["model", "head"], &[]);
        const RECORDED: __fabric::Recorded = __fabric::Recorded::ByItself;
        fn may_differ(
            __fabric_types: &mut __fabric::Types,
        ) -> __fabric::core::primitive::bool {
            __fabric_types.enter(__fabric::Schema::of::<Self>(&__FABRIC_DECLARATION))
                && (<&'a mut Linear as __fabric::Checkpoint>::may_differ(__fabric_types)
                    || <&'a mut T as __fabric::Checkpoint>::may_differ(__fabric_types))
        }
        fn structs(__fabric_types: &mut __fabric::TypeWalk<'_>) {
            __fabric_types
                .of::<
                    Self,
                >(
                    &[
                        (&["model"], <&'a mut Linear as __fabric::Checkpoint>::structs),
                        (&["head"], <&'a mut T as __fabric::Checkpoint>::structs),
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
                __fabric::FieldSchema::new(__fabric_schema, "Borrowed.model", "model"),
            );
            <&'a mut Linear as __fabric::Checkpoint>::visit_part(
                &self.model,
                __fabric_entries,
                __fabric::Sealed,
            );
            __fabric::Walking::leave(__fabric_entries);
            __fabric::Walking::enter(
                __fabric_entries,
                __fabric::FieldSchema::new(__fabric_schema, "Borrowed.head", "head"),
            );
            <&'a mut T as __fabric::Checkpoint>::visit_part(
                &self.head,
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
                __fabric::FieldSchema::new(__fabric_schema, "Borrowed.model", "model"),
            );
            <&'a mut Linear as __fabric::Checkpoint>::visit_part_mut(
                &mut self.model,
                __fabric_entries,
                __fabric::Sealed,
            );
            __fabric::Walking::leave(__fabric_entries);
            __fabric::Walking::enter(
                __fabric_entries,
                __fabric::FieldSchema::new(__fabric_schema, "Borrowed.head", "head"),
            );
            <&'a mut T as __fabric::Checkpoint>::visit_part_mut(
                &mut self.head,
                __fabric_entries,
                __fabric::Sealed,
            );
            __fabric::Walking::leave(__fabric_entries);
        }
    }
    static __FABRIC_DECLARATION: __fabric::Declaration = __fabric::Declaration::new(
        "Borrowed",
    );
    ///The handles in [`Borrowed::FIELDS`].
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
    pub(crate) struct BorrowedFields<'a, T: ?Sized> {
        ///The field that is stored as `model`.
        model: __fabric::Field<Borrowed<'a, T>, &'a mut Linear>,
        ///The field that is stored as `head`.
        head: __fabric::Field<Borrowed<'a, T>, &'a mut T>,
    }
    impl<'a, T: ?Sized> Borrowed<'a, T> {
        ///Typed handles to the stored fields of [`Borrowed`]. The handle of a field inside a field is reached with `then`, as in `Borrowed::FIELDS.outer.then(Outer::FIELDS.inner)`.
        #[allow(dead_code, private_interfaces)]
        pub(crate) const FIELDS: BorrowedFields<'a, T> = BorrowedFields {
            model: __fabric::Field::new(&__FABRIC_DECLARATION, "model"),
            head: __fabric::Field::new(&__FABRIC_DECLARATION, "head"),
        };
    }
};
