// What #[derive(Checkpoint)] makes of input/module.rs. To accept changes: BLESS=1 cargo test -p fabric-derive snapshots

use fabric_core::candle_nn::Linear;
pub struct Mlp {
    fc1: Linear,
    fc2: Linear,
}
#[allow(deprecated)]
const _: () = {
    #[automatically_derived]
    impl ::fabric_core::__private::Checkpoint for Mlp {
        const KEYS: ::fabric_core::__private::Keys = ::fabric_core::__private::Keys::new(
            &["fc1", "fc2"],
            &[],
        );
        fn visit<'__fabric>(
            &'__fabric self,
            __fabric_entries: &mut ::fabric_core::__private::Visitor<'__fabric>,
        ) {
            __fabric_entries
                .enter(::fabric_core::__private::FieldSchema::new("Mlp.fc1", "fc1"));
            <Linear as ::fabric_core::__private::Checkpoint>::visit(
                &self.fc1,
                __fabric_entries,
            );
            __fabric_entries.leave();
            __fabric_entries
                .enter(::fabric_core::__private::FieldSchema::new("Mlp.fc2", "fc2"));
            <Linear as ::fabric_core::__private::Checkpoint>::visit(
                &self.fc2,
                __fabric_entries,
            );
            __fabric_entries.leave();
        }
        fn visit_mut<'__fabric>(
            &'__fabric mut self,
            __fabric_entries: &mut ::fabric_core::__private::VisitorMut<'__fabric>,
        ) {
            __fabric_entries
                .enter(::fabric_core::__private::FieldSchema::new("Mlp.fc1", "fc1"));
            <Linear as ::fabric_core::__private::Checkpoint>::visit_mut(
                &mut self.fc1,
                __fabric_entries,
            );
            __fabric_entries.leave();
            __fabric_entries
                .enter(::fabric_core::__private::FieldSchema::new("Mlp.fc2", "fc2"));
            <Linear as ::fabric_core::__private::Checkpoint>::visit_mut(
                &mut self.fc2,
                __fabric_entries,
            );
            __fabric_entries.leave();
        }
    }
    ///The handles in [`Mlp::FIELDS`].
    #[allow(
        dead_code,
        missing_debug_implementations,
        non_camel_case_types,
        non_snake_case,
        unreachable_pub
    )]
    pub struct MlpFields<__State, __Field0, __Field1> {
        ///The field that is stored as `fc1`.
        pub fc1: ::fabric_core::__private::Field<__State, __Field0>,
        ///The field that is stored as `fc2`.
        pub fc2: ::fabric_core::__private::Field<__State, __Field1>,
    }
    impl Mlp {
        ///Typed handles to the stored fields of [`Mlp`].
        #[allow(dead_code, private_interfaces, clippy::type_complexity)]
        pub const FIELDS: MlpFields<Self, Linear, Linear> = MlpFields {
            fc1: ::fabric_core::__private::Field::new("fc1"),
            fc2: ::fabric_core::__private::Field::new("fc2"),
        };
    }
};
