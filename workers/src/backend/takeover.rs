//! Takes over the jobs of workers that are gone, as soon as their leases have lapsed.

use std::{sync::Arc, time::Duration};

use mondo_jobs::{
    job::Step,
    queue::{Arrival, Queue, QueueError},
};
use tokio::{sync::Semaphore, time::sleep};

use super::{acker::Ending, claim::Desk, fetcher::Counter, flow::Flow, outage::Outage};

/// The most jobs that one call takes over.
const BATCH_MAX: usize = 100;
/// The pause after a failed look, while owners may still come back for their leases, and while what has
/// lapsed has no place here or is paused.
const RETRY_PERIOD: Duration = Duration::from_millis(500);
/// The shortest pause between two looks.
const LOOK_PERIOD_MIN: Duration = Duration::from_millis(50);

pub(super) struct Takeover {
    pub(super) queue: Queue,
    pub(super) desks: Arc<[Arc<Desk>]>,
    pub(super) flow: Arc<Flow>,
    pub(super) outage: Arc<Outage>,
    pub(super) counter: Counter,
    /// Counts the looks that found something.
    pub(super) turn: usize,
}

impl Takeover {
    /// Looks whenever a lease can have lapsed, which is seldom: while all are renewed, none does soon.
    pub(super) async fn run(mut self) {
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
    async fn look(&mut self) -> Result<Duration, QueueError> {
        let lapses = self.queue.lapses().await?;
        let ours = lapses.lapsed.iter().filter_map(|(shard, step)| Some((*shard, self.desk(*step)?)));
        let mut ours: Vec<_> = ours.map(|(shard, desk)| (shard, Arc::clone(desk))).collect();
        if ours.is_empty() {
            return Ok(lapses.next_in.max(LOOK_PERIOD_MIN));
        }
        // While Redis was away nobody could renew: their owners come first.
        if !self.outage.calm_for(self.queue.lease() / 2) {
            return Ok(RETRY_PERIOD);
        }
        // Each in its turn, so that none is last while places are scarce.
        self.turn = self.turn.wrapping_add(1);
        let first = self.turn % ours.len();
        ours.rotate_left(first);
        let mut taken = 0;
        for (shard, desk) in ours.iter().filter(|(_, desk)| self.flow.is_open(desk.step)) {
            for places in [&desk.spare, &desk.credit] {
                taken += self.take_over(*shard, desk, places).await?;
            }
        }
        Ok(if taken > 0 { LOOK_PERIOD_MIN } else { RETRY_PERIOD })
    }

    /// Takes over jobs of one step, as many as there are places for; gives their number.
    async fn take_over(
        &self,
        shard: u32,
        desk: &Arc<Desk>,
        places: &Arc<Semaphore>,
    ) -> Result<usize, QueueError> {
        let free = places.available_permits().min(BATCH_MAX);
        let some = u32::try_from(free).ok().filter(|free| *free > 0);
        let places = some.and_then(|free| Arc::clone(places).try_acquire_many_owned(free).ok());
        let Some(mut places) = places else { return Ok(0) };
        let arrivals = self.queue.reclaim(shard, desk.step, &desk.consumer, free).await?;
        let taken = arrivals.len();
        for arrival in arrivals {
            let Some(place) = places.split(1) else { break };
            tracing::info!(step = %desk.step, entry = arrival.entry(), "lapsed lease is taken over");
            match arrival {
                Arrival::Undecodable(entry) => {
                    self.counter.end(Ending::Undecodable(Arc::clone(desk), entry, place));
                }
                Arrival::Job(delivery) => {
                    // `None` is a job that goes on here: its lease was not renewed in time, and now it is.
                    let Some(claim) = desk.hold(delivery) else { continue };
                    self.counter.hand_out(claim, place);
                }
            }
        }
        Ok(taken)
    }

    fn desk(&self, step: Step) -> Option<&Arc<Desk>> {
        self.desks.iter().find(|desk| desk.step == step)
    }
}
