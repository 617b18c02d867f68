//! Takes over the jobs of workers that are gone: one after the other, each alone in this process, for it may be
//! what ended them.

use std::{
    collections::BTreeSet,
    sync::Arc,
    time::{Duration, Instant},
};

use mondo_jobs::{
    job::Step,
    queue::{Arrival, Queue, QueueError},
};
use tokio::time::sleep;

use super::{acker::Ending, claim::Desk, fetcher::Counter, gate::Gate, outage::Outage};

/// For how long jobs are taken over before those that never met a crash have their turn.
const STRETCH_MAX: Duration = Duration::from_secs(30);
/// How long that turn is, in which they are claimed; they run to their end.
const TURN: Duration = Duration::from_secs(2);
/// The pause after a failed look, and while owners may still come back for their leases.
const RETRY_PERIOD: Duration = Duration::from_secs(1);
/// The shortest pause between two looks.
const LOOK_PERIOD_MIN: Duration = Duration::from_millis(50);

pub(super) struct Takeover {
    pub(super) queue: Queue,
    pub(super) desks: Arc<[Arc<Desk>]>,
    pub(super) gate: Arc<Gate>,
    pub(super) outage: Arc<Outage>,
    pub(super) counter: Counter,
}

impl Takeover {
    /// Looks whenever a lease can have lapsed, which is seldom: while all are renewed, none does soon.
    pub(super) async fn run(self) {
        let stop = self.counter.stop.clone();
        let work = async {
            loop {
                let pause = self.look().await.unwrap_or_else(|error| {
                    self.outage.away(&error);
                    RETRY_PERIOD
                });
                sleep(pause).await;
            }
        };
        stop.run_until_cancelled(work).await;
    }

    /// Takes over what has lapsed; gives the time until the next look.
    async fn look(&self) -> Result<Duration, QueueError> {
        let lapses = self.queue.lapses().await?;
        if !lapses.lapsed.iter().any(|(_, step)| self.desk(*step).is_some()) {
            return Ok(lapses.next_in.max(LOOK_PERIOD_MIN));
        }
        // While Redis was away nobody could renew: their owners come first.
        if !self.outage.calm_for(self.queue.lease() / 2) {
            return Ok(RETRY_PERIOD);
        }
        let _closed = self.gate.close();
        let (begun, mut places) = (Instant::now(), lapses.lapsed);
        while begun.elapsed() < STRETCH_MAX {
            if !self.take_over_one(&places).await? {
                return Ok(LOOK_PERIOD_MIN);
            }
            places = self.queue.lapses().await?.lapsed;
        }
        Ok(TURN)
    }

    /// Takes over one job and waits for its end. `false` when there was none.
    async fn take_over_one(&self, places: &BTreeSet<(u32, Step)>) -> Result<bool, QueueError> {
        for (shard, step) in places.iter().copied() {
            let Some(desk) = self.desk(step) else { continue };
            // Fetchers give theirs back while the gate is closed.
            let Ok(slot) = Arc::clone(&desk.credit).acquire_owned().await else { continue };
            let arrivals = self.queue.reclaim(shard, step, &desk.consumer, 1).await?;
            let Some(arrival) = arrivals.into_iter().next() else { continue };
            tracing::info!(%step, entry = arrival.entry(), "lapsed lease is taken over");
            match arrival {
                Arrival::Undecodable(entry) => {
                    self.counter.end(Ending::Undecodable(Arc::clone(desk), entry, slot));
                }
                Arrival::Job(delivery) => {
                    // `None` is a job that goes on here: its lease was not renewed in time, and now it is.
                    let Some(claim) = desk.hold(delivery) else { continue };
                    let ended = claim.ended();
                    self.counter.hand_out(claim, slot);
                    ended.cancelled().await;
                }
            }
            return Ok(true);
        }
        Ok(false)
    }

    fn desk(&self, step: Step) -> Option<&Arc<Desk>> {
        self.desks.iter().find(|desk| desk.step == step)
    }
}
