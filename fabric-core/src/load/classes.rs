//! Recognizes PyTorch's optimizers by the options of their groups. A state dict does not name its class, and several
//! classes have state of the same names.

use crate::state::ParamGroup;
use crate::value::Value;

/// Classes of `torch.optim` that write the same options, and the options that identify them.
struct Class {
    names: &'static [&'static str],
    has: &'static [&'static str],
    lacks: &'static [&'static str],
}

const fn class(names: &'static [&'static str], has: &'static [&'static str], lacks: &'static [&'static str]) -> Class {
    Class { names, has, lacks }
}

/// The first class that fits is the result.
const CLASSES: &[Class] = &[
    class(&["NAdam"], &["betas", "momentum_decay"], &[]),
    // Every release of PyTorch writes `amsgrad` for Adam and for AdamW.
    class(&["Adam", "AdamW"], &["betas", "eps", "weight_decay", "amsgrad"], &[]),
    class(
        &["RAdam"],
        &["betas", "eps", "weight_decay", "decoupled_weight_decay"],
        &[],
    ),
    // `bias_correction` is an option of Apex and DeepSpeed.
    class(
        &["RAdam", "Adamax"],
        &["betas", "eps", "weight_decay"],
        &["bias_correction"],
    ),
    class(&["SparseAdam"], &["betas", "eps"], &["weight_decay"]),
    class(&["Muon"], &["momentum", "ns_steps"], &[]),
    class(&["RMSprop"], &["alpha", "centered"], &[]),
    class(&["SGD"], &["momentum", "dampening", "nesterov"], &[]),
    class(&["Adafactor"], &["beta2_decay"], &[]),
    class(&["Adafactor"], &["clip_threshold", "decay_rate"], &[]),
    class(&["Adagrad"], &["lr_decay", "initial_accumulator_value"], &[]),
    class(&["Adadelta"], &["rho", "eps"], &[]),
    class(&["ASGD"], &["lambd", "t0"], &[]),
    class(&["Rprop"], &["etas", "step_sizes"], &[]),
    class(&["LBFGS"], &["max_iter", "history_size"], &[]),
];

/// Options without effect on the arithmetic: PyTorch's kernels, learning rate schedulers, and names.
const HARMLESS: &[&str] = &[
    "params",
    "param_names",
    "name",
    "foreach",
    "fused",
    "capturable",
    "differentiable",
    "initial_lr",
    "max_lr",
    "min_lr",
    "base_momentum",
    "max_momentum",
    "swa_lr",
    "lr_scale",
    "decoupled_weight_decay",
];

/// A mismatch of optimizers: the one that wrote the file, and the expected one.
pub(super) struct OtherOptimizer {
    pub(crate) found: String,
    pub(crate) expected: String,
}

/// Checks that an optimizer of this kind wrote the groups of a foreign file. Kinds that PyTorch does not have make this
/// check themselves.
///
/// # Errors
/// If another optimizer wrote the groups.
pub(crate) fn check(kind: &str, groups: &[Value]) -> Result<(), OtherOptimizer> {
    let (class, expected) = match kind {
        "AdamW" => ("AdamW", "that of AdamW, or of Adam without weight decay".to_owned()),
        "Sgd" => ("SGD", "that of SGD".to_owned()),
        kind if CLASSES.iter().any(|class| class.names.contains(&kind)) => (kind, format!("that of {kind}")),
        _ => return Ok(()),
    };
    for group in groups {
        let options: Vec<String> = names(group);
        let found = CLASSES.iter().find(|class| class.fits(&options));
        if found.is_some_and(|found| found.names.contains(&class)) {
            continue;
        }
        let found = match found {
            Some(found) => format!("the state of PyTorch's {}", found.names.join(" or ")),
            None => format!("the state of an optimizer with the options {}", quoted(&options)),
        };
        return Err(OtherOptimizer { found, expected });
    }
    Ok(())
}

/// The options of a foreign file's groups that this library's optimizer does not have, as a list for a sentence.
pub(crate) fn unknown(kind: &str, groups: &[Value], own: &[ParamGroup]) -> Option<String> {
    if !matches!(kind, "AdamW" | "Sgd" | "Adam" | "RMSprop") {
        return None;
    }
    let known = |name: &String| {
        let mut own = own.iter().flat_map(ParamGroup::option_names);
        HARMLESS.contains(&name.as_str()) || own.any(|own| own == name)
    };
    let mut unknown: Vec<String> = groups.iter().flat_map(names).filter(|name| !known(name)).collect();
    unknown.sort();
    unknown.dedup();
    (!unknown.is_empty()).then(|| quoted(&unknown))
}

fn names(group: &Value) -> Vec<String> {
    let options = group.as_map().unwrap_or_default().into_iter();
    options.map(|(name, _)| name).collect()
}

fn quoted(names: &[String]) -> String {
    let shown = names.iter().filter(|name| *name != "params").take(12);
    shown.map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

impl Class {
    fn fits(&self, options: &[String]) -> bool {
        let has = |name: &&str| options.iter().any(|option| option == name);
        self.has.iter().all(has) && !self.lacks.iter().any(has)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A group as a class of PyTorch's writes it by default.
    fn group(options: &str) -> Value {
        let options = options.split(' ').chain(["lr", "params"]);
        Value::map(options.map(|name| (name.to_owned(), Value::null())))
    }

    fn found(options: &str) -> String {
        check("Sgd", &[group(options)])
            .err()
            .map_or_else(|| "SGD".to_owned(), |stranger| stranger.found)
    }

    #[test]
    fn each_class_is_told_by_the_options_of_its_groups() {
        let of = |class: &str| format!("the state of PyTorch's {class}");
        for (options, class) in [
            ("betas eps weight_decay amsgrad", "Adam or AdamW"),
            (
                "betas eps weight_decay amsgrad maximize foreach capturable differentiable fused decoupled_weight_decay",
                "Adam or AdamW",
            ),
            (
                "betas eps weight_decay momentum_decay decoupled_weight_decay maximize foreach capturable differentiable",
                "NAdam",
            ),
            ("betas eps weight_decay momentum_decay", "NAdam"),
            (
                "betas eps weight_decay maximize foreach capturable decoupled_weight_decay differentiable",
                "RAdam",
            ),
            ("betas eps weight_decay", "RAdam or Adamax"),
            (
                "betas eps weight_decay foreach maximize differentiable capturable",
                "RAdam or Adamax",
            ),
            ("betas eps maximize", "SparseAdam"),
            (
                "weight_decay momentum nesterov ns_coefficients eps ns_steps adjust_lr_fn",
                "Muon",
            ),
            ("momentum alpha eps centered weight_decay capturable foreach", "RMSprop"),
            ("beta2_decay eps d weight_decay foreach maximize", "Adafactor"),
            (
                "eps clip_threshold decay_rate beta1 weight_decay scale_parameter relative_step warmup_init",
                "Adafactor",
            ),
            ("lr_decay eps weight_decay initial_accumulator_value foreach", "Adagrad"),
            ("rho eps weight_decay foreach capturable maximize", "Adadelta"),
            ("lambd alpha t0 weight_decay foreach maximize", "ASGD"),
            ("etas step_sizes foreach maximize", "Rprop"),
            (
                "max_iter max_eval tolerance_grad tolerance_change history_size line_search_fn",
                "LBFGS",
            ),
        ] {
            assert_eq!(found(options), of(class), "{options}");
            assert!(
                check("AdamW", &[group(options)]).is_ok() == class.contains("AdamW"),
                "{options}"
            );
        }
        assert_eq!(found("momentum dampening weight_decay nesterov"), "SGD");
        for stranger in ["betas weight_decay", "betas eps weight_decay bias_correction step"] {
            assert!(
                found(stranger).contains("an optimizer with the options `b"),
                "{stranger}"
            );
            assert!(check("AdamW", &[group(stranger)]).is_err(), "{stranger}");
        }
    }

    #[test]
    fn an_optimizer_of_the_users_judges_for_itself_unless_pytorch_has_one_of_its_name() {
        let radam = group("betas eps weight_decay");
        assert!(check("MyAdam", std::slice::from_ref(&radam)).is_ok());
        assert!(check("RAdam", std::slice::from_ref(&radam)).is_ok());
        assert!(check("NAdam", &[radam]).is_err());
    }

    #[test]
    fn options_that_change_the_arithmetic_are_told_from_those_that_do_not() {
        let groups = [group("betas initial_lr foreach caution use_muon name")];
        let own = [ParamGroup::new(Vec::new())
            .option("betas", [0.9, 0.99])
            .option("lr", 0.1)];
        assert_eq!(
            unknown("AdamW", &groups, &own).as_deref(),
            Some("`caution`, `use_muon`")
        );
        assert_eq!(unknown("MyAdam", &groups, &own), None);
    }
}
