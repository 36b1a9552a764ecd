//! Whole-system tests. The library itself only carries the snippets of the documents, compiled and run as doctests:
//! `cargo test --workspace --doc`. That none is forgotten is tested in `book.rs`.

/// One hidden item for each document.
macro_rules! documents {
    ($($name:ident: $path:literal;)*) => {$(
        #[cfg(doctest)]
        #[doc = include_str!($path)]
        struct $name;
    )*};
}

documents! {
    Readme: "../README.md";
    CoreReadme: "../fabric-core/README.md";
    DeriveReadme: "../fabric-derive/README.md";
    Macro: "../fabric-derive/src/checkpoint.md";
    Contributing: "../CONTRIBUTING.md";
    Design: "../docs/design.md";
    Decisions: "../docs/decisions.md";
    Format: "../docs/format.md";
    PytorchFiles: "../docs/pytorch.md";
    Idea: "../book/src/idea.md";
    FirstCheckpoint: "../book/src/first-checkpoint.md";
    Attributes: "../book/src/attributes.md";
    Background: "../book/src/background.md";
    Changing: "../book/src/changing.md";
    Observing: "../book/src/observing.md";
    Runs: "../book/src/runs.md";
    Command: "../book/src/command.md";
    Matching: "../book/src/matching.md";
    Filters: "../book/src/filters.md";
    Raw: "../book/src/raw.md";
    Pytorch: "../book/src/pytorch.md";
    HiddenTensors: "../book/src/hidden-tensors.md";
    Optimizers: "../book/src/optimizers.md";
    Gpt: "../book/src/gpt.md";
    Ranks: "../book/src/ranks.md";
    Devices: "../book/src/devices.md";
    BookFormat: "../book/src/format.md";
    Guarantees: "../book/src/guarantees.md";
    Recipes: "../book/src/recipes.md";
}
