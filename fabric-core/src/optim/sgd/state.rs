//! SGD in a checkpoint.

use super::{ParamsSgd, Sgd};
use crate::optim::hyper;
use crate::state::{
    Checkpoint, Keys, OptimizerDescription, OptimizerState, ParamGroup, ParamState, Types, Visitor, VisitorMut,
};
use crate::value::ValueError;

impl OptimizerState for Sgd {
    fn describe(&self) -> OptimizerDescription {
        let parameters = self.parameters.iter().map(|parameter| {
            let described = ParamState::new(parameter.var.clone()).named(parameter.name.clone());
            match &parameter.buffer {
                Some([buffer]) => described.tensor("momentum_buffer", buffer),
                None => described,
            }
        });
        let description = OptimizerDescription::new("Sgd", parameters.collect());
        self.groups
            .iter()
            .enumerate()
            .fold(description, |description, (index, params)| {
                let members = self
                    .parameters
                    .iter()
                    .enumerate()
                    .filter(|(_, parameter)| parameter.group == index);
                description.group(to_group(params, members.map(|(position, _)| position).collect()))
            })
    }

    fn check(&self, groups: &[ParamGroup]) -> Result<(), ValueError> {
        for (present, group) in self.groups.iter().zip(groups) {
            fits(present, &from_group(group)?)?;
        }
        Ok(())
    }

    fn restore(&mut self, groups: Option<&[ParamGroup]>, _steps: &[Option<u64>]) {
        for (params, group) in self.groups.iter_mut().zip(groups.unwrap_or_default()) {
            if let Ok(restored) = from_group(group) {
                *params = restored;
            }
        }
    }
}

#[diagnostic::do_not_recommend]
impl Checkpoint for Sgd {
    const KEYS: Keys = Keys::OPTIMIZER;

    fn may_differ(_: &mut Types) -> bool {
        false
    }

    fn visit<'a>(&'a self, entries: &mut Visitor<'a>) {
        entries.optimizer("", self);
    }

    fn visit_mut<'a>(&'a mut self, entries: &mut VisitorMut<'a>) {
        entries.optimizer("", self);
    }
}

/// Momentum comes with a buffer for each parameter, and only with it.
fn fits(present: &ParamsSgd, found: &ParamsSgd) -> Result<(), ValueError> {
    let momentum = found.momentum;
    match (present.momentum > 0.0, momentum > 0.0) {
        (false, true) => Err(hyper::refused(
            "momentum",
            momentum,
            &format!(
                "this optimizer has no momentum buffers; construct it with `ParamsSgd {{ momentum: {momentum:?}, .. }}`"
            ),
        )),
        (true, false) => Err(hyper::refused(
            "momentum",
            momentum,
            "this optimizer has momentum buffers, which would stay as they are; construct it with \
             `ParamsSgd { momentum: 0.0, .. }`",
        )),
        _ => Ok(()),
    }
}

fn to_group(params: &ParamsSgd, members: Vec<usize>) -> ParamGroup {
    ParamGroup::new(members)
        .option("lr", params.lr)
        .option("momentum", params.momentum)
        .option("dampening", 0.0)
        .option("weight_decay", params.weight_decay)
        .option("nesterov", params.nesterov)
        .option("maximize", false)
}

fn from_group(group: &ParamGroup) -> Result<ParamsSgd, ValueError> {
    hyper::expect_flag(group, "maximize", false)?;
    hyper::expect_zero(group, "dampening")?;
    let params = ParamsSgd {
        lr: hyper::number(group, "lr")?,
        momentum: hyper::number(group, "momentum")?,
        nesterov: hyper::flag(group, "nesterov", false)?,
        weight_decay: hyper::number(group, "weight_decay")?,
    };
    params.verdict().map_or(Ok(params), |flaw| Err(ValueError::new(flaw)))
}
