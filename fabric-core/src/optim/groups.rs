//! The parameters of a module, split into groups by rules.

use candle_core::{Result, Tensor, Var, bail};

use super::Group;
use crate::filter::Patterns;
use crate::state::{Checkpoint, named_parameters};

/// The parameters of a module, split into groups by rules on names and tensors, for `with_groups` of each optimizer.
///
/// Every parameter is in exactly one group: that of the first rule that selects it, or the first group, which has all that no rule
/// selects. The groups of the rules follow in the order of the rules. Names are those of
/// [`named_parameters`](crate::named_parameters), relative to the module; a tied parameter has its first name.
///
/// Weight decay for matrices alone, none for biases and the scales of norms:
///
/// ```
/// use candle_core::{DType, Device};
/// use candle_nn::{LayerNorm, Linear, VarBuilder, VarMap, layer_norm, linear};
/// use fabric_core::Checkpoint;
/// use fabric_core::optim::{AdamW, Groups, ParamsAdamW};
///
/// #[derive(Checkpoint)]
/// struct Model { fc: Linear, norm: LayerNorm }
///
/// # fn main() -> candle_core::Result<()> {
/// # let builder = VarBuilder::from_varmap(&VarMap::new(), DType::F32, &Device::Cpu);
/// let model = Model { fc: linear(4, 2, builder.pp("fc"))?, norm: layer_norm(2, 1e-5, builder.pp("norm"))? };
/// let decayed = ParamsAdamW { weight_decay: 0.1, ..ParamsAdamW::default() };
/// let plain = ParamsAdamW { weight_decay: 0.0, ..decayed.clone() };
/// let groups = Groups::of(&model, decayed).rule("vectors", |_, tensor| tensor.rank() < 2, plain)?;
/// assert_eq!(groups.names(), [vec!["fc.weight"], vec!["fc.bias", "norm.weight", "norm.bias"]]);
/// let optimizer = AdamW::with_groups(groups)?;
/// # assert_eq!(optimizer.groups()[1].weight_decay, 0.0);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Groups<P> {
    /// The first group has the parameters that no rule selects. Never empty.
    groups: Vec<(Vec<(String, Var)>, P)>,
}

impl<P> Groups<P> {
    /// One group of all parameters of a module. Parameters that are not of a floating point type are excluded, as in candle.
    pub fn of<M: Checkpoint + ?Sized>(module: &M, params: P) -> Self {
        let parameters = named_parameters(module).into_iter();
        let floats = parameters.filter(|(_, var)| var.dtype().is_float());
        Self {
            groups: vec![(floats.collect(), params)],
        }
    }

    /// Moves the parameters for which `selects` returns true, and which no earlier rule has selected, into a group of their own.
    /// `name` names the rule in errors.
    ///
    /// # Errors
    /// If the rule selects no parameter.
    pub fn rule(mut self, name: &str, mut selects: impl FnMut(&str, &Tensor) -> bool, params: P) -> Result<Self> {
        let (selected, others): (Vec<_>, Vec<_>) = std::mem::take(&mut self.groups[0].0)
            .into_iter()
            .partition(|(parameter, var)| selects(parameter, var.as_tensor()));
        if selected.is_empty() {
            bail!("{}", selects_none("rule", name, &others));
        }
        self.groups[0].0 = others;
        self.groups.push((selected, params));
        Ok(self)
    }

    /// Moves the parameters whose names match at least one of these shell patterns into a group of their own, as
    /// [`rule`](Self::rule) does. `*` also matches dots: `*.bias` matches `fc.bias` and `block.0.fc.bias`.
    ///
    /// # Errors
    /// If a pattern is invalid, or a pattern matches no parameter that is left by the earlier rules.
    pub fn matching(self, patterns: &[&str], params: P) -> Result<Self> {
        let rest = &self.groups[0].0;
        for pattern in patterns {
            let parsed = parse(&[pattern])?;
            if !rest.iter().any(|(name, _)| parsed.matches(name)) {
                bail!("{}", selects_none("pattern", pattern, rest));
            }
        }
        let any = parse(patterns)?;
        self.rule(&patterns.join(", "), |name, _| any.matches(name), params)
    }

    /// The names of the parameters of each group.
    #[must_use]
    pub fn names(&self) -> Vec<Vec<&str>> {
        let groups = self.groups.iter();
        groups
            .map(|(parameters, _)| parameters.iter().map(|(name, _)| name.as_str()).collect())
            .collect()
    }
}

impl<P> IntoIterator for Groups<P> {
    type Item = Group<P>;
    type IntoIter = std::vec::IntoIter<Group<P>>;

    fn into_iter(self) -> Self::IntoIter {
        let groups = self.groups.into_iter();
        let groups: Vec<_> = groups
            .map(|(parameters, params)| Group::named(parameters, params))
            .collect();
        groups.into_iter()
    }
}

fn parse(patterns: &[&str]) -> Result<Patterns> {
    Patterns::parse(patterns).map_err(candle_core::Error::msg)
}

/// The error for a rule that selects none of the parameters that are left.
fn selects_none(kind: &str, name: &str, rest: &[(String, Var)]) -> String {
    const LISTED: usize = 6;
    if rest.is_empty() {
        return format!(
            "the {kind} `{name}` selects nothing, because no parameter is left: the earlier rules have all of them"
        );
    }
    let listed: Vec<_> = rest.iter().take(LISTED).map(|(name, _)| format!("`{name}`")).collect();
    let more = if rest.len() > LISTED { ", ..." } else { "" };
    format!(
        "the {kind} `{name}` selects none of the {} parameters that no earlier rule has: {}{more}",
        rest.len(),
        listed.join(", ")
    )
}
