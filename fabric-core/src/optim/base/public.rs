//! The public part of an optimizer: its type, its methods, and its traits.

/// The public type of an optimizer over [`Base`].
macro_rules! optimizer {
    ($(#[$docs:meta])* $name:ident, $params:ident) => {
        $(#[$docs])*
        #[derive(Debug)]
        pub struct $name($crate::optim::base::Base<$params>);

        impl $name {
            /// An optimizer over these parameters with the default hyper-parameters, except for the learning rate.
            ///
            /// # Errors
            /// If the device has no memory for the state.
            pub fn new_lr(vars: Vec<candle_core::Var>, lr: f64) -> candle_core::Result<Self> {
                candle_nn::Optimizer::new(vars, $params { lr, ..$params::default() })
            }

            /// An optimizer over named parameters. A name is used in a checkpoint where no module of the state holds the
            /// parameter.
            ///
            /// # Errors
            /// If the hyper-parameters are invalid, or the device has no memory for the state.
            pub fn from_named(
                vars: impl IntoIterator<Item = (String, candle_core::Var)>,
                params: $params,
            ) -> candle_core::Result<Self> {
                Self::with_groups([$crate::optim::Group::named(vars, params)])
            }

            /// An optimizer over several groups of parameters.
            ///
            /// # Errors
            /// If there is no group, a parameter is in two groups, hyper-parameters are invalid, or the device has no memory
            /// for the state.
            pub fn with_groups(
                groups: impl IntoIterator<Item = $crate::optim::Group<$params>>,
            ) -> candle_core::Result<Self> {
                $crate::optim::base::Base::new(groups).map(Self)
            }

            /// The hyper-parameters of the first group, which is the only one unless there are more.
            #[must_use]
            pub fn params(&self) -> &$params {
                &self.0.groups()[0]
            }

            /// The hyper-parameters of each group.
            #[must_use]
            pub fn groups(&self) -> &[$params] {
                self.0.groups()
            }

            /// Replaces the hyper-parameters of each group.
            ///
            /// # Errors
            /// If there are not as many as groups, one is invalid, or one needs other state than its parameters have; nothing has
            /// changed then.
            pub fn set_groups(&mut self, groups: &[$params]) -> candle_core::Result<()> {
                self.0.set_groups(groups)
            }
        }

        $crate::optim::base::optimizer_traits! { $name, $params }
    };
}

/// The traits of an optimizer over [`Base`].
macro_rules! optimizer_traits {
    ($name:ident, $params:ident) => {
        impl candle_nn::Optimizer for $name {
            type Config = $params;

            fn new(vars: Vec<candle_core::Var>, params: $params) -> candle_core::Result<Self> {
                Self::with_groups([$crate::optim::Group::new(vars, params)])
            }

            fn step(&mut self, grads: &candle_core::backprop::GradStore) -> candle_core::Result<()> {
                self.0.step(grads)
            }

            /// The learning rate of the first group.
            fn learning_rate(&self) -> f64 {
                self.0.learning_rate()
            }

            /// Sets the learning rate of all groups.
            fn set_learning_rate(&mut self, lr: f64) {
                self.0.set_learning_rate(lr);
            }
        }

        impl $crate::state::OptimizerState for $name {
            fn describe(&self) -> $crate::state::OptimizerDescription {
                self.0.describe()
            }

            fn check(
                &self,
                groups: &[$crate::state::ParamGroup],
            ) -> std::result::Result<(), $crate::value::ValueError> {
                self.0.check(groups)
            }

            fn restore(&mut self, groups: Option<&[$crate::state::ParamGroup]>, steps: &[Option<u64>]) {
                self.0.restore(groups, steps);
            }
        }

        #[diagnostic::do_not_recommend]
        impl $crate::state::Checkpoint for $name {
            const KEYS: $crate::state::Keys = $crate::state::Keys::OPTIMIZER;
            const RECORDED: $crate::state::Recorded = $crate::state::Recorded::Never;

            fn may_differ(_: &mut $crate::state::Types) -> bool {
                false
            }

            fn visit<'a>(&'a self, entries: &mut $crate::state::Visitor<'a>) {
                entries.optimizer("", self);
            }

            fn visit_mut<'a>(&'a mut self, entries: &mut $crate::state::VisitorMut<'a>) {
                entries.optimizer("", self);
            }
        }
    };
}

pub(in crate::optim) use {optimizer, optimizer_traits};
