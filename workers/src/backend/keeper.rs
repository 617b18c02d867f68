//! What must be done from time to time while workers run: leases, lapsed leases, due jobs, gone consumers.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use mondo_jobs::queue::{Delivery, Forgotten, Queue, QueueError};
use tokio::{
    sync::Notify,
    time::{MissedTickBehavior, interval, sleep},
};
use tokio_util::sync::CancellationToken;

use super::{
    claim::{Claim, Desk},
    outage::Outage,
};

/// The longest pause between two looks at the delayed jobs; another process may have added one.
const PROMOTE_PERIOD_MAX: Duration = Duration::from_secs(2);
/// The shortest, so that jobs that are due one after the other go in batches.
const PROMOTE_PERIOD_MIN: Duration = Duration::from_millis(20);
/// How often gone consumers are looked for.
const SWEEP_PERIOD: Duration = Duration::from_mins(5);
/// How often the past is looked through.
const FORGET_PERIOD: Duration = Duration::from_mins(1);

#[derive(Clone)]
pub(super) struct Keeper {
    pub(super) queue: Queue,
    pub(super) desks: Arc<[Arc<Desk>]>,
    pub(super) outage: Arc<Outage>,
    pub(super) delayed: Arc<Notify>,
    pub(super) stop: CancellationToken,
}

impl Keeper {
    /// Renews the leases of everything under way, three times as often as they lapse.
    pub(super) async fn renew(self) {
        let period = self.queue.lease() / 3;
        let mut pause = period;
        while self.goes_on_after(pause).await {
            pause = period;
            for desk in self.desks.iter() {
                let claims = desk.claims();
                if claims.is_empty() {
                    continue;
                }
                let held: Vec<&Delivery> = claims.iter().map(Claim::delivery).collect();
                let renewed = self.queue.renew(&desk.consumer, &held).await;
                match self.note(renewed) {
                    Some(lost) if lost.is_empty() => {}
                    Some(lost) => {
                        tracing::warn!(step = %desk.step, ?lost, "leases are lost; their runs are cancelled");
                        for claim in &claims {
                            if lost.contains(&claim.delivery().job) {
                                claim.lost().cancel();
                            }
                        }
                    }
                    // Soon again: time is short.
                    None => pause = period / 4,
                }
            }
        }
    }

    /// Looks for lapsed leases and wakes the fetchers that may take them over.
    pub(super) async fn find_lapsed(self) {
        let lease = self.queue.lease();
        let period = (lease / 3).clamp(Duration::from_millis(100), Duration::from_secs(5));
        while self.goes_on_after(period).await {
            let Some(lapsed) = self.note(self.queue.lapsed().await) else { continue };
            // While Redis was away nobody could renew: their owners come first.
            if !self.outage.calm_for(lease / 2) {
                continue;
            }
            let waits = |desk: &&Arc<Desk>| lapsed.iter().any(|(_, step)| *step == desk.step);
            for desk in self.desks.iter().filter(waits) {
                desk.lapsed.store(true, Ordering::Release);
                let reader = desk.reader.load(Ordering::Acquire);
                if reader != 0 {
                    self.note(self.queue.unblock(reader).await);
                }
            }
        }
    }

    /// Moves jobs whose time has come.
    pub(super) async fn promote(self) {
        let mut pause = Duration::ZERO;
        loop {
            tokio::select! {
                () = self.stop.cancelled() => return,
                () = sleep(pause) => {}
                () = self.delayed.notified() => sleep(PROMOTE_PERIOD_MIN).await,
            }
            pause = match self.note(self.queue.promote().await) {
                Some(promoted) => promoted.next_in.unwrap_or(PROMOTE_PERIOD_MAX),
                None => PROMOTE_PERIOD_MAX,
            };
            pause = pause.clamp(PROMOTE_PERIOD_MIN, PROMOTE_PERIOD_MAX);
        }
    }

    /// Forgets consumers that are gone.
    pub(super) async fn sweep(self) {
        let mut ticks = interval(SWEEP_PERIOD);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = self.stop.cancelled() => return,
                _ = ticks.tick() => {}
            }
            if let Some(swept @ 1..) = self.note(self.queue.sweep().await) {
                tracing::info!(consumers = swept, "consumers that were gone are forgotten");
            }
        }
    }

    /// Forgets what is no longer kept.
    pub(super) async fn forget(self) {
        while self.goes_on_after(FORGET_PERIOD).await {
            let Some(gone) = self.note(self.queue.forget().await) else { continue };
            if gone.dead > 0 {
                tracing::warn!(letters = gone.dead, "dead letters are given up: too old, or too many");
            }
            if gone != Forgotten::default() {
                tracing::info!(?gone, "what is no longer kept is forgotten");
            }
        }
    }

    async fn goes_on_after(&self, pause: Duration) -> bool {
        tokio::select! {
            () = self.stop.cancelled() => false,
            () = sleep(pause) => true,
        }
    }

    fn note<T>(&self, result: Result<T, QueueError>) -> Option<T> {
        match result {
            Ok(value) => {
                self.outage.back();
                Some(value)
            }
            Err(error) => {
                self.outage.away(&error);
                None
            }
        }
    }
}
