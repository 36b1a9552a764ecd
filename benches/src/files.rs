//! Files of a measurement: away with them, or with their pages.

use std::fs::File;
use std::io::ErrorKind;
use std::path::Path;

use tempfile::TempDir;

use crate::Outcome;
use crate::system::forget_pages;

const PREFIX: &str = "fabric-bench-";

/// Removes a file or a directory, if it is there.
pub(crate) fn remove(path: &Path) -> Outcome {
    let removed = if path.is_dir() {
        std::fs::remove_dir_all(path)
    } else {
        std::fs::remove_file(path)
    };
    match removed {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}

/// A new directory in this one, which is removed at the end. What processes left there that were killed is removed now.
pub(crate) fn scratch(directory: &Path) -> Outcome<TempDir> {
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str());
        let owner = name.and_then(|name| name.strip_prefix(PREFIX)?.split('-').next()?.parse().ok());
        if owner.is_some_and(has_ended) {
            remove(&path)?;
        }
    }
    let prefix = format!("{PREFIX}{}-", std::process::id());
    Ok(tempfile::Builder::new().prefix(&prefix).tempdir_in(directory)?)
}

/// Whether a process is known to be no more.
fn has_ended(process: u32) -> bool {
    let processes = Path::new("/proc");
    processes.join("self").exists() && !processes.join(process.to_string()).exists()
}

/// Takes the pages of a file, or of all files in a directory, out of the page cache; only those that are on the device can
/// leave it.
pub(crate) fn drop_pages(path: &Path) -> Outcome {
    each(path, &|file| {
        file.sync_all()?;
        Ok(forget_pages(&file)?)
    })
}

/// Reads a file, or all files in a directory, so that they are in the page cache.
pub(crate) fn fill_pages(path: &Path) -> Outcome {
    each(path, &|mut file| {
        std::io::copy(&mut file, &mut std::io::sink())?;
        Ok(())
    })
}

fn each(path: &Path, work: &dyn Fn(File) -> Outcome) -> Outcome {
    if !path.is_dir() {
        return work(File::open(path)?);
    }
    for entry in std::fs::read_dir(path)? {
        each(&entry?.path(), work)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_killed_process_left_is_removed_and_nothing_else() -> Outcome {
        let directory = tempfile::tempdir()?;
        let in_directory = |name: &str| directory.path().join(name);
        // No process has so large a number.
        let abandoned = in_directory("fabric-bench-4294967295-a");
        let others = [in_directory("fabric-bench-x"), in_directory("release")];
        for folder in others.iter().chain([&abandoned]) {
            std::fs::create_dir(folder)?;
        }
        let mine = scratch(directory.path())?;
        let second = scratch(directory.path())?;
        assert!(mine.path().exists() && second.path().exists());
        assert!(others.iter().all(|folder| folder.exists()));
        assert_eq!(abandoned.exists(), !Path::new("/proc/self").exists());
        Ok(())
    }
}
