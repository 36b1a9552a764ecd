// What #[derive(Checkpoint)] makes of input/struct_attributes.rs. To accept changes: BLESS=1 cargo test -p fabric-derive snapshots

struct Versioned<T> {
    inner: Option<T>,
}
#[allow(deprecated)]
const _: () = {
    #[automatically_derived]
    impl<T> ::fabric_core::__private::Checkpoint for Versioned<T>
    where
        T: fabric_core::Checkpoint + Copy,
    {
        const KEYS: ::fabric_core::__private::Keys = ::fabric_core::__private::Keys::new(
            &["inner"],
            &[],
        );
        const VERSION: ::fabric_core::__private::core::primitive::u32 = 3u32;
        fn visit<'__fabric>(
            &'__fabric self,
            __fabric_entries: &mut ::fabric_core::__private::Visitor<'__fabric>,
        ) {
            __fabric_entries
                .enter(
                    ::fabric_core::__private::FieldSchema::new(
                        "Versioned.inner",
                        "inner",
                    ),
                );
            <Option<
                T,
            > as ::fabric_core::__private::Checkpoint>::visit(
                &self.inner,
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
                    ::fabric_core::__private::FieldSchema::new(
                        "Versioned.inner",
                        "inner",
                    ),
                );
            <Option<
                T,
            > as ::fabric_core::__private::Checkpoint>::visit_mut(
                &mut self.inner,
                __fabric_entries,
            );
            __fabric_entries.leave();
        }
    }
    ///The handles in [`Versioned::FIELDS`].
    #[allow(
        dead_code,
        missing_debug_implementations,
        non_camel_case_types,
        non_snake_case,
        unreachable_pub
    )]
    pub struct VersionedFields<__State, __Field0> {
        ///The field that is stored as `inner`.
        pub inner: ::fabric_core::__private::Field<__State, __Field0>,
    }
    impl<T> Versioned<T> {
        ///Typed handles to the stored fields of [`Versioned`].
        #[allow(dead_code, private_interfaces, clippy::type_complexity)]
        const FIELDS: VersionedFields<Self, Option<T>> = VersionedFields {
            inner: ::fabric_core::__private::Field::new("inner"),
        };
    }
};
