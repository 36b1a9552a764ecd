// What #[derive(Checkpoint)] makes of input/flattened.rs. To accept changes: BLESS=1 cargo test --workspace --lib snapshots

struct Counters {
    step: u64,
    epoch: u64,
}
#[allow(deprecated, unused_qualifications)]
const _: () = {
    use ::fabric_core::__private1 as __fabric;
    #[automatically_derived]
    impl __fabric::Checkpoint for Counters {
        const KEYS: __fabric::Keys = __fabric::Keys::new(&["step", "epoch"], &[]);
        fn may_differ(
            __fabric_types: &mut __fabric::Types,
        ) -> __fabric::core::primitive::bool {
            __fabric_types.enter(__fabric::Schema::of::<Self>(&__FABRIC_DECLARATION))
                && (<u64 as __fabric::Checkpoint>::may_differ(__fabric_types)
                    || <u64 as __fabric::Checkpoint>::may_differ(__fabric_types))
        }
        fn visit<'__fabric>(
            &'__fabric self,
            __fabric_entries: &mut __fabric::Visitor<'__fabric>,
        ) {
            let __fabric_schema = __fabric::Schema::of::<Self>(&__FABRIC_DECLARATION);
            __fabric::Walking::enter(
                __fabric_entries,
                __fabric::FieldSchema::new(__fabric_schema, "Counters.step", "step"),
            );
            <u64 as __fabric::Checkpoint>::visit(&self.step, __fabric_entries);
            __fabric::Walking::leave(__fabric_entries);
            __fabric::Walking::enter(
                __fabric_entries,
                __fabric::FieldSchema::new(__fabric_schema, "Counters.epoch", "epoch"),
            );
            <u64 as __fabric::Checkpoint>::visit(&self.epoch, __fabric_entries);
            __fabric::Walking::leave(__fabric_entries);
        }
        fn visit_mut<'__fabric>(
            &'__fabric mut self,
            __fabric_entries: &mut __fabric::VisitorMut<'__fabric>,
        ) {
            let __fabric_schema = __fabric::Schema::of::<Self>(&__FABRIC_DECLARATION);
            __fabric::Walking::enter(
                __fabric_entries,
                __fabric::FieldSchema::new(__fabric_schema, "Counters.step", "step"),
            );
            <u64 as __fabric::Checkpoint>::visit_mut(&mut self.step, __fabric_entries);
            __fabric::Walking::leave(__fabric_entries);
            __fabric::Walking::enter(
                __fabric_entries,
                __fabric::FieldSchema::new(__fabric_schema, "Counters.epoch", "epoch"),
            );
            <u64 as __fabric::Checkpoint>::visit_mut(&mut self.epoch, __fabric_entries);
            __fabric::Walking::leave(__fabric_entries);
        }
    }
    static __FABRIC_DECLARATION: __fabric::Declaration = __fabric::Declaration::new(
        "Counters",
    );
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
        pub step: __fabric::Field<__State, __Field0>,
        ///The field that is stored as `epoch`.
        pub epoch: __fabric::Field<__State, __Field1>,
    }
    impl Counters {
        ///Typed handles to the stored fields of [`Counters`]. The handle of a field inside a field is reached with `then`, as in `Counters::FIELDS.outer.then(Outer::FIELDS.inner)`.
        #[allow(dead_code, private_interfaces, clippy::type_complexity)]
        const FIELDS: CountersFields<Self, u64, u64> = CountersFields {
            step: __fabric::Field::new(&__FABRIC_DECLARATION, "step"),
            epoch: __fabric::Field::new(&__FABRIC_DECLARATION, "epoch"),
        };
    }
};
struct Losses {
    last: f32,
    history: Vec<f32>,
}
#[allow(deprecated, unused_qualifications)]
const _: () = {
    use ::fabric_core::__private1 as __fabric;
    #[automatically_derived]
    impl __fabric::Checkpoint for Losses {
        const KEYS: __fabric::Keys = __fabric::Keys::new(&["last", "history"], &[]);
        fn may_differ(
            __fabric_types: &mut __fabric::Types,
        ) -> __fabric::core::primitive::bool {
            __fabric_types.enter(__fabric::Schema::of::<Self>(&__FABRIC_DECLARATION))
                && (<f32 as __fabric::Checkpoint>::may_differ(__fabric_types)
                    || <Vec<f32> as __fabric::Checkpoint>::may_differ(__fabric_types))
        }
        fn visit<'__fabric>(
            &'__fabric self,
            __fabric_entries: &mut __fabric::Visitor<'__fabric>,
        ) {
            let __fabric_schema = __fabric::Schema::of::<Self>(&__FABRIC_DECLARATION);
            __fabric::Walking::enter(
                __fabric_entries,
                __fabric::FieldSchema::new(__fabric_schema, "Losses.last", "last"),
            );
            <f32 as __fabric::Checkpoint>::visit(&self.last, __fabric_entries);
            __fabric::Walking::leave(__fabric_entries);
            __fabric::Walking::enter(
                __fabric_entries,
                __fabric::FieldSchema::new(__fabric_schema, "Losses.history", "history"),
            );
            <Vec<f32> as __fabric::Checkpoint>::visit(&self.history, __fabric_entries);
            __fabric::Walking::leave(__fabric_entries);
        }
        fn visit_mut<'__fabric>(
            &'__fabric mut self,
            __fabric_entries: &mut __fabric::VisitorMut<'__fabric>,
        ) {
            let __fabric_schema = __fabric::Schema::of::<Self>(&__FABRIC_DECLARATION);
            __fabric::Walking::enter(
                __fabric_entries,
                __fabric::FieldSchema::new(__fabric_schema, "Losses.last", "last"),
            );
            <f32 as __fabric::Checkpoint>::visit_mut(&mut self.last, __fabric_entries);
            __fabric::Walking::leave(__fabric_entries);
            __fabric::Walking::enter(
                __fabric_entries,
                __fabric::FieldSchema::new(__fabric_schema, "Losses.history", "history"),
            );
            <Vec<
                f32,
            > as __fabric::Checkpoint>::visit_mut(&mut self.history, __fabric_entries);
            __fabric::Walking::leave(__fabric_entries);
        }
    }
    static __FABRIC_DECLARATION: __fabric::Declaration = __fabric::Declaration::new(
        "Losses",
    );
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
        pub last: __fabric::Field<__State, __Field0>,
        ///The field that is stored as `history`.
        pub history: __fabric::Field<__State, __Field1>,
    }
    impl Losses {
        ///Typed handles to the stored fields of [`Losses`]. The handle of a field inside a field is reached with `then`, as in `Losses::FIELDS.outer.then(Outer::FIELDS.inner)`.
        #[allow(dead_code, private_interfaces, clippy::type_complexity)]
        const FIELDS: LossesFields<Self, f32, Vec<f32>> = LossesFields {
            last: __fabric::Field::new(&__FABRIC_DECLARATION, "last"),
            history: __fabric::Field::new(&__FABRIC_DECLARATION, "history"),
        };
    }
};
struct Run {
    name: String,
    counters: Counters,
    losses: Losses,
}
#[allow(deprecated, unused_qualifications)]
const _: () = {
    use ::fabric_core::__private1 as __fabric;
    #[automatically_derived]
    impl __fabric::Checkpoint for Run {
        const KEYS: __fabric::Keys = __fabric::Keys::new(
            &["name"],
            &[
                &<Counters as __fabric::Checkpoint>::KEYS,
                &<Losses as __fabric::Checkpoint>::KEYS,
            ],
        );
        fn may_differ(
            __fabric_types: &mut __fabric::Types,
        ) -> __fabric::core::primitive::bool {
            __fabric_types.enter(__fabric::Schema::of::<Self>(&__FABRIC_DECLARATION))
                && (<String as __fabric::Checkpoint>::may_differ(__fabric_types)
                    || <Counters as __fabric::Checkpoint>::may_differ(__fabric_types)
                    || <Losses as __fabric::Checkpoint>::may_differ(__fabric_types))
        }
        fn visit<'__fabric>(
            &'__fabric self,
            __fabric_entries: &mut __fabric::Visitor<'__fabric>,
        ) {
            let __fabric_schema = __fabric::Schema::of::<Self>(&__FABRIC_DECLARATION);
            __fabric::Walking::enter(
                __fabric_entries,
                __fabric::FieldSchema::new(__fabric_schema, "Run.name", "name"),
            );
            <String as __fabric::Checkpoint>::visit(&self.name, __fabric_entries);
            __fabric::Walking::leave(__fabric_entries);
            __fabric::Walking::enter(
                __fabric_entries,
                __fabric::FieldSchema::new(__fabric_schema, "Run.counters", "counters")
                    .flatten(),
            );
            <Counters as __fabric::Checkpoint>::visit(&self.counters, __fabric_entries);
            __fabric::Walking::leave(__fabric_entries);
            __fabric::Walking::enter(
                __fabric_entries,
                __fabric::FieldSchema::new(__fabric_schema, "Run.losses", "losses")
                    .flatten(),
            );
            <Losses as __fabric::Checkpoint>::visit(&self.losses, __fabric_entries);
            __fabric::Walking::leave(__fabric_entries);
        }
        fn visit_mut<'__fabric>(
            &'__fabric mut self,
            __fabric_entries: &mut __fabric::VisitorMut<'__fabric>,
        ) {
            let __fabric_schema = __fabric::Schema::of::<Self>(&__FABRIC_DECLARATION);
            __fabric::Walking::enter(
                __fabric_entries,
                __fabric::FieldSchema::new(__fabric_schema, "Run.name", "name"),
            );
            <String as __fabric::Checkpoint>::visit_mut(
                &mut self.name,
                __fabric_entries,
            );
            __fabric::Walking::leave(__fabric_entries);
            __fabric::Walking::enter(
                __fabric_entries,
                __fabric::FieldSchema::new(__fabric_schema, "Run.counters", "counters")
                    .flatten(),
            );
            <Counters as __fabric::Checkpoint>::visit_mut(
                &mut self.counters,
                __fabric_entries,
            );
            __fabric::Walking::leave(__fabric_entries);
            __fabric::Walking::enter(
                __fabric_entries,
                __fabric::FieldSchema::new(__fabric_schema, "Run.losses", "losses")
                    .flatten(),
            );
            <Losses as __fabric::Checkpoint>::visit_mut(
                &mut self.losses,
                __fabric_entries,
            );
            __fabric::Walking::leave(__fabric_entries);
        }
    }
    static __FABRIC_DECLARATION: __fabric::Declaration = __fabric::Declaration::new(
        "Run",
    );
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
        pub name: __fabric::Field<__State, __Field0>,
        ///The field whose entries join this level.
        pub counters: __fabric::Field<__State, __Field1>,
        ///The field whose entries join this level.
        pub losses: __fabric::Field<__State, __Field2>,
    }
    impl Run {
        ///Typed handles to the stored fields of [`Run`]. The handle of a field inside a field is reached with `then`, as in `Run::FIELDS.outer.then(Outer::FIELDS.inner)`.
        #[allow(dead_code, private_interfaces, clippy::type_complexity)]
        const FIELDS: RunFields<Self, String, Counters, Losses> = RunFields {
            name: __fabric::Field::new(&__FABRIC_DECLARATION, "name"),
            counters: __fabric::Field::flattened(&__FABRIC_DECLARATION),
            losses: __fabric::Field::flattened(&__FABRIC_DECLARATION),
        };
    }
    const _: () = __fabric::core::assert!(
        ! < Counters as __fabric::Checkpoint > ::KIND.is_value(),
        "`counters` is a plain value, and it has no entries that could join this level; remove `flatten`"
    );
    const _: () = __fabric::core::assert!(
        ! < Counters as __fabric::Checkpoint > ::KIND.is_tensor(),
        "`counters` is one tensor, and has no entries that could join this level; remove `flatten`"
    );
    const _: () = __fabric::core::assert!(
        ! < Losses as __fabric::Checkpoint > ::KIND.is_value(),
        "`losses` is a plain value, and it has no entries that could join this level; remove `flatten`"
    );
    const _: () = __fabric::core::assert!(
        ! < Losses as __fabric::Checkpoint > ::KIND.is_tensor(),
        "`losses` is one tensor, and has no entries that could join this level; remove `flatten`"
    );
    const _: () = {
        let (known, theirs) = (
            __fabric::Keys::new(&["name"], &[]).aliases(&[]),
            <Counters as __fabric::Checkpoint>::KEYS,
        );
        if let __fabric::core::option::Option::Some(key) = known.collision(&theirs) {
            __fabric::core::panic!(
                "{}", __fabric::Message::of(& ["key `", key,
                "` is written by two fields of `Run`"]).as_str()
            )
        }
        if let __fabric::core::option::Option::Some(key) = known.alias_collision(&theirs)
        {
            __fabric::core::panic!(
                "{}", __fabric::Message::of(& ["alias `", key,
                "` of the flattened field `counters` is a key of `Run` as well"])
                .as_str()
            )
        }
    };
    const _: () = {
        let (known, theirs) = (
            __fabric::Keys::new(&["name"], &[]).aliases(&[]),
            <Losses as __fabric::Checkpoint>::KEYS,
        );
        if let __fabric::core::option::Option::Some(key) = known.collision(&theirs) {
            __fabric::core::panic!(
                "{}", __fabric::Message::of(& ["key `", key,
                "` is written by two fields of `Run`"]).as_str()
            )
        }
        if let __fabric::core::option::Option::Some(key) = known.alias_collision(&theirs)
        {
            __fabric::core::panic!(
                "{}", __fabric::Message::of(& ["alias `", key,
                "` of the flattened field `losses` is a key of `Run` as well"]).as_str()
            )
        }
    };
    const _: () = {
        let (known, theirs) = (
            <Counters as __fabric::Checkpoint>::KEYS,
            <Losses as __fabric::Checkpoint>::KEYS,
        );
        if let __fabric::core::option::Option::Some(key) = known.collision(&theirs) {
            __fabric::core::panic!(
                "{}", __fabric::Message::of(& ["key `", key,
                "` is written by two fields of `Run`"]).as_str()
            )
        }
        if let __fabric::core::option::Option::Some(key) = theirs.alias_collision(&known)
        {
            __fabric::core::panic!(
                "{}", __fabric::Message::of(& ["alias `", key,
                "` of the flattened field `counters` is a key of the flattened field `losses` as well"])
                .as_str()
            )
        }
        if let __fabric::core::option::Option::Some(key) = known.common_alias(&theirs) {
            __fabric::core::panic!(
                "{}", __fabric::Message::of(& ["alias `", key,
                "` of the flattened field `losses` is an alias of the flattened field `counters` as well"])
                .as_str()
            )
        }
        if let __fabric::core::option::Option::Some(key) = known.alias_collision(&theirs)
        {
            __fabric::core::panic!(
                "{}", __fabric::Message::of(& ["alias `", key,
                "` of the flattened field `losses` is a key of the flattened field `counters` as well"])
                .as_str()
            )
        }
    };
};
