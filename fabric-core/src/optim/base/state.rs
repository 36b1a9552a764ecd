//! An optimizer in a checkpoint.

use super::{Base, Hyper};
use crate::state::{OptimizerDescription, ParamGroup, ParamState};
use crate::value::ValueError;

impl<H: Hyper> Base<H> {
    pub(in crate::optim) fn describe(&self) -> OptimizerDescription {
        let parameters = self.parameters.iter().map(|parameter| {
            let names = self.state_names[parameter.group];
            let described = ParamState::new(parameter.var.clone()).named(parameter.name.clone());
            let described = names
                .iter()
                .zip(&parameter.state)
                .fold(described, |described, (name, tensor)| described.tensor(name, tensor));
            if H::COUNTS_STEPS {
                described.step(parameter.step)
            } else {
                described
            }
        });
        let description = OptimizerDescription::new(H::KIND, parameters.collect());
        let mut members = vec![Vec::new(); self.groups.len()];
        for (position, parameter) in self.parameters.iter().enumerate() {
            members[parameter.group].push(position);
        }
        let groups = self.groups.iter().zip(members).zip(&self.state_names);
        groups.fold(description, |description, ((group, members), names)| {
            description.group(H::with_options_of(names, group.to_group(members)))
        })
    }

    /// # Errors
    /// If the groups of a file cannot be taken over.
    pub(in crate::optim) fn check(&self, groups: &[ParamGroup]) -> Result<(), ValueError> {
        for (own, group) in self.state_names.iter().zip(groups) {
            let found = H::from_group(group)?;
            if let Some(flaw) = found.flaw() {
                return Err(ValueError::new(flaw));
            }
            let its = found.stored_state_names(group)?;
            if *own != its {
                return Err(ValueError::new(found.misfit(own, its)));
            }
        }
        Ok(())
    }

    pub(in crate::optim) fn restore(&mut self, groups: Option<&[ParamGroup]>, steps: &[Option<u64>]) {
        for (present, group) in self.groups.iter_mut().zip(groups.unwrap_or_default()) {
            if let Ok(restored) = H::from_group(group) {
                *present = restored;
            }
        }
        for (parameter, step) in self.parameters.iter_mut().zip(steps) {
            parameter.step = step.unwrap_or(parameter.step);
        }
    }
}
