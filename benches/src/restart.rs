//! The processes of the theme `restart`: one saves and is killed, others load into new tensors and end.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use candle_core::safetensors::MmapedSafetensors;
use candle_core::{DType, Device, Tensor, Var};
use candle_nn::VarMap;
use fabric_core::Fabric;
use fabric_core::storage::Local;

use crate::Outcome;
use crate::states::{Form, state};

/// The first argument of such a process.
const FLAG: &str = "--process";

/// The time between a save and the restart.
const LATER: Duration = Duration::from_secs(2);

/// A library that saves in one process and loads in another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Library {
    Fabric,
    /// Fabric without the thread that reads a saved file back into the page cache.
    FabricNotReadBack,
    VarMap,
    /// The crate `safetensors` by a map of the file, into new tensors.
    Safetensors,
}

impl Library {
    pub(crate) const ALL: [Self; 4] = [Self::Fabric, Self::FabricNotReadBack, Self::VarMap, Self::Safetensors];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Fabric => "Fabric",
            Self::FabricNotReadBack => "Fabric, Local::new().read_back(false)",
            Self::VarMap => "candle VarMap",
            Self::Safetensors => "candle MmapedSafetensors, into new tensors",
        }
    }

    fn fabric(self) -> Outcome<Fabric> {
        let storage = Local::new().read_back(self == Self::Fabric);
        Ok(Fabric::builder().storage(storage).build()?)
    }

    fn save(self, path: &Path, variables: &VarMap) -> Outcome {
        match self {
            Self::Fabric | Self::FabricNotReadBack => Ok(self.fabric()?.save(path, variables).map(drop)?),
            Self::VarMap | Self::Safetensors => Ok(variables.save(path)?),
        }
    }

    fn load(self, path: &Path, form: Form) -> Outcome {
        if self == Self::Safetensors {
            return by_map(path);
        }
        let mut variables = VarMap::new();
        if let Ok(mut all) = variables.data().lock() {
            for number in 0..form.tensors {
                let variable = Var::zeros(form.each / 4, DType::F32, &Device::Cpu)?;
                all.insert(format!("weight{number:05}"), variable);
            }
        }
        if self == Self::VarMap {
            return Ok(variables.load(path)?);
        }
        Ok(self.fabric()?.load(path, &mut variables).map(drop)?)
    }
}

#[expect(unsafe_code, reason = "candle's reader by a map is an unsafe call")]
fn by_map(path: &Path) -> Outcome {
    // SAFETY: no process changes the file while it is mapped.
    let file = unsafe { MmapedSafetensors::new(path)? };
    let names: Vec<String> = file.tensors().into_iter().map(|(name, _)| name).collect();
    let tensors = names.iter().map(|name| file.load(name, &Device::Cpu));
    std::hint::black_box(tensors.collect::<candle_core::Result<Vec<Tensor>>>()?);
    Ok(())
}

/// Does the work of such a process. False if this process is none.
///
/// # Errors
/// If the arguments are not those that this program starts it with, or the library fails.
pub fn run() -> Outcome<bool> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [flag, library, work, path, tensors, each] = &arguments[..] else {
        return Ok(false);
    };
    if flag != FLAG {
        return Ok(false);
    }
    let library = Library::ALL.get(library.parse::<usize>()?).ok_or("no such library")?;
    let form = Form {
        tensors: tensors.parse()?,
        each: each.parse()?,
    };
    let path = Path::new(path);
    if work == "load" {
        library.load(path, form)?;
        return Ok(true);
    }
    library.save(path, &state(form)?)?;
    std::io::stdout().write_all(b"saved")?;
    std::io::stdout().flush()?;
    // The process lives until it is killed, as a training does.
    std::io::stdin().read_to_end(&mut Vec::new())?;
    Ok(true)
}

/// Saves with the library in a process that is killed two seconds later.
pub(crate) fn save_and_kill(library: Library, path: &Path, form: Form) -> Outcome {
    let mut saver = start(library, "save", path, form)?;
    let mut said = [0; 5];
    let output = saver.stdout.as_mut().ok_or("the process has no output")?;
    let saved = output.read_exact(&mut said);
    std::thread::sleep(LATER);
    saver.kill()?;
    saver.wait()?;
    Ok(saved?)
}

/// The seconds of a process that loads the file into new tensors, from its start to its end.
pub(crate) fn load(library: Library, path: &Path, form: Form) -> Outcome<f64> {
    let begin = Instant::now();
    let ended = start(library, "load", path, form)?.wait()?;
    let seconds = begin.elapsed().as_secs_f64();
    if ended.success() {
        Ok(seconds)
    } else {
        Err(format!("the process that loads with {} failed", library.name()).into())
    }
}

fn start(library: Library, work: &str, path: &Path, form: Form) -> Outcome<Child> {
    let number = Library::ALL
        .iter()
        .position(|other| *other == library)
        .ok_or("no such library")?;
    let mut process = Command::new(std::env::current_exe()?);
    process.args([FLAG, &number.to_string(), work]).arg(path);
    process.args([form.tensors, form.each].map(|number| number.to_string()));
    Ok(process.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?)
}

/// The file of a library.
pub(crate) fn file(bench: &crate::Bench, library: Library) -> PathBuf {
    bench.path(match library {
        Library::Fabric => "fabric.ckpt",
        Library::FabricNotReadBack => "not-read-back.ckpt",
        Library::VarMap => "varmap.safetensors",
        Library::Safetensors => "safetensors.safetensors",
    })
}
