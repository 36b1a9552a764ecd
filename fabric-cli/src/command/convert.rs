//! `ckpt convert A B`: a checkpoint in another format.

use std::process::ExitCode;

use clap::ValueEnum;
use fabric_core::{ExportFormat, ExportOptions, Fabric};

use crate::conversion::Conversion;
use crate::failure::Failure;
use crate::screen::Screen;

/// Writes a checkpoint, or a part of it, in another format or element type.
///
/// The ending of B chooses the format: .safetensors for bare tensors; .pt, .pth, .bin and .ckpt for torch.load; any other for a
/// checkpoint of Fabric. A may be anything that `ckpt` reads. What is read is verified on the way.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    conversion: Conversion,
    /// The format to write, whatever the ending of B is.
    #[arg(long, value_enum, value_name = "FORMAT")]
    format: Option<Format>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// A checkpoint of Fabric in one file.
    Fabric,
    /// Tensors alone.
    Safetensors,
    /// A file for torch.load.
    Torch,
}

impl Format {
    /// The format that the ending of a path chooses.
    fn of(path: &std::path::Path) -> Self {
        let ending = path
            .extension()
            .map(|ending| ending.to_string_lossy().to_ascii_lowercase());
        match ending.as_deref() {
            Some("safetensors") => Self::Safetensors,
            Some("pt" | "pth" | "bin" | "ckpt") => Self::Torch,
            _ => Self::Fabric,
        }
    }
}

/// # Errors
/// If nothing could be written.
pub(crate) fn run(arguments: &Arguments, screen: &mut Screen) -> Result<ExitCode, Failure> {
    let (conversion, fabric) = (&arguments.conversion, Fabric::new());
    let Conversion {
        from,
        to,
        subtree,
        dtype,
        dry_run,
        ..
    } = conversion;
    let format = arguments.format.unwrap_or_else(|| Format::of(to));
    conversion.run(screen, "convert", |bar| {
        let export = |format: ExportFormat, name: &'static str| {
            let mut options = ExportOptions::new()
                .format(format)
                .dry_run(*dry_run)
                .progress(bar.callback());
            if let Some(name) = subtree {
                options = options.subtree(name);
            }
            if let Some(dtype) = dtype {
                options = options.dtype((*dtype).into());
            }
            Ok(conversion.exported(name, fabric.export(from, to, options)?))
        };
        match format {
            Format::Fabric => {
                let report = fabric.consolidate_with(from, to, conversion.reshard_options(bar))?;
                Ok(conversion.own(report))
            }
            Format::Safetensors => export(ExportFormat::Safetensors, "safetensors"),
            Format::Torch => export(ExportFormat::Torch, "torch"),
        }
    })?;
    Ok(ExitCode::SUCCESS)
}
