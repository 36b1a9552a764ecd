//! Which files a checkpoint becomes: a mesh of ranks and a layout.

/// Who writes what. A strategy is data: named mesh axes, and one file or one a writer.
///
/// At present there is one, [`single_device`](Self::single_device).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Strategy {
    name: &'static str,
    mesh: Vec<(String, usize)>,
}

impl Strategy {
    /// One process, one file.
    #[must_use]
    pub fn single_device() -> Self {
        Self {
            name: "single_device",
            mesh: Vec::new(),
        }
    }

    /// How checkpoints call it.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The axes of the mesh of ranks with their sizes; none for a single device.
    #[must_use]
    pub fn mesh(&self) -> &[(String, usize)] {
        &self.mesh
    }

    /// The number of ranks that take part.
    #[must_use]
    pub fn world_size(&self) -> usize {
        self.mesh.iter().map(|(_, size)| size).product()
    }
}

impl Default for Strategy {
    fn default() -> Self {
        Self::single_device()
    }
}
