//! Where the ranks write: the folder of a generation, as all of them know it, and the checkpoint that it replaces.

use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::format::directory::{FILE_NAME, rank_file};
use crate::save::site::Site;
use crate::source::hidden::{Ending, Token};
use crate::storage::{FileKind, Storage};

/// How rank 0 says where the folder is.
const IN_PLACE: &str = "in place";
const BESIDE: &str = "beside";

/// Where the ranks write.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    /// The directory that gets the manifest.
    pub(crate) directory: PathBuf,
    /// The folder in it.
    pub(crate) generation: String,
    pub(crate) replaced: Replaced,
}

/// The file or generation that the checkpoint replaces.
#[derive(Clone, Debug)]
pub(crate) enum Replaced {
    /// A file at this path, if there is one.
    File(PathBuf),
    /// The folder of a generation, in the directory that is at the path.
    Generation(PathBuf),
    Nothing,
}

impl Place {
    pub(crate) fn folder(&self) -> PathBuf {
        self.directory.join(&self.generation)
    }

    pub(crate) fn generation(&self) -> &str {
        &self.generation
    }

    pub(crate) fn new(site: &Site, token: Token, in_place: bool, replaced: &str) -> Self {
        Self {
            directory: if in_place {
                site.target.clone()
            } else {
                site.beside.path(token, Ending::Partial)
            },
            generation: token.generation(),
            replaced: match (in_place, replaced) {
                (false, _) => Replaced::File(site.target.clone()),
                (true, "") => Replaced::Nothing,
                (true, generation) => Replaced::Generation(site.target.join(generation)),
            },
        }
    }

    /// The place, as a message from rank 0.
    pub(crate) fn message(&self) -> Vec<u8> {
        let token = Token::of_generation(&self.generation).map(|token| token.to_string());
        let (place, replaced) = match &self.replaced {
            Replaced::File(_) => (BESIDE, None),
            Replaced::Nothing => (IN_PLACE, None),
            Replaced::Generation(folder) => (IN_PLACE, folder.file_name().and_then(|name| name.to_str())),
        };
        let words = [token.as_deref(), Some(place), replaced];
        words.map(Option::unwrap_or_default).join("\n").into_bytes()
    }

    /// The place that rank 0 speaks of.
    pub(crate) fn of_message(storage: &dyn Storage, path: &Path, message: &[u8]) -> Result<Self> {
        let site = Site::at(storage, path)?;
        let unreadable = || Error::Protocol("rank 0 does not say where to write".to_owned());
        let text = std::str::from_utf8(message).map_err(|_| unreadable())?;
        let mut words = text.split('\n');
        let (Some(token), Some(place), Some(replaced)) = (words.next(), words.next(), words.next()) else {
            return Err(unreadable());
        };
        let token = Token::parse(token).ok_or_else(unreadable)?;
        Ok(Self::new(&site, token, place == IN_PLACE, replaced))
    }

    /// The file whose owner, mode and access control list the file of a rank keeps: that of the same rank, or of another one.
    pub(crate) fn replaced_file(&self, storage: &dyn Storage, rank: usize) -> Result<Option<PathBuf>> {
        let files = match &self.replaced {
            Replaced::Nothing => Vec::new(),
            Replaced::File(file) => vec![file.clone()],
            Replaced::Generation(folder) => [rank, 0]
                .map(|rank| folder.join(rank_file(rank)))
                .into_iter()
                .chain([self.directory.join(FILE_NAME)])
                .collect(),
        };
        for file in files {
            if storage.kind(&file).map_err(Error::io("look at", &file))? == Some(FileKind::File) {
                return Ok(Some(file));
            }
        }
        Ok(None)
    }
}
