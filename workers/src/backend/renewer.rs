//! Keeps the leases of everything under way, on a thread with a runtime and a connection of its own: handlers
//! that block every thread of the runtime they share do not hold it up.

use std::{
    io,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use mondo_jobs::queue::{Delivery, Leases, Queue, QueueError};
use tokio::{runtime, sync::oneshot, time::sleep};
use tokio_util::sync::CancellationToken;

use super::{
    claim::{Claim, Desk},
    outage::Outage,
};

/// How often a lease is renewed before it would lapse.
const RENEWALS_PER_LEASE: u32 = 4;
/// Pause after a failed renewal, doubled up to the usual period.
const RETRY_PERIOD: Duration = Duration::from_millis(100);

pub(super) struct Renewer {
    pub(super) queue: Queue,
    pub(super) desks: Arc<[Arc<Desk>]>,
    pub(super) outage: Arc<Outage>,
    pub(super) stop: CancellationToken,
}

impl Renewer {
    /// Starts the thread. What this gives resolves when it has ended, which before the stop it never should.
    ///
    /// # Errors
    /// When the system has no thread for it.
    pub(super) fn start(self) -> io::Result<oneshot::Receiver<()>> {
        let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
        let (running, ended) = oneshot::channel::<()>();
        thread::Builder::new().name("leases".to_owned()).spawn(move || {
            let _running = running;
            runtime.block_on(self.run());
        })?;
        Ok(ended)
    }

    async fn run(&self) {
        let period = self.queue.lease() / RENEWALS_PER_LEASE;
        let mut leases = Leases::new(&self.queue, period);
        let (mut pause, mut retry) = (period, RETRY_PERIOD);
        let work = async {
            loop {
                sleep(pause).await;
                match self.renew_all(&mut leases).await {
                    Ok(()) => (pause, retry) = (period, RETRY_PERIOD),
                    Err(error) => {
                        self.abandon_lapsed(&error);
                        (pause, retry) = (retry, (retry * 2).min(period));
                    }
                }
            }
        };
        self.stop.run_until_cancelled(work).await;
    }

    async fn renew_all(&self, leases: &mut Leases) -> Result<(), QueueError> {
        let mut result = Ok(());
        for desk in self.desks.iter() {
            let claims = desk.claims();
            if claims.is_empty() {
                continue;
            }
            let held: Vec<&Delivery> = claims.iter().map(Claim::delivery).collect();
            let at = Instant::now();
            let lost = match leases.renew(&desk.consumer, &held).await {
                Ok(lost) => lost,
                Err(error) => {
                    result = result.and(Err(error));
                    continue;
                }
            };
            for claim in &claims {
                if !lost.contains(&claim.delivery().job) {
                    claim.renewed(at);
                } else if !claim.has_ended() {
                    tracing::warn!(job.id = %claim.delivery().job, "lease is lost; the run is cancelled");
                    claim.stop().cancel();
                }
            }
        }
        result
    }

    /// Cancels runs whose lease must be thought lost: it could not be renewed for its whole time, though Redis
    /// was there for the rest of this process, and so for other workers. While Redis is away for all of us
    /// nobody takes anything over; then the runs go on, lest what they have paid for be paid again.
    fn abandon_lapsed(&self, error: &QueueError) {
        if self.outage.is_away() {
            return;
        }
        tracing::warn!(%error, "leases cannot be renewed; trying again");
        for claim in self.desks.iter().flat_map(|desk| desk.claims()) {
            if claim.unrenewed_for() >= self.queue.lease() {
                tracing::warn!(job.id = %claim.delivery().job, "lease must have lapsed; the run is cancelled");
                claim.stop().cancel();
            }
        }
    }
}
