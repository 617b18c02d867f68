//! One page, executed where it can hurt nobody.

use async_trait::async_trait;

use crate::{disposition::Disposition, finding::Report};

/// The most bytes a page may have.
pub const PAGE_BYTES_MAX: usize = 1024 * 1024;

/// Milliseconds of page time for which a page is watched unless told otherwise.
pub const WATCH_MS: u64 = 21_000;

/// One page to execute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Execution {
    /// The page: one self-contained HTML document of at most [`PAGE_BYTES_MAX`] bytes.
    pub page: String,
    /// Seeds the interaction plan and the page's `Math.random`.
    pub seed: u64,
    /// For how many milliseconds of page time the desktop view is watched at least; its use takes what it takes.
    pub watch_ms: u64,
    /// Whether views are taken on the way, for people to look at.
    pub views: bool,
}

impl Execution {
    /// The execution that every candidate gets.
    pub fn new(page: impl Into<String>, seed: u64) -> Self {
        Self { page: page.into(), seed, watch_ms: WATCH_MS, views: false }
    }
}

/// Runs pages. Implementations own their time limits: an execution always ends.
#[async_trait]
pub trait Sandbox: Send + Sync {
    /// Runs one page and reports what it saw. A page that fails is a report, not an error.
    ///
    /// # Errors
    /// See [`SandboxError`]: only what keeps the page from being run at all.
    ///
    /// # Cancel safety
    /// Dropping the future ends the page; its slot is cleaned or replaced before it is used again.
    async fn execute(&self, execution: &Execution) -> Result<Report, SandboxError>;
}

/// Why a page could not be executed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum SandboxError {
    /// The page is over the limit.
    #[error("page has {bytes} bytes, more than the {PAGE_BYTES_MAX} that are allowed")]
    PageTooLarge {
        /// Its size.
        bytes: usize,
    },
    /// Nothing on this machine can run a page: no browser, no image, no daemon.
    #[error("no sandbox: {problem}; {remedy}")]
    Unavailable {
        /// What is missing.
        problem: String,
        /// What to install or start.
        remedy: String,
    },
    /// The browser broke down for a reason that is not the page's.
    #[error("the browser failed while {doing}: {message}")]
    Browser {
        /// What was being done.
        doing: String,
        /// What the browser or its host said.
        message: String,
    },
}

impl SandboxError {
    /// What becomes of the job that met this error.
    pub fn disposition(&self) -> Disposition {
        match self {
            Self::PageTooLarge { .. } => Disposition::Bury,
            Self::Unavailable { .. } => Disposition::Wait { after: None },
            Self::Browser { .. } => Disposition::Retry,
        }
    }

    /// The stored and printed name of the error's class.
    pub fn class(&self) -> &'static str {
        match self {
            Self::PageTooLarge { .. } => "page_too_large",
            Self::Unavailable { .. } => "sandbox_unavailable",
            Self::Browser { .. } => "browser",
        }
    }
}
