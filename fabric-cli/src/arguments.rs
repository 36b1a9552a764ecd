//! The arguments of the program.

use clap::{Parser, Subcommand, ValueEnum};

use crate::command::{completions, consolidate, convert, diff, ls, prune, reshard, runs, show, upgrade, verify};

/// Looks into checkpoints of candle and PyTorch, verifies, compares and converts them.
///
/// Reads Fabric's checkpoints (files and directories), files of torch.save (.pt, .pth, .bin, .ckpt), distributed checkpoints of
/// PyTorch, safetensors files and Hugging Face directories.
#[derive(Debug, Parser)]
#[command(
    name = "ckpt",
    version,
    after_help = "`ckpt COMMAND --help` describes a command. The exit status of wrong usage is 64."
)]
pub(crate) struct Arguments {
    /// When the output has colours. `auto` looks whether it goes to a terminal, and obeys NO_COLOR.
    #[allow(clippy::doc_markdown, reason = "it is the text of --help")]
    #[arg(long, global = true, value_enum, default_value_t = Color::Auto, value_name = "WHEN")]
    pub(crate) color: Color,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// When the output has colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    Auto,
    Always,
    Never,
}

/// The command, with its own arguments.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Ls(ls::Arguments),
    Show(show::Arguments),
    Verify(verify::Arguments),
    Diff(diff::Arguments),
    Convert(convert::Arguments),
    Consolidate(consolidate::Arguments),
    Reshard(reshard::Arguments),
    Upgrade(upgrade::Arguments),
    Runs(runs::Arguments),
    Prune(prune::Arguments),
    Completions(completions::Arguments),
}
