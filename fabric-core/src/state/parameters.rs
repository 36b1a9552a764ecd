//! The learned variables of a module.

use candle_core::Var;

use super::{Checkpoint, Content, Item, Role, StorageKey, Visitor};

/// The learned variables of a module in declared order, each once, with their names, as PyTorch's
/// `model.named_parameters()` lists them. An optimizer whose order of parameters matters is built from this list.
///
/// Running statistics and tensors that are not variables are excluded; tied tensors are listed under their first name.
///
/// ```
/// # use candle_core::{DType, Device};
/// # use candle_nn::{VarBuilder, VarMap, linear};
/// # fn main() -> candle_core::Result<()> {
/// let variables = VarMap::new();
/// let layer = linear(2, 3, VarBuilder::from_varmap(&variables, DType::F32, &Device::Cpu))?;
/// let names: Vec<String> = fabric_core::named_parameters(&layer).into_iter().map(|(name, _)| name).collect();
/// assert_eq!(names, ["weight", "bias"]);
/// # Ok(())
/// # }
/// ```
#[must_use]
pub fn named_parameters<M: Checkpoint + ?Sized>(module: &M) -> Vec<(String, Var)> {
    let mut visitor = Visitor::listing();
    module.visit(&mut visitor);
    let mut seen = std::collections::HashSet::new();
    let parameter = |item: Item<_>| match item.content {
        Content::Tensor(tensor, Role::Parameter) if tensor.is_variable() && seen.insert(StorageKey::of(&tensor)) => {
            // A tensor that is a variable becomes a `Var` without a copy or an error.
            Some((item.scope.name, Var::from_tensor(&tensor).ok()?))
        }
        _ => None,
    };
    visitor.finish().items.into_iter().filter_map(parameter).collect()
}
