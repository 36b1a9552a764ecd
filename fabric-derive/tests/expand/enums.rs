// What #[derive(Checkpoint)] makes of input/enums.rs. To accept changes: BLESS=1 cargo test --workspace --lib snapshots

use fabric_core::candle_core::Device;
use fabric_core::optim::{AdamW, Sgd};
enum Phase {
    Warmup,
    Training,
}
#[allow(deprecated, unused_qualifications)]
const _: () = {
    use ::fabric_core::__private1 as __fabric;
    #[automatically_derived]
    impl __fabric::Checkpoint for Phase {
        const KIND: __fabric::Kind = __fabric::Kind::Value;
        const KEYS: __fabric::Keys = __fabric::Keys::NONE;
        const RECORDED: __fabric::Recorded = __fabric::Recorded::ByItself;
        fn may_differ(_: &mut __fabric::Types) -> __fabric::core::primitive::bool {
            false
        }
        fn structs(__fabric_types: &mut __fabric::TypeWalk<'_>) {
            __fabric_types.of::<Self>(&[]);
        }
        fn visit<'__fabric>(
            &'__fabric self,
            __fabric_entries: &mut __fabric::Visitor<'__fabric>,
        ) {
            __fabric::variant::value(__fabric_entries, self);
        }
        fn visit_mut<'__fabric>(
            &'__fabric mut self,
            __fabric_entries: &mut __fabric::VisitorMut<'__fabric>,
        ) {
            __fabric::variant::place(__fabric_entries, self);
        }
        #[allow(unused_variables)]
        fn to_value(
            &self,
            __fabric_sealed: __fabric::Sealed,
        ) -> __fabric::core::result::Result<__fabric::Value, __fabric::ValueError> {
            match self {
                Self::Warmup {} => __fabric::variant::VariantWriter::unit("warmup"),
                Self::Training {} => __fabric::variant::VariantWriter::unit("training"),
            }
        }
        #[allow(unused_variables)]
        fn from_value(
            __fabric_value: &__fabric::Value,
            __fabric_sealed: __fabric::Sealed,
        ) -> __fabric::core::result::Result<Self, __fabric::ValueError>
        where
            Self: __fabric::core::marker::Sized,
        {
            let __fabric_stored = __fabric::variant::VariantReader::of(__fabric_value)?;
            match __fabric_stored.name() {
                "warmup" => {
                    __fabric_stored.unit()?;
                    __fabric::core::result::Result::Ok(Self::Warmup {})
                }
                "training" | "main" => {
                    __fabric_stored.unit()?;
                    __fabric::core::result::Result::Ok(Self::Training {})
                }
                _ => {
                    __fabric::core::result::Result::Err(
                        __fabric_stored.unknown(&["warmup", "training"]),
                    )
                }
            }
        }
    }
    #[automatically_derived]
    impl __fabric::MapKey for Phase {
        fn text(&self) -> __fabric::Cow<'_, __fabric::core::primitive::str> {
            __fabric::Cow::Borrowed(
                match self {
                    Self::Warmup {} => "warmup",
                    Self::Training {} => "training",
                },
            )
        }
        fn of_text(
            __fabric_text: &__fabric::core::primitive::str,
        ) -> __fabric::core::option::Option<Self> {
            match __fabric_text {
                "warmup" => __fabric::core::option::Option::Some(Self::Warmup {}),
                "training" | "main" => {
                    __fabric::core::option::Option::Some(Self::Training {})
                }
                _ => __fabric::core::option::Option::None,
            }
        }
    }
    static __FABRIC_DECLARATION: __fabric::Declaration = __fabric::Declaration::of_enum(
        "Phase",
    );
};
enum Decay {
    Off,
    Fixed(f64),
    Cosine { warmup: u64, steps: u64 },
}
#[allow(deprecated, unused_qualifications)]
const _: () = {
    use ::fabric_core::__private1 as __fabric;
    #[automatically_derived]
    impl __fabric::Checkpoint for Decay {
        const KIND: __fabric::Kind = __fabric::Kind::Value
            .and(<f64 as __fabric::Checkpoint>::KIND)
            .and(<u64 as __fabric::Checkpoint>::KIND)
            .and(<u64 as __fabric::Checkpoint>::KIND);
        const KEYS: __fabric::Keys = if <Self as __fabric::Checkpoint>::KIND.is_value() {
            __fabric::Keys::NONE
        } else {
            __fabric::Keys::new(
                    &["variant", "warmup", "steps"],
                    &[&<f64 as __fabric::Checkpoint>::KEYS],
                )
                .aliases(&["total"])
        };
        const RECORDED: __fabric::Recorded = __fabric::Recorded::ByItself;
        fn may_differ(
            __fabric_types: &mut __fabric::Types,
        ) -> __fabric::core::primitive::bool {
            __fabric_types.enter(__fabric::Schema::of::<Self>(&__FABRIC_DECLARATION))
                && (<f64 as __fabric::Checkpoint>::may_differ(__fabric_types)
                    || <u64 as __fabric::Checkpoint>::may_differ(__fabric_types)
                    || <u64 as __fabric::Checkpoint>::may_differ(__fabric_types))
        }
        fn structs(__fabric_types: &mut __fabric::TypeWalk<'_>) {
            __fabric_types
                .of::<
                    Self,
                >(
                    &[
                        (&[], <f64 as __fabric::Checkpoint>::structs),
                        (&["warmup"], <u64 as __fabric::Checkpoint>::structs),
                        (&["steps", "total"], <u64 as __fabric::Checkpoint>::structs),
                    ],
                );
        }
        fn visit<'__fabric>(
            &'__fabric self,
            __fabric_entries: &mut __fabric::Visitor<'__fabric>,
        ) {
            if <Self as __fabric::Checkpoint>::KIND.is_value() {
                return __fabric::variant::value(__fabric_entries, self);
            }
            __fabric::Walking::record::<Self>(__fabric_entries);
            let __fabric_schema = __fabric::Schema::of::<Self>(&__FABRIC_DECLARATION);
            match self {
                Self::Off {} => {
                    __fabric::variant::holds(__fabric_entries, "Off");
                }
                Self::Fixed { 0: __fabric_0 } => {
                    __fabric::variant::holds(__fabric_entries, "Fixed");
                    __fabric::Walking::enter(
                        __fabric_entries,
                        __fabric::FieldSchema::new(
                                __fabric_schema,
                                "Decay::Fixed::0",
                                "0",
                            )
                            .flatten(),
                    );
                    <f64 as __fabric::Checkpoint>::visit_part(
                        __fabric_0,
                        __fabric_entries,
                        __fabric::Sealed,
                    );
                    __fabric::Walking::leave(__fabric_entries);
                }
                Self::Cosine { warmup: __fabric_0, steps: __fabric_1 } => {
                    __fabric::variant::holds(__fabric_entries, "Cosine");
                    __fabric::Walking::enter(
                        __fabric_entries,
                        __fabric::FieldSchema::new(
                            __fabric_schema,
                            "Decay::Cosine::warmup",
                            "warmup",
                        ),
                    );
                    <u64 as __fabric::Checkpoint>::visit_part(
                        __fabric_0,
                        __fabric_entries,
                        __fabric::Sealed,
                    );
                    __fabric::Walking::leave(__fabric_entries);
                    __fabric::Walking::enter(
                        __fabric_entries,
                        __fabric::FieldSchema::new(
                                __fabric_schema,
                                "Decay::Cosine::steps",
                                "steps",
                            )
                            .alias(&["total"]),
                    );
                    <u64 as __fabric::Checkpoint>::visit_part(
                        __fabric_1,
                        __fabric_entries,
                        __fabric::Sealed,
                    );
                    __fabric::Walking::leave(__fabric_entries);
                }
            }
        }
        fn visit_mut<'__fabric>(
            &'__fabric mut self,
            __fabric_entries: &mut __fabric::VisitorMut<'__fabric>,
        ) {
            if <Self as __fabric::Checkpoint>::KIND.is_value() {
                return __fabric::variant::place(__fabric_entries, self);
            }
            __fabric::Walking::record::<Self>(__fabric_entries);
            let __fabric_schema = __fabric::Schema::of::<Self>(&__FABRIC_DECLARATION);
            match self {
                Self::Off {} => {
                    __fabric::variant::expects(__fabric_entries, &["Off"], false);
                }
                Self::Fixed { 0: __fabric_0 } => {
                    __fabric::variant::expects(__fabric_entries, &["Fixed"], true);
                    __fabric::Walking::enter(
                        __fabric_entries,
                        __fabric::FieldSchema::new(
                                __fabric_schema,
                                "Decay::Fixed::0",
                                "0",
                            )
                            .flatten(),
                    );
                    <f64 as __fabric::Checkpoint>::visit_part_mut(
                        __fabric_0,
                        __fabric_entries,
                        __fabric::Sealed,
                    );
                    __fabric::Walking::leave(__fabric_entries);
                }
                Self::Cosine { warmup: __fabric_0, steps: __fabric_1 } => {
                    __fabric::variant::expects(__fabric_entries, &["Cosine"], true);
                    __fabric::Walking::enter(
                        __fabric_entries,
                        __fabric::FieldSchema::new(
                            __fabric_schema,
                            "Decay::Cosine::warmup",
                            "warmup",
                        ),
                    );
                    <u64 as __fabric::Checkpoint>::visit_part_mut(
                        __fabric_0,
                        __fabric_entries,
                        __fabric::Sealed,
                    );
                    __fabric::Walking::leave(__fabric_entries);
                    __fabric::Walking::enter(
                        __fabric_entries,
                        __fabric::FieldSchema::new(
                                __fabric_schema,
                                "Decay::Cosine::steps",
                                "steps",
                            )
                            .alias(&["total"]),
                    );
                    <u64 as __fabric::Checkpoint>::visit_part_mut(
                        __fabric_1,
                        __fabric_entries,
                        __fabric::Sealed,
                    );
                    __fabric::Walking::leave(__fabric_entries);
                }
            }
        }
        #[allow(unused_variables)]
        fn to_value(
            &self,
            __fabric_sealed: __fabric::Sealed,
        ) -> __fabric::core::result::Result<__fabric::Value, __fabric::ValueError> {
            match self {
                Self::Off {} => __fabric::variant::VariantWriter::unit("Off"),
                Self::Fixed { 0: __fabric_0 } => {
                    __fabric::variant::VariantWriter::newtype("Fixed", __fabric_0)
                }
                Self::Cosine { warmup: __fabric_0, steps: __fabric_1 } => {
                    __fabric::variant::VariantWriter::new("Cosine")
                        .field("warmup", __fabric_0)
                        .field("steps", __fabric_1)
                        .named()
                }
            }
        }
        #[allow(unused_variables)]
        fn from_value(
            __fabric_value: &__fabric::Value,
            __fabric_sealed: __fabric::Sealed,
        ) -> __fabric::core::result::Result<Self, __fabric::ValueError>
        where
            Self: __fabric::core::marker::Sized,
        {
            let __fabric_stored = __fabric::variant::VariantReader::of(__fabric_value)?;
            match __fabric_stored.name() {
                "Off" => {
                    __fabric_stored.unit()?;
                    __fabric::core::result::Result::Ok(Self::Off {})
                }
                "Fixed" => {
                    __fabric::core::result::Result::Ok(Self::Fixed {
                        0: __fabric_stored.newtype()?,
                    })
                }
                "Cosine" => {
                    let __fabric_fields = __fabric_stored
                        .named(&["warmup", "steps", "total"])?;
                    __fabric::core::result::Result::Ok(Self::Cosine {
                        warmup: __fabric_fields.field(&["warmup"])?,
                        steps: __fabric_fields.field(&["steps", "total"])?,
                    })
                }
                _ => {
                    __fabric::core::result::Result::Err(
                        __fabric_stored.unknown(&["Off", "Fixed", "Cosine"]),
                    )
                }
            }
        }
    }
    static __FABRIC_DECLARATION: __fabric::Declaration = __fabric::Declaration::of_enum(
        "Decay",
    );
    const _: () = {
        let record = __fabric::Keys::new(&["variant"], &[]);
        __fabric::core::assert!(
            record.collision(& < f64 as __fabric::Checkpoint > ::KEYS).is_none() &&
            record.alias_collision(& < f64 as __fabric::Checkpoint > ::KEYS).is_none(),
            "{}",
            "a file records the variant of `Decay` as \"variant\", and the contents of `Fixed` have an entry of that name; give them a name of their own, as in Fixed { inner: … }"
        );
    };
};
enum Optimizer {
    AdamW(AdamW),
    Sgd { inner: Sgd, device: Device },
}
#[allow(deprecated, unused_qualifications)]
const _: () = {
    use ::fabric_core::__private1 as __fabric;
    #[automatically_derived]
    impl __fabric::Checkpoint for Optimizer {
        const KEYS: __fabric::Keys = __fabric::Keys::new(
            &["variant", "inner"],
            &[&<AdamW as __fabric::Checkpoint>::KEYS],
        );
        const RECORDED: __fabric::Recorded = __fabric::Recorded::ByItself;
        fn may_differ(
            __fabric_types: &mut __fabric::Types,
        ) -> __fabric::core::primitive::bool {
            __fabric_types.enter(__fabric::Schema::of::<Self>(&__FABRIC_DECLARATION))
                && (<AdamW as __fabric::Checkpoint>::may_differ(__fabric_types)
                    || <Sgd as __fabric::Checkpoint>::may_differ(__fabric_types))
        }
        fn structs(__fabric_types: &mut __fabric::TypeWalk<'_>) {
            __fabric_types
                .of::<
                    Self,
                >(
                    &[
                        (&[], <AdamW as __fabric::Checkpoint>::structs),
                        (&["inner"], <Sgd as __fabric::Checkpoint>::structs),
                    ],
                );
        }
        fn visit<'__fabric>(
            &'__fabric self,
            __fabric_entries: &mut __fabric::Visitor<'__fabric>,
        ) {
            __fabric::Walking::record::<Self>(__fabric_entries);
            let __fabric_schema = __fabric::Schema::of::<Self>(&__FABRIC_DECLARATION);
            match self {
                Self::AdamW { 0: __fabric_0 } => {
                    __fabric::variant::holds(__fabric_entries, "AdamW");
                    __fabric::Walking::enter(
                        __fabric_entries,
                        __fabric::FieldSchema::new(
                                __fabric_schema,
                                "Optimizer::AdamW::0",
                                "0",
                            )
                            .flatten(),
                    );
                    <AdamW as __fabric::Checkpoint>::visit_part(
                        __fabric_0,
                        __fabric_entries,
                        __fabric::Sealed,
                    );
                    __fabric::Walking::leave(__fabric_entries);
                }
                Self::Sgd { inner: __fabric_0, .. } => {
                    __fabric::variant::holds(__fabric_entries, "Sgd");
                    __fabric::Walking::enter(
                        __fabric_entries,
                        __fabric::FieldSchema::new(
                            __fabric_schema,
                            "Optimizer::Sgd::inner",
                            "inner",
                        ),
                    );
                    <Sgd as __fabric::Checkpoint>::visit_part(
                        __fabric_0,
                        __fabric_entries,
                        __fabric::Sealed,
                    );
                    __fabric::Walking::leave(__fabric_entries);
                }
            }
        }
        fn visit_mut<'__fabric>(
            &'__fabric mut self,
            __fabric_entries: &mut __fabric::VisitorMut<'__fabric>,
        ) {
            __fabric::Walking::record::<Self>(__fabric_entries);
            let __fabric_schema = __fabric::Schema::of::<Self>(&__FABRIC_DECLARATION);
            match self {
                Self::AdamW { 0: __fabric_0 } => {
                    __fabric::variant::expects(__fabric_entries, &["AdamW"], true);
                    __fabric::Walking::enter(
                        __fabric_entries,
                        __fabric::FieldSchema::new(
                                __fabric_schema,
                                "Optimizer::AdamW::0",
                                "0",
                            )
                            .flatten(),
                    );
                    <AdamW as __fabric::Checkpoint>::visit_part_mut(
                        __fabric_0,
                        __fabric_entries,
                        __fabric::Sealed,
                    );
                    __fabric::Walking::leave(__fabric_entries);
                }
                Self::Sgd { inner: __fabric_0, .. } => {
                    __fabric::variant::expects(__fabric_entries, &["Sgd"], true);
                    __fabric::Walking::enter(
                        __fabric_entries,
                        __fabric::FieldSchema::new(
                            __fabric_schema,
                            "Optimizer::Sgd::inner",
                            "inner",
                        ),
                    );
                    <Sgd as __fabric::Checkpoint>::visit_part_mut(
                        __fabric_0,
                        __fabric_entries,
                        __fabric::Sealed,
                    );
                    __fabric::Walking::leave(__fabric_entries);
                }
            }
        }
    }
    static __FABRIC_DECLARATION: __fabric::Declaration = __fabric::Declaration::of_enum(
        "Optimizer",
    );
    const _: () = {
        let record = __fabric::Keys::new(&["variant"], &[]);
        __fabric::core::assert!(
            record.collision(& < AdamW as __fabric::Checkpoint > ::KEYS).is_none() &&
            record.alias_collision(& < AdamW as __fabric::Checkpoint > ::KEYS).is_none(),
            "{}",
            "a file records the variant of `Optimizer` as \"variant\", and the contents of `AdamW` have an entry of that name; give them a name of their own, as in AdamW { inner: … }"
        );
    };
};
