//! `AdamW` in a checkpoint.

use candle_nn::ParamsAdamW;

use super::AdamW;
use crate::optim::hyper;
use crate::state::{
    Checkpoint, Keys, OptimizerDescription, OptimizerState, ParamGroup, ParamState, Types, Visitor, VisitorMut,
};
use crate::value::ValueError;

impl OptimizerState for AdamW {
    fn describe(&self) -> OptimizerDescription {
        let parameters = self.parameters.iter().map(|parameter| {
            let [exp_avg, exp_avg_sq] = &parameter.state;
            ParamState::new(parameter.var.clone())
                .named(parameter.name.clone())
                .tensor("exp_avg", exp_avg)
                .tensor("exp_avg_sq", exp_avg_sq)
                .step(parameter.step)
        });
        let description = OptimizerDescription::new("AdamW", parameters.collect());
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
        groups.iter().try_for_each(|group| from_group(group).map(drop))
    }

    fn restore(&mut self, groups: Option<&[ParamGroup]>, steps: &[Option<u64>]) {
        for (params, group) in self.groups.iter_mut().zip(groups.unwrap_or_default()) {
            if let Ok(restored) = from_group(group) {
                *params = restored;
            }
        }
        for (parameter, step) in self.parameters.iter_mut().zip(steps) {
            parameter.step = step.unwrap_or(parameter.step);
        }
    }
}

#[diagnostic::do_not_recommend]
impl Checkpoint for AdamW {
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

fn to_group(params: &ParamsAdamW, members: Vec<usize>) -> ParamGroup {
    ParamGroup::new(members)
        .option("lr", params.lr)
        .option("betas", [params.beta1, params.beta2])
        .option("eps", params.eps)
        .option("weight_decay", params.weight_decay)
        .option("amsgrad", false)
        .option("maximize", false)
}

fn from_group(group: &ParamGroup) -> Result<ParamsAdamW, ValueError> {
    hyper::expect_flag(group, "amsgrad", false)?;
    hyper::expect_flag(group, "maximize", false)?;
    let weight_decay = hyper::number(group, "weight_decay")?;
    // PyTorch's Adam and AdamW write the same keys; this one tells them apart. Without decay they are one optimizer.
    if weight_decay != 0.0 {
        hyper::expect_flag(group, "decoupled_weight_decay", true)?;
    }
    let (beta1, beta2) = hyper::betas(group)?;
    Ok(ParamsAdamW {
        lr: hyper::number(group, "lr")?,
        beta1,
        beta2,
        eps: hyper::number(group, "eps")?,
        weight_decay,
    })
}
