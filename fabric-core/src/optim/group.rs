//! Parameters that share hyper-parameters.

use std::collections::HashSet;

use candle_core::{Result, Var, bail};

/// Parameters with their hyper-parameters, for `with_groups` of each optimizer, such as
/// [`AdamW::with_groups`](super::AdamW::with_groups). [`Groups`](super::Groups) makes them by rules.
#[derive(Clone, Debug)]
pub struct Group<P> {
    pub(super) vars: Vec<(Option<String>, Var)>,
    pub(super) params: P,
}

impl<P> Group<P> {
    /// A group of these parameters. Parameters that are not of a floating point type are excluded, as in candle.
    pub fn new(vars: impl IntoIterator<Item = Var>, params: impl Into<P>) -> Self {
        Self::collect(vars.into_iter().map(|var| (None, var)), params.into())
    }

    /// A group of named parameters; a name is used in a checkpoint where no module of the state holds the parameter.
    pub fn named(vars: impl IntoIterator<Item = (String, Var)>, params: impl Into<P>) -> Self {
        Self::collect(vars.into_iter().map(|(name, var)| (Some(name), var)), params.into())
    }

    fn collect(vars: impl Iterator<Item = (Option<String>, Var)>, params: P) -> Self {
        Self {
            vars: vars.filter(|(_, var)| var.dtype().is_float()).collect(),
            params,
        }
    }
}

/// The groups, if there is at least one, and no parameter is in two of them.
pub(super) fn disjoint<P>(groups: impl IntoIterator<Item = Group<P>>) -> Result<Vec<Group<P>>> {
    let groups: Vec<_> = groups.into_iter().collect();
    if groups.is_empty() {
        bail!("an optimizer needs at least one group of parameters");
    }
    let mut elsewhere = HashSet::new();
    for (index, group) in groups.iter().enumerate() {
        if let Some((_, var)) = group.vars.iter().find(|(_, var)| elsewhere.contains(&var.id())) {
            bail!(
                "group {index} has a parameter of shape {:?} that an earlier group has too",
                var.shape()
            );
        }
        elsewhere.extend(group.vars.iter().map(|(_, var)| var.id()));
    }
    Ok(groups)
}
