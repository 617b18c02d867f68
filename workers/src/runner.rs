//! Runs one claimed job: reads the pair's draft, runs the step on it, and turns what comes of it into one
//! commit, or into an error with its fate.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use mondo_jobs::{
    body,
    clock::now_ms,
    job::{EnvelopeError, Job, Step},
    pair::{Draft, StepRecord},
    ports::{Llm, Memory, Sandbox},
    queue::{Commit, Delivery, End, Queue, QueueError, STATE_FIELD, STATE_OPEN, Target},
    record::{self, Fields, RecordError},
    step::{Disposition, Limits, Next, Outcome, StepContext, StepError},
    steps::{self, Personas},
};

use crate::{
    backend::{Failure, Handler, NEWER},
    llm::journal::{Journal, Journaled, Tally},
};

/// How long a job of a newer release waits before it is offered again, perhaps to a worker that can read it.
const NEWER_PERIOD: Duration = Duration::from_secs(5);

/// How long a responder that refuses the credentials is paused before it is tried again.
const HALT_PERIOD: Duration = Duration::from_mins(10);

/// What every job of a process shares.
#[derive(Clone)]
pub struct Runner {
    /// Where drafts are read.
    pub queue: Queue,
    /// Where replies are filed.
    pub journal: Journal,
    /// Answers requests.
    pub llm: Arc<dyn Llm>,
    /// Provider and model: the journal keeps replies of others apart.
    pub responder: Arc<str>,
    /// Runs pages.
    pub sandbox: Arc<dyn Sandbox>,
    /// Who asks questions.
    pub personas: Arc<Personas>,
    /// Bounds of the repair loop.
    pub limits: Limits,
}

#[async_trait]
impl Handler for Runner {
    async fn handle(&self, delivery: &Delivery) -> Result<Commit, Failure> {
        match self.run(delivery).await {
            Ok(commit) => Ok(commit),
            Err(error) => {
                tell_newer(&error);
                if error.disposition() == Disposition::Halt {
                    self.pause_responder(&error).await;
                }
                Err(error.into())
            }
        }
    }
}

/// Why a job came to no commit.
#[derive(Debug, thiserror::Error)]
enum RunError {
    #[error(transparent)]
    Step(#[from] StepError),
    #[error("cannot read or store the pair: {0}")]
    Queue(#[from] QueueError),
    #[error(transparent)]
    Record(#[from] RecordError),
    #[error(transparent)]
    Envelope(#[from] EnvelopeError),
}

impl RunError {
    fn disposition(&self) -> Disposition {
        match self {
            Self::Step(error) => error.disposition(),
            Self::Queue(error) => error.disposition(),
            Self::Record(error) => error.disposition(),
            // A newer release's job waits for a newer worker; garbage cannot get better.
            Self::Envelope(EnvelopeError::Newer { .. }) => Disposition::Wait { after: Some(NEWER_PERIOD) },
            Self::Envelope(EnvelopeError::Undecodable(_)) => Disposition::Bury,
        }
    }

    fn class(&self) -> &'static str {
        match self {
            Self::Step(error) => error.class(),
            Self::Queue(error) => error.class(),
            Self::Record(error) => error.class(),
            Self::Envelope(EnvelopeError::Newer { .. }) => NEWER,
            Self::Envelope(EnvelopeError::Undecodable(_)) => "undecodable",
        }
    }
}

impl From<RunError> for Failure {
    fn from(error: RunError) -> Self {
        let mut chain = vec![error.to_string()];
        let mut source = std::error::Error::source(&error);
        while let Some(cause) = source {
            chain.push(cause.to_string());
            source = cause.source();
        }
        chain.dedup();
        Self { disposition: error.disposition(), class: error.class().to_owned(), chain }
    }
}

impl Runner {
    /// No job can go on with this responder. The pause ends by itself, so that a key that was mended, or a provider
    /// that was wrong, needs nobody to say so; `mondo resume` ends it at once.
    async fn pause_responder(&self, error: &RunError) {
        let target = Target::Responder(self.responder.to_string());
        match self.queue.pause_if_running(&target, &error.to_string(), HALT_PERIOD).await {
            Ok(true) => {
                tracing::error!(%target, %error, secs = HALT_PERIOD.as_secs(), "the responder is paused");
            }
            Ok(false) => {}
            Err(problem) => tracing::warn!(%target, error = %problem, "the responder cannot be paused"),
        }
    }

    async fn run(&self, delivery: &Delivery) -> Result<Commit, RunError> {
        let started = Instant::now();
        let job = Job::from_envelope(delivery.pair, &delivery.envelope)?;
        let stored = self.queue.record(job.pair).await?;
        if has_ended(&stored) {
            // Committing nothing drops the job: the queue sees the same.
            return Ok(Commit::default());
        }
        let draft = record::decode(job.pair, stored.clone())?;
        let llm =
            Arc::new(Journaled::new(Arc::clone(&self.llm), &*self.responder, self.journal.clone(), &job));
        let ctx = StepContext {
            llm: Arc::clone(&llm) as Arc<dyn Llm>,
            sandbox: Arc::clone(&self.sandbox),
            memory: Arc::clone(&llm) as Arc<dyn Memory>,
            personas: Arc::clone(&self.personas),
            limits: self.limits,
        };
        let outcome = steps::run(&job, draft, &ctx).await?;
        let record = step_record(&job, delivery, &outcome.draft, &llm.tally(), started);
        tracing::debug!(job.id = %delivery.job, step = %job.step, duration_ms = record.duration_ms, "step done");
        commit(&stored, outcome, record)
    }
}

/// Says once for each version that this release cannot read it: there may be thousands of such jobs.
fn tell_newer(error: &RunError) {
    static TOLD: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    if error.class() == NEWER && TOLD.lock().unwrap_or_else(PoisonError::into_inner).insert(error.to_string())
    {
        tracing::warn!(%error, "jobs like this one wait for a worker of a newer release; is one running?");
    }
}

/// Whether the pair was cancelled, or ended otherwise, before this job was claimed. An ended pair never goes on.
fn has_ended(stored: &Fields) -> bool {
    stored.get(STATE_FIELD).is_some_and(|state| state != STATE_OPEN)
}

fn step_record(job: &Job, delivery: &Delivery, draft: &Draft, tally: &Tally, started: Instant) -> StepRecord {
    let report = job.candidate.and_then(|name| draft.candidates.get(&name)?.report.as_ref());
    StepRecord {
        step: job.step,
        candidate: job.candidate,
        round: job.round,
        attempt: delivery.attempts,
        at_ms: now_ms(),
        duration_ms: u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
        llm_calls: tally.calls,
        cost_micro_usd: tally.cost_micro_usd,
        blocking: report
            .filter(|_| job.step == Step::Execute)
            .map(|report| u32::try_from(report.blocking().count()).unwrap_or(u32::MAX)),
    }
}

/// Puts everything that a finished job stores into one transaction.
fn commit(stored: &Fields, outcome: Outcome, record: StepRecord) -> Result<Commit, RunError> {
    let Outcome { mut draft, next, remember } = outcome;
    let fields = record::changed_fields(stored, &draft)?;
    let counters = [
        ("llm_calls", i64::from(record.llm_calls)),
        ("cost_micro_usd", i64::try_from(record.cost_micro_usd).unwrap_or(i64::MAX)),
    ];
    let done = record::done_value(&record)?;
    draft.history.push(record);
    let (next, end) = match next {
        Next::Run(jobs) => (jobs.iter().map(record::new_job).collect(), None),
        Next::Ready => (Vec::new(), Some(End::Ready { body: body::v1_body(&draft)? })),
        Next::Reject { reason } => (Vec::new(), Some(End::Rejected { reason })),
    };
    let counters = counters.into_iter().filter(|(_, amount)| *amount != 0);
    let counters = counters.map(|(name, amount)| (name.to_owned(), amount)).collect();
    Ok(Commit { record: done, fields, next, end, remember, counters })
}
