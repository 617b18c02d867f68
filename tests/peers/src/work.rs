//! The job that every queue is given, and what a queue must offer to be measured.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Instant,
};

use async_trait::async_trait;
use tokio::{sync::Notify, task::JoinSet};
use tokio_util::sync::CancellationToken;

/// Jobs under way at once in each step: fetched, and not yet acknowledged.
pub const CONCURRENCY: usize = 100;
/// Steps of the chain.
pub const STEPS: usize = 6;
/// Jobs of one batch, where a queue takes batches.
pub const BATCH: usize = 100;
/// What a job carries.
pub const PAYLOAD_BYTES: usize = 100;
/// What a step of the chain stores.
pub const RESULT_BYTES: usize = 512;

/// Running workers; none ends before the shutdown.
pub type Workers = JoinSet<anyhow::Result<()>>;

/// Whether jobs are added, fetched and acknowledged by themselves, or in batches where the queue has them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mode {
    Single,
    Batched,
}

/// A queue for Redis.
#[async_trait]
pub trait Peer: Send + Sync {
    /// Name and version.
    fn name(&self) -> &'static str;

    /// How it was set up here.
    fn settings(&self) -> &'static str;

    /// What it promises with these settings.
    fn promises(&self) -> &'static str;

    /// Makes what an empty Redis lacks.
    async fn prepare(&self) -> anyhow::Result<()>;

    /// Adds jobs to the first step from one caller.
    async fn add(&self, jobs: usize, mode: Mode) -> anyhow::Result<()>;

    /// Starts workers for the first `steps` steps, to run until the shutdown; each job is told to the tally when its handler starts. A step
    /// that is followed by another stores a result and adds the next job.
    async fn work(
        &self,
        steps: usize,
        mode: Mode,
        tally: &Arc<Tally>,
        shutdown: &CancellationToken,
    ) -> anyhow::Result<Workers>;

    /// How many jobs of the first `steps` steps are finished, by the queue's own account.
    async fn finished(&self, steps: usize) -> anyhow::Result<usize>;
}

/// Counts handlers that were started.
#[derive(Debug)]
pub struct Tally {
    expected: usize,
    started: AtomicUsize,
    first: Mutex<Option<Instant>>,
    all: Notify,
}

impl Tally {
    pub fn new(expected: usize) -> Self {
        Self { expected, started: AtomicUsize::new(0), first: Mutex::default(), all: Notify::new() }
    }

    /// Notes that a handler was started.
    pub fn count(&self) {
        let before = self.started.fetch_add(1, Ordering::Relaxed);
        if before == 0 {
            *self.first.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        }
        if before + 1 == self.expected {
            self.all.notify_one();
        }
    }

    /// Waits until all were started; gives when the first was.
    pub async fn all(&self) -> Instant {
        self.all.notified().await;
        self.first.lock().unwrap_or_else(PoisonError::into_inner).unwrap_or_else(Instant::now)
    }

    pub fn started(&self) -> usize {
        self.started.load(Ordering::Relaxed)
    }
}

pub fn payload() -> String {
    "p".repeat(PAYLOAD_BYTES)
}

pub fn result() -> String {
    "r".repeat(RESULT_BYTES)
}
