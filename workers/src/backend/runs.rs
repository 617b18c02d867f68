//! One run of one job: beside others or alone, until it ends or may not go on.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use apalis_core::error::BoxDynError;
use mondo_jobs::queue::{Commit, Queue};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use super::{
    Handler, NEWER,
    claim::Claim,
    gate::{Gate, Place},
    outcome::Interrupted,
};
use crate::notes;

/// How long to wait before Redis is asked again.
const RETRY_PERIOD: Duration = Duration::from_millis(500);

/// What the runs of a process share.
#[derive(Clone)]
pub(super) struct Runs {
    pub(super) queue: Queue,
    pub(super) gate: Arc<Gate>,
    pub(super) handler: Arc<dyn Handler>,
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
            result = self.run_in_turn(&claim).instrument(span) => result,
        }
    }

    async fn run_in_turn(&self, claim: &Claim) -> Result<Commit, BoxDynError> {
        // A job that was there when a worker ended is run with nothing beside it: should it end this one as
        // well, no other job is charged with that.
        let _closed = claim.is_suspect().then(|| self.gate.close());
        let _place = if claim.is_suspect() { self.alone(claim).await? } else { self.gate.enter().await };
        if !claim.begin() {
            return Err(Interrupted::HandedBack.into());
        }
        let (delivery, started) = (claim.delivery(), Instant::now());
        let time_max = delivery.step.time_max();
        let result = timeout(time_max, notes::keep(claim.notes(), self.handler.handle(delivery))).await;
        if let Ok(Err(failure)) = &result
            && failure.class == NEWER
        {
            claim.desk().meet_newer();
        }
        metrics::histogram!("mondo_job_seconds", "step" => delivery.step.name())
            .record(started.elapsed().as_secs_f64());
        result.map_err(|_elapsed| Interrupted::TimedOut(time_max))?.map_err(Into::into)
    }

    /// Waits to be alone, and has that noted: a worker that ends from here on counts as a crash of this job.
    async fn alone(&self, claim: &Claim) -> Result<Place<'_>, Interrupted> {
        let (delivery, consumer) = (claim.delivery(), &claim.desk().consumer);
        // Without this note it would count from the claim on, which is wrong only if this worker ends meanwhile.
        let _ = self.queue.wait_to_begin(delivery, consumer).await;
        let place = self.gate.enter_alone().await;
        tracing::info!("runs alone: its worker ended while it ran before");
        loop {
            match self.queue.begin(delivery, consumer).await {
                Ok(true) => return Ok(place),
                Ok(false) => return Err(Interrupted::LeaseLost),
                Err(_away) => sleep(RETRY_PERIOD).await,
            }
        }
    }
}
