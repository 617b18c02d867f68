//! Claims jobs of one step: what was its own already, and what is new.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use mondo_jobs::queue::{Arrival, Cursor, Queue, QueueError, Reader};
use tokio::{
    sync::OwnedSemaphorePermit,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{
    acker::{Ending, Endings},
    claim::{Claim, Desk},
    flow::{Flow, SLOW_PERIOD},
    gate::Gate,
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
    pub(super) gate: Arc<Gate>,
    pub(super) flow: Arc<Flow>,
    pub(super) outage: Arc<Outage>,
    pub(super) counter: Counter,
}

/// Where claims are handed out, and back.
#[derive(Clone)]
pub(super) struct Counter {
    pub(super) endings: Endings,
    pub(super) stop: CancellationToken,
}

/// A connection, and where the look through our own pending entries goes on; nowhere once all were looked at.
struct Source {
    reader: Reader,
    own: Option<Cursor>,
}

impl Fetcher {
    /// Runs until it is stopped; then hands back what was not started.
    pub(super) async fn run(self) {
        let stop = &self.counter.stop;
        let mut source = None;
        let (mut pause, pause_max) = PAUSES;
        while let Some(slots) = self.slots().await {
            let begun = Instant::now();
            match self.fetch(&mut source, slots).await {
                Ok(false) => {}
                Ok(true) => {
                    self.outage.back(begun);
                    self.desk.beat.polled();
                    pause = PAUSES.0;
                }
                Err(error) => {
                    // A new connection also remakes the group, and finds what a lost reply delivered.
                    source = None;
                    if error.is_group_missing() {
                        tracing::warn!(step = %self.desk.step, %error, "redis was emptied; the step's group is made again");
                        metrics::counter!("mondo_groups_remade_total").increment(1);
                    } else {
                        self.outage.away(&error);
                    }
                    tokio::select! {
                        () = stop.cancelled() => break,
                        () = sleep(pause) => pause = (pause * 2).min(pause_max),
                    }
                }
            }
        }
        self.desk.close();
        for claim in self.desk.claims() {
            self.counter.hand_back(claim);
        }
    }

    /// Free slots, at least one, once the flow and the gate let the step claim; `None` when it is time to stop.
    async fn slots(&self) -> Option<OwnedSemaphorePermit> {
        self.counter.stop.run_until_cancelled(self.in_flow()).await?;
        if self.counter.stop.is_cancelled() {
            return None;
        }
        let credit = &self.desk.credit;
        // Not a match on the attempt itself: that would hold a slot while it waits for one.
        let at_once = if self.gate.is_closed() { None } else { Arc::clone(credit).try_acquire_owned().ok() };
        let mut slots = match at_once {
            Some(slot) => slot,
            None => {
                let free = async {
                    self.gate.until_open().await;
                    Arc::clone(credit).acquire_owned().await.ok()
                };
                self.idle_until(free).await?
            }
        };
        if self.flow.is_slow(self.desk.step) {
            return Some(slots);
        }
        let more = credit.available_permits().min(READ_MAX - 1);
        if let Ok(more) = u32::try_from(more)
            && let Ok(rest) = Arc::clone(credit).try_acquire_many_owned(more)
        {
            slots.merge(rest);
        }
        Some(slots)
    }

    /// Waits while the step is paused, which is as healthy as polling, and a second when it slows.
    async fn in_flow(&self) {
        let step = self.desk.step;
        self.flow.until_known(step).await;
        if self.flow.is_paused(step) {
            self.desk.beat.busy();
            self.flow.until_open(step).await;
            self.desk.beat.free();
        }
        if self.flow.is_slow(step) {
            sleep(SLOW_PERIOD).await;
        }
    }

    /// One look at the queue, for about as many entries as there are slots; `false` when it did not come to it.
    async fn fetch(
        &self,
        source: &mut Option<Source>,
        slots: OwnedSemaphorePermit,
    ) -> Result<bool, QueueError> {
        if self.gate.is_closed() {
            return Ok(false);
        }
        let source = match source {
            Some(source) => source,
            None => match self.counter.stop.run_until_cancelled(self.connect()).await {
                Some(connected) => source.insert(connected?),
                None => return Ok(false),
            },
        };
        let count = slots.num_permits();
        let arrivals = match &source.own {
            Some(from) => {
                let look = source.reader.own(from, count);
                let Some(found) = self.counter.stop.run_until_cancelled(look).await else { return Ok(false) };
                let (next, found) = found?;
                source.own = next;
                found
            }
            None => self.read(&mut source.reader, count).await?,
        };
        self.deliver(arrivals, slots).await;
        Ok(true)
    }

    async fn connect(&self) -> Result<Source, QueueError> {
        let reader = Reader::connect(&self.queue, 0, self.desk.step, &self.desk.consumer, BLOCK).await?;
        Ok(Source { reader, own: Some(Cursor::default()) })
    }

    /// Waits for new entries. A stop, a pause, or a gate that closes, ends the wait through Redis, so that nothing is
    /// claimed by a read that nobody listens to any more.
    async fn read(&self, reader: &mut Reader, count: usize) -> Result<Vec<Arrival>, QueueError> {
        let id = reader.id();
        let told = async {
            tokio::select! {
                () = self.counter.stop.cancelled() => {}
                () = self.gate.until_closed() => {}
                () = self.flow.until_paused(self.desk.step) => {}
            }
        };
        let mut read = std::pin::pin!(reader.read(count, BLOCK));
        tokio::select! {
            biased;
            found = &mut read => return found,
            () = told => {}
        }
        let unblocked = async {
            self.queue.unblock(id).await?;
            read.await
        };
        timeout(UNBLOCK_TIME_MAX, unblocked).await.unwrap_or_else(|_| Ok(Vec::new()))
    }

    /// Hands arrivals out. Those over the free slots are held, their leases renewed, until slots are free.
    async fn deliver(&self, arrivals: Vec<Arrival>, mut slots: OwnedSemaphorePermit) {
        let (mut claims, mut undecodable) = (Vec::new(), Vec::new());
        for arrival in arrivals {
            match arrival {
                Arrival::Job(delivery) => claims.extend(self.desk.hold(delivery)),
                Arrival::Undecodable(entry) => undecodable.push(entry),
            }
        }
        for claim in claims {
            match self.slot(&mut slots).await {
                // What was read at the very moment of a pause waits like everything else.
                Some(slot) if !self.flow.is_paused(self.desk.step) => self.counter.hand_out(claim, slot),
                _ => self.counter.hand_back(claim),
            }
        }
        for entry in undecodable {
            // Without a slot it is time to stop, and the lease lapses.
            let Some(slot) = self.slot(&mut slots).await else { return };
            self.counter.end(Ending::Undecodable(Arc::clone(&self.desk), entry, slot));
        }
    }

    /// One of these slots or the next free one; `None` when it is time to stop.
    async fn slot(&self, slots: &mut OwnedSemaphorePermit) -> Option<OwnedSemaphorePermit> {
        if let Some(slot) = slots.split(1) {
            return Some(slot);
        }
        self.idle_until(async { Arc::clone(&self.desk.credit).acquire_owned().await.ok() }).await
    }

    /// Waits for a slot, which is as healthy as polling; `None` when it is time to stop.
    async fn idle_until(
        &self,
        free: impl Future<Output = Option<OwnedSemaphorePermit>>,
    ) -> Option<OwnedSemaphorePermit> {
        self.desk.beat.busy();
        let slot = self.counter.stop.run_until_cancelled(free).await?;
        self.desk.beat.free();
        slot
    }
}

impl Counter {
    /// Passes a claim to its worker, unless it has ended its worker too often.
    pub(super) fn hand_out(&self, claim: Claim, slot: OwnedSemaphorePermit) {
        claim.seat(slot);
        let delivery = claim.delivery();
        if delivery.crashes >= CRASHES_MAX {
            tracing::error!(job.id = %delivery.job, "job ended its worker too often; it is a dead letter");
            let outcome = crashed(delivery);
            self.end(Ending::Job(claim, outcome));
        } else if self.stop.is_cancelled() || !claim.desk().offer(claim.clone()) {
            self.hand_back(claim);
        }
    }

    /// Hands a claim back that was not started.
    pub(super) fn hand_back(&self, claim: Claim) {
        if claim.hand_back() {
            self.end(Ending::Job(claim, Outcome::Release));
        }
    }

    pub(super) fn end(&self, ending: Ending) {
        // Fails only when the acker is gone, and then the lease lapses.
        let _ = self.endings.send(ending);
    }
}
