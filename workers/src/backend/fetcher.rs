//! Claims jobs of one step: what was its own already, and what is new.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::{FutureExt as _, StreamExt as _, future::BoxFuture, stream::FuturesUnordered};
use mondo_jobs::queue::{Arrival, Cursor, Queue, QueueError, Reader};
use tokio::{sync::OwnedSemaphorePermit, time::sleep};
use tokio_util::sync::CancellationToken;

use super::{
    acker::{Ending, Endings},
    claim::{Claim, Desk},
    flow::{Flow, SLOW_PERIOD},
    outage::Outage,
    outcome::{Outcome, crashed_before},
};

/// How long one read waits for something new.
const BLOCK: Duration = Duration::from_secs(5);
/// The most entries that one read claims; not more, so that the next are read while these are worked on.
const READ_MAX: usize = 50;
/// Pause after a failed call, doubled up to the second.
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));
/// The head start of newer releases while there are jobs that only they can run.
const HEAD_START: Duration = Duration::from_millis(100);
/// How long a look may still take after the stop, lest what it has claimed wait for its lease to lapse.
const LOOK_TIME_MAX: Duration = Duration::from_secs(2);

pub(super) struct Fetcher {
    pub(super) queue: Queue,
    pub(super) desk: Arc<Desk>,
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

/// One shard of the step. It is either looked at in its turn, or waited for by one of the bells.
struct Shard {
    number: u32,
    source: Option<Source>,
    /// Whether a bell is waited for.
    quiet: bool,
    pause: Duration,
}

/// A reader, and where the look through our own pending entries goes on; nowhere once all were looked at.
struct Source {
    reader: Reader,
    own: Option<Cursor>,
}

/// Resolves with the place of a shard when it may be worth a look, or is still there.
type Bell = BoxFuture<'static, (usize, Result<bool, QueueError>)>;

impl Fetcher {
    /// Runs until it is stopped; then hands back what was not started.
    pub(super) async fn run(self) {
        let shard = |number| Shard { number, source: None, quiet: false, pause: PAUSES.0 };
        let mut shards: Vec<Shard> = (0..self.queue.shard_count()).map(shard).collect();
        let (mut bells, mut turn) = (FuturesUnordered::<Bell>::new(), 0);
        while let Some(slots) = self.slots().await {
            while let Some(Some(rung)) = bells.next().now_or_never() {
                self.heard(&mut shards, &mut bells, rung);
            }
            // Each shard in its turn, so that none is last while slots are scarce.
            let place = (0..shards.len()).map(|by| (turn + by) % shards.len()).find(|at| !shards[*at].quiet);
            if let Some(place) = place {
                turn = place + 1;
                self.look(place, &mut shards[place], &mut bells, slots).await;
                continue;
            }
            // Free meanwhile for what is taken over.
            drop(slots);
            if let Some(rung) = self.wait(&mut bells).await {
                self.heard(&mut shards, &mut bells, rung);
            }
        }
        self.desk.close();
        for claim in self.desk.claims() {
            self.counter.hand_back(claim);
        }
    }

    /// Waits for a bell. A stop or a pause ends the wait.
    async fn wait(&self, bells: &mut FuturesUnordered<Bell>) -> Option<(usize, Result<bool, QueueError>)> {
        tokio::select! {
            biased;
            () = self.counter.stop.cancelled() => None,
            () = self.flow.until_paused(self.desk.step) => None,
            rung = bells.next() => rung,
        }
    }

    fn heard(
        &self,
        shards: &mut [Shard],
        bells: &mut FuturesUnordered<Bell>,
        (place, rung): (usize, Result<bool, QueueError>),
    ) {
        let shard = &mut shards[place];
        match (rung, &shard.source) {
            (Ok(false), Some(source)) => {
                // It began long ago, so it says nothing about an outage since.
                self.desk.beat.polled();
                bells.push(bell(place, &source.reader));
            }
            (Ok(_), _) => shard.quiet = false,
            (Err(error), _) => self.failed(place, shard, bells, &error),
        }
    }

    /// One look at a shard, for at most as many entries as there are slots.
    async fn look(
        &self,
        place: usize,
        shard: &mut Shard,
        bells: &mut FuturesUnordered<Bell>,
        slots: OwnedSemaphorePermit,
    ) {
        if self.desk.lets_newer_first() {
            sleep(HEAD_START).await;
        }
        let begun = Instant::now();
        let looks_for_new = shard.source.as_ref().is_some_and(|source| source.own.is_none());
        match self.counter.until_stopped(self.fetch(shard, slots.num_permits())).await {
            None => {}
            Some(Ok(arrivals)) => {
                self.outage.back(begun);
                self.desk.beat.polled();
                shard.pause = PAUSES.0;
                if let Some(source) = &shard.source
                    && arrivals.is_empty()
                    && looks_for_new
                {
                    shard.quiet = true;
                    bells.push(bell(place, &source.reader));
                }
                self.deliver(arrivals, slots).await;
            }
            Some(Err(error)) => self.failed(place, shard, bells, &error),
        }
    }

    /// Lets the shard be for a while; the others go on.
    fn failed(
        &self,
        place: usize,
        shard: &mut Shard,
        bells: &mut FuturesUnordered<Bell>,
        error: &QueueError,
    ) {
        // A new connection also remakes the group, and finds what a lost reply delivered.
        shard.source = None;
        if error.is_group_missing() {
            tracing::warn!(step = %self.desk.step, %error, "redis was emptied; the step's group is made again");
            metrics::counter!("mondo_groups_remade_total").increment(1);
        } else {
            self.outage.away(error);
        }
        let pause = shard.pause;
        shard.pause = (pause * 2).min(PAUSES.1);
        shard.quiet = true;
        bells.push(Box::pin(async move {
            sleep(pause).await;
            (place, Ok(true))
        }));
    }

    /// Free slots, at least one, once the flow lets the step claim; `None` when it is time to stop.
    async fn slots(&self) -> Option<OwnedSemaphorePermit> {
        self.counter.stop.run_until_cancelled(self.in_flow()).await?;
        if self.counter.stop.is_cancelled() {
            return None;
        }
        let credit = &self.desk.credit;
        // Not a match on the attempt itself: that would hold a slot while it waits for one.
        let at_once = Arc::clone(credit).try_acquire_owned().ok();
        let mut slots = match at_once {
            Some(slot) => slot,
            None => self.idle_until(async { Arc::clone(credit).acquire_owned().await.ok() }).await?,
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

    async fn fetch(&self, shard: &mut Shard, count: usize) -> Result<Vec<Arrival>, QueueError> {
        let source = match &mut shard.source {
            Some(source) => source,
            None => shard.source.insert(self.connect(shard.number).await?),
        };
        let Some(from) = &source.own else { return source.reader.claim(count).await };
        let (next, found) = source.reader.own(from, count).await?;
        source.own = next;
        Ok(found)
    }

    async fn connect(&self, shard: u32) -> Result<Source, QueueError> {
        let (step, consumer) = (self.desk.step, &self.desk.consumer);
        let reader = Reader::connect(&self.queue, shard, step, consumer, BLOCK).await?;
        Ok(Source { reader, own: Some(Cursor::default()) })
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

fn bell(place: usize, reader: &Reader) -> Bell {
    let rings = reader.rings(BLOCK);
    Box::pin(async move { (place, rings.await) })
}

impl Counter {
    /// What a look found, unless it takes long beyond the stop.
    async fn until_stopped<T>(&self, look: impl Future<Output = T>) -> Option<T> {
        let late = async {
            self.stop.cancelled().await;
            sleep(LOOK_TIME_MAX).await;
        };
        tokio::select! {
            biased;
            found = look => Some(found),
            () = late => None,
        }
    }

    /// Passes a claim to its worker, unless it has ended its worker too often.
    pub(super) fn hand_out(&self, claim: Claim, slot: OwnedSemaphorePermit) {
        claim.seat(slot);
        let delivery = claim.delivery();
        if let Some(outcome) = crashed_before(delivery) {
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
