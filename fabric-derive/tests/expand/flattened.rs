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
        const RECORDED: __fabric::Recorded = __fabric::Recorded::ByItself;
        fn may_differ(
            __fabric_types: &mut __fabric::Types,
        ) -> __fabric::core::primitive::bool {
            __fabric_types.enter(__fabric::Schema::of::<Self>(&__FABRIC_DECLARATION))
                && (<u64 as __fabric::Checkpoint>::may_differ(__fabric_types)
                    || <u64 as __fabric::Checkpoint>::may_differ(__fabric_types))
        }
        fn structs(__fabric_types: &mut __fabric::TypeWalk<'_>) {
            __fabric_types
                .of::<
                    Self,
                >(
                    &[
                        (&["step"], <u64 as __fabric::Checkpoint>::structs),
                        (&["epoch"], <u64 as __fabric::Checkpoint>::structs),
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
                __fabric::FieldSchema::new(__fabric_schema, "Counters.step", "step"),
            );
            <u64 as __fabric::Checkpoint>::visit_part(
                &self.step,
                __fabric_entries,
                __fabric::Sealed,
            );
            __fabric::Walking::leave(__fabric_entries);
            __fabric::Walking::enter(
                __fabric_entries,
                __fabric::FieldSchema::new(__fabric_schema, "Counters.epoch", "epoch"),
            );
            <u64 as __fabric::Checkpoint>::visit_part(
                &self.epoch,
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
                __fabric::FieldSchema::new(__fabric_schema, "Counters.step", "step"),
            );
            <u64 as __fabric::Checkpoint>::visit_part_mut(
                &mut self.step,
                __fabric_entries,
                __fabric::Sealed,
            );
            __fabric::Walking::leave(__fabric_entries);
            __fabric::Walking::enter(
                __fabric_entries,
                __fabric::FieldSchema::new(__fabric_schema, "Counters.epoch", "epoch"),
            );
            <u64 as __fabric::Checkpoint>::visit_part_mut(
                &mut self.epoch,
                __fabric_entries,
                __fabric::Sealed,
            );
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
        non_snake_case
    )]
    #[allow(
        private_bounds,
        private_interfaces,
        unreachable_pub,
        clippy::type_complexity
    )]
    struct CountersFields {
        ///The field that is stored as `step`.
        step: __fabric::Field<Counters, u64>,
        ///The field that is stored as `epoch`.
        epoch: __fabric::Field<Counters, u64>,
    }
    impl Counters {
        /**Typed handles to the stored fields of [`Counters`]. The handle of a field inside a field is reached with `then`, as in `Counters::FIELDS.outer.then(Outer::FIELDS.inner)`.

| handle | type | name in the file |
|---|---|---|
| `step` | `u64` | `step` |
| `epoch` | `u64` | `epoch` |*/
        #[allow(dead_code, private_interfaces)]
        const FIELDS: CountersFields = CountersFields {
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
        const RECORDED: __fabric::Recorded = __fabric::Recorded::ByItself;
        fn may_differ(
            __fabric_types: &mut __fabric::Types,
        ) -> __fabric::core::primitive::bool {
            __fabric_types.enter(__fabric::Schema::of::<Self>(&__FABRIC_DECLARATION))
                && (<f32 as __fabric::Checkpoint>::may_differ(__fabric_types)
                    || <Vec<f32> as __fabric::Checkpoint>::may_differ(__fabric_types))
        }
        fn structs(__fabric_types: &mut __fabric::TypeWalk<'_>) {
            __fabric_types
                .of::<
                    Self,
                >(
                    &[
                        (&["last"], <f32 as __fabric::Checkpoint>::structs),
                        (&["history"], <Vec<f32> as __fabric::Checkpoint>::structs),
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
                __fabric::FieldSchema::new(__fabric_schema, "Losses.last", "last"),
            );
            <f32 as __fabric::Checkpoint>::visit_part(
                &self.last,
                __fabric_entries,
                __fabric::Sealed,
            );
            __fabric::Walking::leave(__fabric_entries);
            __fabric::Walking::enter(
                __fabric_entries,
                __fabric::FieldSchema::new(__fabric_schema, "Losses.history", "history"),
            );
            <Vec<
                f32,
            > as __fabric::Checkpoint>::visit_part(
                &self.history,
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
                __fabric::FieldSchema::new(__fabric_schema, "Losses.last", "last"),
            );
            <f32 as __fabric::Checkpoint>::visit_part_mut(
                &mut self.last,
                __fabric_entries,
                __fabric::Sealed,
            );
            __fabric::Walking::leave(__fabric_entries);
            __fabric::Walking::enter(
                __fabric_entries,
                __fabric::FieldSchema::new(__fabric_schema, "Losses.history", "history"),
            );
            <Vec<
                f32,
            > as __fabric::Checkpoint>::visit_part_mut(
                &mut self.history,
                __fabric_entries,
                __fabric::Sealed,
            );
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
        non_snake_case
    )]
    #[allow(
        private_bounds,
        private_interfaces,
        unreachable_pub,
        clippy::type_complexity
    )]
    struct LossesFields {
        ///The field that is stored as `last`.
        last: __fabric::Field<Losses, f32>,
        ///The field that is stored as `history`.
        history: __fabric::Field<Losses, Vec<f32>>,
    }
    impl Losses {
        /**Typed handles to the stored fields of [`Losses`]. The handle of a field inside a field is reached with `then`, as in `Losses::FIELDS.outer.then(Outer::FIELDS.inner)`.

| handle | type | name in the file |
|---|---|---|
| `last` | `f32` | `last` |
| `history` | `Vec<f32>` | `history` |*/
        #[allow(dead_code, private_interfaces)]
        const FIELDS: LossesFields = LossesFields {
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
        const RECORDED: __fabric::Recorded = __fabric::Recorded::ByItself;
        fn may_differ(
            __fabric_types: &mut __fabric::Types,
        ) -> __fabric::core::primitive::bool {
            __fabric_types.enter(__fabric::Schema::of::<Self>(&__FABRIC_DECLARATION))
                && (<String as __fabric::Checkpoint>::may_differ(__fabric_types)
                    || <Counters as __fabric::Checkpoint>::may_differ(__fabric_types)
                    || <Losses as __fabric::Checkpoint>::may_differ(__fabric_types))
        }
        fn structs(__fabric_types: &mut __fabric::TypeWalk<'_>) {
            __fabric_types
                .of::<
                    Self,
                >(
                    &[
                        (&["name"], <String as __fabric::Checkpoint>::structs),
                        (&[], <Counters as __fabric::Checkpoint>::structs),
                        (&[], <Losses as __fabric::Checkpoint>::structs),
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
                __fabric::FieldSchema::new(__fabric_schema, "Run.name", "name"),
            );
            <String as __fabric::Checkpoint>::visit_part(
                &self.name,
                __fabric_entries,
                __fabric::Sealed,
            );
            __fabric::Walking::leave(__fabric_entries);
            __fabric::Walking::enter(
                __fabric_entries,
                __fabric::FieldSchema::new(__fabric_schema, "Run.counters", "counters")
                    .flatten(),
            );
            <Counters as __fabric::Checkpoint>::visit_part(
                &self.counters,
                __fabric_entries,
                __fabric::Sealed,
            );
            __fabric::Walking::leave(__fabric_entries);
            __fabric::Walking::enter(
                __fabric_entries,
                __fabric::FieldSchema::new(__fabric_schema, "Run.losses", "losses")
                    .flatten(),
            );
            <Losses as __fabric::Checkpoint>::visit_part(
                &self.losses,
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
                __fabric::FieldSchema::new(__fabric_schema, "Run.name", "name"),
            );
            <String as __fabric::Checkpoint>::visit_part_mut(
                &mut self.name,
                __fabric_entries,
                __fabric::Sealed,
            );
            __fabric::Walking::leave(__fabric_entries);
            __fabric::Walking::enter(
                __fabric_entries,
                __fabric::FieldSchema::new(__fabric_schema, "Run.counters", "counters")
                    .flatten(),
            );
            <Counters as __fabric::Checkpoint>::visit_part_mut(
                &mut self.counters,
                __fabric_entries,
                __fabric::Sealed,
            );
            __fabric::Walking::leave(__fabric_entries);
            __fabric::Walking::enter(
                __fabric_entries,
                __fabric::FieldSchema::new(__fabric_schema, "Run.losses", "losses")
                    .flatten(),
            );
            <Losses as __fabric::Checkpoint>::visit_part_mut(
                &mut self.losses,
                __fabric_entries,
                __fabric::Sealed,
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
        non_snake_case
    )]
    #[allow(
        private_bounds,
        private_interfaces,
        unreachable_pub,
        clippy::type_complexity
    )]
    struct RunFields {
        ///The field that is stored as `name`.
        name: __fabric::Field<Run, String>,
        ///The field whose entries join this level.
        counters: __fabric::Field<Run, Counters>,
        ///The field whose entries join this level.
        losses: __fabric::Field<Run, Losses>,
    }
    impl Run {
        /**Typed handles to the stored fields of [`Run`]. The handle of a field inside a field is reached with `then`, as in `Run::FIELDS.outer.then(Outer::FIELDS.inner)`.

| handle | type | name in the file |
|---|---|---|
| `name` | `String` | `name` |
| `counters` | `Counters` | its entries join this level |
| `losses` | `Losses` | its entries join this level |*/
        #[allow(dead_code, private_interfaces)]
        const FIELDS: RunFields = RunFields {
            name: __fabric::Field::new(&__FABRIC_DECLARATION, "name"),
            counters: __fabric::Field::flattened(&__FABRIC_DECLARATION),
            losses: __fabric::Field::flattened(&__FABRIC_DECLARATION),
        };
    }
    const _: () = __fabric::core::assert!(
        ! < Counters as __fabric::Checkpoint > ::KIND.is_one_value(),
        "`counters` is a plain value, and it has no entries that could join this level; remove `flatten`"
    );
    const _: () = __fabric::core::assert!(
        ! < Counters as __fabric::Checkpoint > ::KIND.is_tensor(),
        "`counters` is one tensor, and has no entries that could join this level; remove `flatten`"
    );
    const _: () = __fabric::core::assert!(
        ! < Losses as __fabric::Checkpoint > ::KIND.is_one_value(),
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
