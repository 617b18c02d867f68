//! What a step is given and what it gives back. A step computes; it never writes: the worker stores what it
//! returns, in one transaction.

use std::sync::Arc;

pub use crate::disposition::Disposition;
use crate::{
    job::Job,
    pair::Draft,
    ports::{Llm, LlmError, Memory, MemoryError, RecentList, Sandbox, SandboxError},
    record::RecordError,
    steps::Personas,
};

/// What a step may use.
#[derive(Clone)]
pub struct StepContext {
    /// Answers requests; journaled and counted for the job at hand.
    pub llm: Arc<dyn Llm>,
    /// Runs pages.
    pub sandbox: Arc<dyn Sandbox>,
    /// Knows what recent pairs used.
    pub memory: Arc<dyn Memory>,
    /// Who asks questions.
    pub personas: Arc<Personas>,
    /// Bounds of the repair loop.
    pub limits: Limits,
}

/// Bounds of the repair loop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Fix rounds of one candidate before it is rejected, 0 to [`FIX_ROUNDS_MAX`].
    pub fix_rounds_max: u32,
}

/// The most fix rounds that any setting can allow.
pub const FIX_ROUNDS_MAX: u32 = 20;

impl Limits {
    /// The rounds that are allowed, whatever the setting says.
    pub fn fix_rounds(self) -> u32 {
        self.fix_rounds_max.min(FIX_ROUNDS_MAX)
    }
}

/// What one run of a step came to.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// The draft with the step's result in it.
    pub draft: Draft,
    /// What follows.
    pub next: Next,
    /// What later pairs should not repeat.
    pub remember: Vec<(RecentList, String)>,
}

impl Outcome {
    /// A result with nothing to remember.
    pub fn new(draft: Draft, next: Next) -> Self {
        Self { draft, next, remember: Vec::new() }
    }

    /// The end of a pair that cannot be made good.
    pub fn reject(draft: Draft, reason: impl Into<String>) -> Self {
        Self::new(draft, Next::Reject { reason: reason.into() })
    }
}

/// What follows a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// These jobs.
    Run(Vec<Job>),
    /// Nothing: the pair is finished and goes to the ready list.
    Ready,
    /// Nothing: the pair cannot be made good. A result, not a failure.
    Reject {
        /// Why, for people.
        reason: String,
    },
}

/// Why a step gave no outcome.
#[derive(Debug, thiserror::Error)]
pub enum StepError {
    /// The LLM gave no reply.
    #[error(transparent)]
    Llm(#[from] LlmError),
    /// The page could not be executed.
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
    /// What recent pairs used could not be read.
    #[error(transparent)]
    Memory(#[from] MemoryError),
    /// The draft lacks what an earlier step must have stored.
    #[error("the draft has no {what}, which an earlier step must have stored")]
    Incomplete {
        /// What is missing.
        what: &'static str,
    },
    /// A prompt could not be rendered.
    #[error("cannot render the prompt `{name}`: {message}")]
    Prompt {
        /// The template.
        name: &'static str,
        /// What the renderer said.
        message: String,
    },
    /// The pair's record cannot be read or written.
    #[error(transparent)]
    Record(#[from] RecordError),
}

impl StepError {
    /// What becomes of the job that met this error.
    pub fn disposition(&self) -> Disposition {
        match self {
            Self::Llm(error) => error.disposition(),
            Self::Sandbox(error) => error.disposition(),
            Self::Memory(error) => error.disposition(),
            Self::Record(error) => error.disposition(),
            Self::Incomplete { .. } | Self::Prompt { .. } => Disposition::Bury,
        }
    }

    /// The stored and printed name of the error's class.
    pub fn class(&self) -> &'static str {
        match self {
            Self::Llm(error) => error.class(),
            Self::Sandbox(error) => error.class(),
            Self::Memory(error) => error.class(),
            Self::Incomplete { .. } => "incomplete",
            Self::Prompt { .. } => "prompt",
            Self::Record(error) => error.class(),
        }
    }
}
