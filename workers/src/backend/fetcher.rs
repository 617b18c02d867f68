//! Claims jobs of one step: what was its own already, what others left behind, and what is new.

use std::{sync::Arc, sync::atomic::Ordering, time::Duration};

use mondo_jobs::queue::{Arrival, Cursor, Queue, QueueError, Reader};
use tokio::{
    sync::{OwnedSemaphorePermit, mpsc},
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{
    acker::{Ending, Endings},
    claim::{Claim, Desk},
    outage::Outage,
    outcome::{CRASHES_MAX, Outcome, crashed},
};

/// How long one read waits for something new.
const BLOCK: Duration = Duration::from_secs(5);
/// The most entries that one read claims.
const READ_MAX: usize = 100;
/// Pause after a failed call, doubled up to the second.
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));
/// How long an unblocked read may take to end.
const UNBLOCK_TIME_MAX: Duration = Duration::from_secs(2);

pub(super) struct Fetcher {
    pub(super) queue: Queue,
    pub(super) desk: Arc<Desk>,
    pub(super) outage: Arc<Outage>,
    pub(super) endings: Endings,
    pub(super) claims: mpsc::Sender<Claim>,
    pub(super) stop: CancellationToken,
}

/// A connection, and what is still to be looked through before new entries are read.
struct Source {
    reader: Reader,
    /// Where the look through our own pending entries goes on; absent once all were looked at.
    own: Option<Cursor>,
    /// Where the look through lapsed leases goes on; absent once all were looked at.
    lapsed: Option<Cursor>,
}

impl Fetcher {
    /// Runs until it is stopped; then hands back what was not started.
    pub(super) async fn run(self) {
        let mut source = None;
        let (mut pause, pause_max) = PAUSES;
        while let Some(permits) = self.credit().await {
            match self.fetch(&mut source, permits).await {
                Ok(()) => {
                    self.outage.back();
                    self.desk.beat.polled();
                    pause = PAUSES.0;
                }
                Err(error) => {
                    // A new connection also remakes the group, and finds what a lost reply delivered.
                    source = None;
                    self.outage.away(&error);
                    tokio::select! {
                        () = self.stop.cancelled() => break,
                        () = sleep(pause) => pause = (pause * 2).min(pause_max),
                    }
                }
            }
        }
        self.desk.reader.store(0, Ordering::Release);
        for claim in self.desk.claims() {
            self.hand_back(claim);
        }
    }

    fn hand_back(&self, claim: Claim) {
        if claim.hand_back() {
            // Fails only when the acker is gone, and then the lease lapses.
            let _ = self.endings.send(Ending::Job(claim, Outcome::Release));
        }
    }

    /// Free slots, at least one; `None` when it is time to stop.
    async fn credit(&self) -> Option<OwnedSemaphorePermit> {
        if self.desk.credit.available_permits() == 0 {
            self.desk.beat.busy();
        }
        let first = tokio::select! {
            biased;
            () = self.stop.cancelled() => return None,
            permit = Arc::clone(&self.desk.credit).acquire_owned() => permit.ok()?,
        };
        self.desk.beat.free();
        let mut permits = first;
        let more = self.desk.credit.available_permits().min(READ_MAX - 1);
        if let Ok(more) = u32::try_from(more)
            && let Ok(rest) = Arc::clone(&self.desk.credit).try_acquire_many_owned(more)
        {
            permits.merge(rest);
        }
        Some(permits)
    }

    /// One look at the queue, for at most as many entries as there are permits.
    async fn fetch(
        &self,
        source: &mut Option<Source>,
        mut permits: OwnedSemaphorePermit,
    ) -> Result<(), QueueError> {
        let source = match source {
            Some(source) => source,
            None => source.insert(self.connect().await?),
        };
        if self.desk.lapsed.swap(false, Ordering::AcqRel) {
            source.lapsed.get_or_insert_default();
        }
        let count = permits.num_permits();
        let arrivals = if let Some(from) = &source.own {
            let (next, found) = source.reader.own(from, count).await?;
            source.own = next;
            found
        } else if let Some(from) = &source.lapsed {
            let (next, found) = source.reader.reclaim(from, count).await?;
            source.lapsed = next;
            for arrival in &found {
                tracing::info!(step = %self.desk.step, entry = arrival.entry(), "lapsed lease is taken over");
            }
            found
        } else {
            self.read(&mut source.reader, count).await?
        };
        for arrival in arrivals {
            if let Some(permit) = permits.split(1) {
                self.deliver(arrival, permit).await;
            }
        }
        Ok(())
    }

    async fn connect(&self) -> Result<Source, QueueError> {
        let reader = Reader::connect(&self.queue, 0, self.desk.step, &self.desk.consumer, BLOCK).await?;
        self.desk.reader.store(reader.id(), Ordering::Release);
        Ok(Source { reader, own: Some(Cursor::default()), lapsed: None })
    }

    /// Waits for new entries. A stop ends the wait through Redis, so that nothing is claimed by a read that
    /// nobody listens to any more.
    async fn read(&self, reader: &mut Reader, count: usize) -> Result<Vec<Arrival>, QueueError> {
        let id = reader.id();
        let mut read = std::pin::pin!(reader.read(count, BLOCK));
        tokio::select! {
            biased;
            found = &mut read => found,
            () = self.stop.cancelled() => {
                self.queue.unblock(id).await?;
                timeout(UNBLOCK_TIME_MAX, read).await.unwrap_or_else(|_| Ok(Vec::new()))
            }
        }
    }

    async fn deliver(&self, arrival: Arrival, permit: OwnedSemaphorePermit) {
        let delivery = match arrival {
            Arrival::Job(delivery) => delivery,
            Arrival::Undecodable(entry) => {
                // Fails only when the acker is gone, and then the lease lapses.
                let _ = self.endings.send(Ending::Undecodable(Arc::clone(&self.desk), entry, permit));
                return;
            }
        };
        let too_often = delivery.crashes >= CRASHES_MAX;
        let Some(claim) = self.desk.hold(delivery, permit) else { return };
        if too_often {
            let outcome = crashed(claim.delivery());
            tracing::error!(job.id = %claim.delivery().job, "job ended its worker too often; it is a dead letter");
            let _ = self.endings.send(Ending::Job(claim, outcome));
        } else if self.stop.is_cancelled() || self.claims.send(claim.clone()).await.is_err() {
            // The worker takes nothing any more.
            self.hand_back(claim);
        }
    }
}
