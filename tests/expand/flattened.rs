// What #[derive(Checkpoint)] makes of input/flattened.rs. To accept changes: BLESS=1 cargo test -p fabric-derive snapshots

struct Counters {
    step: u64,
    epoch: u64,
}
#[allow(deprecated)]
const _: () = {
    #[automatically_derived]
    impl ::fabric_core::__private::Checkpoint for Counters {
        const KEYS: ::fabric_core::__private::Keys = ::fabric_core::__private::Keys::new(
            &["step", "epoch"],
            &[],
        );
        fn visit<'__fabric>(
            &'__fabric self,
            __fabric_entries: &mut ::fabric_core::__private::Visitor<'__fabric>,
        ) {
            __fabric_entries
                .enter(
                    ::fabric_core::__private::FieldSchema::new("Counters.step", "step"),
                );
            <u64 as ::fabric_core::__private::Checkpoint>::visit(
                &self.step,
                __fabric_entries,
            );
            __fabric_entries.leave();
            __fabric_entries
                .enter(
                    ::fabric_core::__private::FieldSchema::new("Counters.epoch", "epoch"),
                );
            <u64 as ::fabric_core::__private::Checkpoint>::visit(
                &self.epoch,
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
                    ::fabric_core::__private::FieldSchema::new("Counters.step", "step"),
                );
            <u64 as ::fabric_core::__private::Checkpoint>::visit_mut(
                &mut self.step,
                __fabric_entries,
            );
            __fabric_entries.leave();
            __fabric_entries
                .enter(
                    ::fabric_core::__private::FieldSchema::new("Counters.epoch", "epoch"),
                );
            <u64 as ::fabric_core::__private::Checkpoint>::visit_mut(
                &mut self.epoch,
                __fabric_entries,
            );
            __fabric_entries.leave();
        }
    }
    ///The handles in [`Counters::FIELDS`].
    #[allow(
        dead_code,
        missing_debug_implementations,
        non_camel_case_types,
        non_snake_case,
        unreachable_pub
    )]
    pub struct CountersFields<__State, __Field0, __Field1> {
        ///The field that is stored as `step`.
        pub step: ::fabric_core::__private::Field<__State, __Field0>,
        ///The field that is stored as `epoch`.
        pub epoch: ::fabric_core::__private::Field<__State, __Field1>,
    }
    impl Counters {
        ///Typed handles to the stored fields of [`Counters`].
        #[allow(dead_code, private_interfaces, clippy::type_complexity)]
        const FIELDS: CountersFields<Self, u64, u64> = CountersFields {
            step: ::fabric_core::__private::Field::new("step"),
            epoch: ::fabric_core::__private::Field::new("epoch"),
        };
    }
};
struct Losses {
    last: f32,
    history: Vec<f32>,
}
#[allow(deprecated)]
const _: () = {
    #[automatically_derived]
    impl ::fabric_core::__private::Checkpoint for Losses {
        const KEYS: ::fabric_core::__private::Keys = ::fabric_core::__private::Keys::new(
            &["last", "history"],
            &[],
        );
        fn visit<'__fabric>(
            &'__fabric self,
            __fabric_entries: &mut ::fabric_core::__private::Visitor<'__fabric>,
        ) {
            __fabric_entries
                .enter(
                    ::fabric_core::__private::FieldSchema::new("Losses.last", "last"),
                );
            <f32 as ::fabric_core::__private::Checkpoint>::visit(
                &self.last,
                __fabric_entries,
            );
            __fabric_entries.leave();
            __fabric_entries
                .enter(
                    ::fabric_core::__private::FieldSchema::new(
                        "Losses.history",
                        "history",
                    ),
                );
            <Vec<
                f32,
            > as ::fabric_core::__private::Checkpoint>::visit(
                &self.history,
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
                    ::fabric_core::__private::FieldSchema::new("Losses.last", "last"),
                );
            <f32 as ::fabric_core::__private::Checkpoint>::visit_mut(
                &mut self.last,
                __fabric_entries,
            );
            __fabric_entries.leave();
            __fabric_entries
                .enter(
                    ::fabric_core::__private::FieldSchema::new(
                        "Losses.history",
                        "history",
                    ),
                );
            <Vec<
                f32,
            > as ::fabric_core::__private::Checkpoint>::visit_mut(
                &mut self.history,
                __fabric_entries,
            );
            __fabric_entries.leave();
        }
    }
    ///The handles in [`Losses::FIELDS`].
    #[allow(
        dead_code,
        missing_debug_implementations,
        non_camel_case_types,
        non_snake_case,
        unreachable_pub
    )]
    pub struct LossesFields<__State, __Field0, __Field1> {
        ///The field that is stored as `last`.
        pub last: ::fabric_core::__private::Field<__State, __Field0>,
        ///The field that is stored as `history`.
        pub history: ::fabric_core::__private::Field<__State, __Field1>,
    }
    impl Losses {
        ///Typed handles to the stored fields of [`Losses`].
        #[allow(dead_code, private_interfaces, clippy::type_complexity)]
        const FIELDS: LossesFields<Self, f32, Vec<f32>> = LossesFields {
            last: ::fabric_core::__private::Field::new("last"),
            history: ::fabric_core::__private::Field::new("history"),
        };
    }
};
struct Run {
    name: String,
    counters: Counters,
    losses: Losses,
}
#[allow(deprecated)]
const _: () = {
    #[automatically_derived]
    impl ::fabric_core::__private::Checkpoint for Run {
        const KEYS: ::fabric_core::__private::Keys = ::fabric_core::__private::Keys::new(
            &["name"],
            &[
                &<Counters as ::fabric_core::__private::Checkpoint>::KEYS,
                &<Losses as ::fabric_core::__private::Checkpoint>::KEYS,
            ],
        );
        fn visit<'__fabric>(
            &'__fabric self,
            __fabric_entries: &mut ::fabric_core::__private::Visitor<'__fabric>,
        ) {
            __fabric_entries
                .enter(::fabric_core::__private::FieldSchema::new("Run.name", "name"));
            <String as ::fabric_core::__private::Checkpoint>::visit(
                &self.name,
                __fabric_entries,
            );
            __fabric_entries.leave();
            __fabric_entries
                .enter(
                    ::fabric_core::__private::FieldSchema::new(
                            "Run.counters",
                            "counters",
                        )
                        .flatten(),
                );
            <Counters as ::fabric_core::__private::Checkpoint>::visit(
                &self.counters,
                __fabric_entries,
            );
            __fabric_entries.leave();
            __fabric_entries
                .enter(
                    ::fabric_core::__private::FieldSchema::new("Run.losses", "losses")
                        .flatten(),
                );
            <Losses as ::fabric_core::__private::Checkpoint>::visit(
                &self.losses,
                __fabric_entries,
            );
            __fabric_entries.leave();
        }
        fn visit_mut<'__fabric>(
            &'__fabric mut self,
            __fabric_entries: &mut ::fabric_core::__private::VisitorMut<'__fabric>,
        ) {
            __fabric_entries
                .enter(::fabric_core::__private::FieldSchema::new("Run.name", "name"));
            <String as ::fabric_core::__private::Checkpoint>::visit_mut(
                &mut self.name,
                __fabric_entries,
            );
            __fabric_entries.leave();
            __fabric_entries
                .enter(
                    ::fabric_core::__private::FieldSchema::new(
                            "Run.counters",
                            "counters",
                        )
                        .flatten(),
                );
            <Counters as ::fabric_core::__private::Checkpoint>::visit_mut(
                &mut self.counters,
                __fabric_entries,
            );
            __fabric_entries.leave();
            __fabric_entries
                .enter(
                    ::fabric_core::__private::FieldSchema::new("Run.losses", "losses")
                        .flatten(),
                );
            <Losses as ::fabric_core::__private::Checkpoint>::visit_mut(
                &mut self.losses,
                __fabric_entries,
            );
            __fabric_entries.leave();
        }
    }
    ///The handles in [`Run::FIELDS`].
    #[allow(
        dead_code,
        missing_debug_implementations,
        non_camel_case_types,
        non_snake_case,
        unreachable_pub
    )]
    pub struct RunFields<__State, __Field0, __Field1, __Field2> {
        ///The field that is stored as `name`.
        pub name: ::fabric_core::__private::Field<__State, __Field0>,
        ///The field whose entries join this level.
        pub counters: ::fabric_core::__private::Field<__State, __Field1>,
        ///The field whose entries join this level.
        pub losses: ::fabric_core::__private::Field<__State, __Field2>,
    }
    impl Run {
        ///Typed handles to the stored fields of [`Run`].
        #[allow(dead_code, private_interfaces, clippy::type_complexity)]
        const FIELDS: RunFields<Self, String, Counters, Losses> = RunFields {
            name: ::fabric_core::__private::Field::new("name"),
            counters: ::fabric_core::__private::Field::flattened(),
            losses: ::fabric_core::__private::Field::flattened(),
        };
    }
    const _: () = ::fabric_core::__private::core::assert!(
        ! < Counters as ::fabric_core::__private::Checkpoint > ::KIND.is_value(),
        "`counters` is a plain value, and it has no entries that could join this level; remove `flatten`"
    );
    const _: () = ::fabric_core::__private::core::assert!(
        ! < Losses as ::fabric_core::__private::Checkpoint > ::KIND.is_value(),
        "`losses` is a plain value, and it has no entries that could join this level; remove `flatten`"
    );
    const _: () = if let ::fabric_core::__private::core::option::Option::Some(key) = ::fabric_core::__private::Keys::new(
            &["name"],
            &[],
        )
        .collision(&<Counters as ::fabric_core::__private::Checkpoint>::KEYS)
    {
        ::fabric_core::__private::core::panic!(
            "{}", ::fabric_core::__private::Message::of(& ["key `", key,
            "` is written by two fields of `Run`"]).as_str()
        )
    };
    const _: () = if let ::fabric_core::__private::core::option::Option::Some(key) = ::fabric_core::__private::Keys::new(
            &["name"],
            &[],
        )
        .collision(&<Losses as ::fabric_core::__private::Checkpoint>::KEYS)
    {
        ::fabric_core::__private::core::panic!(
            "{}", ::fabric_core::__private::Message::of(& ["key `", key,
            "` is written by two fields of `Run`"]).as_str()
        )
    };
    const _: () = if let ::fabric_core::__private::core::option::Option::Some(key) = <Counters as ::fabric_core::__private::Checkpoint>::KEYS
        .collision(&<Losses as ::fabric_core::__private::Checkpoint>::KEYS)
    {
        ::fabric_core::__private::core::panic!(
            "{}", ::fabric_core::__private::Message::of(& ["key `", key,
            "` is written by two fields of `Run`"]).as_str()
        )
    };
};
