//! What recent pairs have used, so that new ones differ.

use async_trait::async_trait;

use crate::disposition::Disposition;

/// How many entries each recent list keeps.
pub const RECENT_MAX: usize = 200;

/// A list of recent things. Steps read it through [`Memory`]; a commit adds to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RecentList {
    /// Objects that questions were about.
    Objects,
    /// Whole questions.
    Questions,
}

/// Reads recent lists.
#[async_trait]
pub trait Memory: Send + Sync {
    /// The newest entries first, at most [`RECENT_MAX`].
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn recent(&self, list: RecentList) -> Result<Vec<String>, MemoryError>;
}

/// The store could not be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read what recent pairs used: {0}")]
pub struct MemoryError(#[source] pub Box<dyn std::error::Error + Send + Sync>);

impl MemoryError {
    /// What becomes of the job that met this error: the store is our own, so its absence is a pause.
    pub fn disposition(&self) -> Disposition {
        Disposition::Wait { after: None }
    }
}
