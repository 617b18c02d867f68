//! How jobs come from the queue to whoever handles them, and how their ends go back: our own backend for
//! apalis.
//!
//! For each step there is one apalis worker. Its *fetcher* claims entries on a connection of its own; those
//! over its free slots wait. A *renewer* keeps their leases on a thread of its own. The *takeover* brings what
//! gone workers left behind; each of these jobs is run *alone*, in a process of its own. Results go to one
//! *acker*, which commits them in batches. Without Redis they all pause, until the process has been of no use
//! for so long that it ends.

mod acker;
mod alone;
mod backoff;
mod claim;
mod fetcher;
mod flow;
mod keeper;
mod outage;
mod outcome;
mod pulse;
mod renewer;
mod run;
mod runs;
mod source;
mod takeover;

use async_trait::async_trait;
use mondo_jobs::{
    disposition::Disposition,
    queue::{Commit, Delivery},
};
use serde::{Deserialize, Serialize};

pub use self::{
    acker::COMMITS_AT_ONCE,
    alone::{Errand, OwnProcess},
    flow::FlowOptions,
    pulse::Pulse,
    run::{WorkerOptions, WorkersError, run_workers},
};

/// The class of jobs that wait for a worker of a newer release. Whoever reads envelopes says so, once.
pub const NEWER: &str = "newer";

/// Does the work of a job.
#[async_trait]
pub trait Handler: Send + Sync {
    /// Runs one job and says what to store; it stores nothing itself.
    ///
    /// # Errors
    /// With what is to become of the job, and why.
    ///
    /// # Cancel safety
    /// The future is dropped when the lease is lost, the time is up or the process ends; what it did outside
    /// must be undone or be of no harm.
    async fn handle(&self, delivery: &Delivery) -> Result<Commit, Failure>;
}

/// Why a run gave nothing to commit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{class}: {}", chain.join(": "))]
pub struct Failure {
    /// What becomes of the job.
    pub disposition: Disposition,
    /// The class that dead letters are grouped by.
    pub class: String,
    /// The error and its causes, outermost first.
    pub chain: Vec<String>,
}
