//! What recent pairs have used, so that new ones differ.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::disposition::Disposition;

/// How many entries each recent list keeps.
pub const RECENT_MAX: usize = 200;

/// A list of recent things. Steps read it through [`Memory`]; a commit adds to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
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

/// Why a recent list could not be read.
#[derive(Debug, thiserror::Error)]
pub enum MemoryError {
    /// The store is away.
    #[error("cannot read what recent pairs used: {0}")]
    Away(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// What is stored under the list's name is none.
    #[error("what recent pairs used cannot be read as what it should be: {0}; remove that key from Redis")]
    Unusable(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl MemoryError {
    /// What becomes of the job that met this error: the store is our own, so its absence is a pause; what is
    /// damaged stays so.
    pub fn disposition(&self) -> Disposition {
        match self {
            Self::Away(_) => Disposition::Wait { after: None },
            Self::Unusable(_) => Disposition::Bury,
        }
    }

    /// The stored and printed name of the error's class.
    pub fn class(&self) -> &'static str {
        match self {
            Self::Away(_) => "memory",
            Self::Unusable(_) => "memory_unusable",
        }
    }
}
