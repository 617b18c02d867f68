//! One run of one job: here or in a process of its own, until it ends or may not go on.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use apalis_core::error::BoxDynError;
use mondo_jobs::queue::{Commit, Queue};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use super::{Handler, NEWER, alone::OwnProcess, claim::Claim, outcome::Interrupted};
use crate::notes;

/// How long to wait before Redis is asked again.
const RETRY_PERIOD: Duration = Duration::from_millis(500);

/// What the runs of a process share.
#[derive(Clone)]
pub(super) struct Runs {
    pub(super) queue: Queue,
    pub(super) handler: Arc<dyn Handler>,
    pub(super) alone: Option<OwnProcess>,
    pub(super) call_time_max: Duration,
    /// Cancelled when the grace is over.
    pub(super) cancel: CancellationToken,
}

impl Runs {
    /// Runs a job to its end, or until its lease is lost or the process has to end.
    pub(super) async fn run(self, claim: Claim) -> Result<Commit, BoxDynError> {
        let delivery = claim.delivery();
        let span = tracing::info_span!("job", job.id = %delivery.job, step = %delivery.step, attempt = delivery.attempts);
        tokio::select! {
            biased;
            () = claim.stop().cancelled() => Err(Interrupted::LeaseLost.into()),
            () = self.cancel.cancelled() => Err(Interrupted::Drained.into()),
            result = self.run_here_or_alone(&claim).instrument(span) => result,
        }
    }

    async fn run_here_or_alone(&self, claim: &Claim) -> Result<Commit, BoxDynError> {
        let (delivery, started) = (claim.delivery(), Instant::now());
        // Should it be what ended the worker, it takes no other job with it.
        let process = self.alone.as_ref().filter(|_| claim.is_suspect());
        if process.is_some() {
            self.note_apart(claim).await?;
        }
        if !claim.begin() {
            return Err(Interrupted::HandedBack.into());
        }
        let work = async {
            match process {
                Some(process) => process.run(delivery, claim.notes()).await,
                None => Ok(notes::keep(claim.notes(), self.handler.handle(delivery)).await),
            }
        };
        let time_max = delivery.step.time_max(self.call_time_max);
        let result = timeout(time_max, work).await;
        metrics::histogram!("mondo_job_seconds", "step" => delivery.step.name())
            .record(started.elapsed().as_secs_f64());
        let result = result.map_err(|_elapsed| Interrupted::TimedOut(time_max))??;
        if let Err(failure) = &result
            && failure.class == NEWER
        {
            claim.desk().meet_newer();
        }
        result.map_err(Into::into)
    }

    /// From here on the end of this worker is none of the job's doing.
    async fn note_apart(&self, claim: &Claim) -> Result<(), Interrupted> {
        loop {
            match self.queue.apart(claim.delivery(), &claim.desk().consumer).await {
                Ok(true) => return Ok(()),
                Ok(false) => return Err(Interrupted::LeaseLost),
                Err(_away) => sleep(RETRY_PERIOD).await,
            }
        }
    }
}
