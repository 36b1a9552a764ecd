//! The folder into which the ranks write their files, and the checkpoint that it replaces.

use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::format::directory::{FILE_NAME, rank_file};
use crate::save::destination::Destination;
use crate::source::hidden::{Ending, Token};
use crate::storage::{FileKind, Storage};

/// The words for the place of the folder in the message of rank 0.
const IN_PLACE: &str = "in place";
const BESIDE: &str = "beside";

/// The folder of a generation.
#[derive(Clone, Debug)]
pub(crate) struct ShardDir {
    /// The directory of the manifest.
    pub(crate) directory: PathBuf,
    /// The name of the folder in that directory.
    pub(crate) generation: String,
    pub(crate) replaced: Replaced,
}

/// The file or generation that the checkpoint replaces.
#[derive(Clone, Debug)]
pub(crate) enum Replaced {
    /// The file at this path, if there is one.
    File(PathBuf),
    /// The folder of a generation, in the directory at the path.
    Generation(PathBuf),
    Nothing,
}

impl ShardDir {
    pub(crate) fn folder(&self) -> PathBuf {
        self.directory.join(&self.generation)
    }

    pub(crate) fn generation(&self) -> &str {
        &self.generation
    }

    pub(crate) fn new(destination: &Destination, token: Token, in_place: bool, replaced: &str) -> Self {
        Self {
            directory: if in_place {
                destination.target.clone()
            } else {
                destination.beside.path(token, Ending::Partial)
            },
            generation: token.generation(),
            replaced: match (in_place, replaced) {
                (false, _) => Replaced::File(destination.target.clone()),
                (true, "") => Replaced::Nothing,
                (true, generation) => Replaced::Generation(destination.target.join(generation)),
            },
        }
    }

    /// The message of rank 0 that names the folder.
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

    /// The folder that the message of rank 0 names.
    pub(crate) fn of_message(storage: &dyn Storage, path: &Path, message: &[u8]) -> Result<Self> {
        let destination = Destination::at(storage, path)?;
        let unreadable = || Error::Protocol("rank 0 names no folder".to_owned());
        let text = std::str::from_utf8(message).map_err(|_| unreadable())?;
        let mut words = text.split('\n');
        let (Some(token), Some(place), Some(replaced)) = (words.next(), words.next(), words.next()) else {
            return Err(unreadable());
        };
        let token = Token::parse(token).ok_or_else(unreadable)?;
        Ok(Self::new(&destination, token, place == IN_PLACE, replaced))
    }

    /// The file whose owner, mode and access control list the file of a rank keeps: that of the same rank, or of rank
    /// 0, or the manifest.
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
