//! Files of a measurement: away with them, or with their pages.

use std::fs::File;
use std::io::ErrorKind;
use std::path::Path;

use crate::Outcome;
use crate::system::forget_pages;

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

/// Takes the pages of a file out of the page cache; only those that are on the device can leave it.
pub(crate) fn drop_pages(path: &Path) -> Outcome {
    let file = File::open(path)?;
    file.sync_all()?;
    Ok(forget_pages(&file)?)
}
