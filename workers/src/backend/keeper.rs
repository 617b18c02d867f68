//! What must be done from time to time while workers run: due jobs, gone consumers, a past too long.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use mondo_jobs::queue::{Forgotten, Queue, QueueError};
use tokio::{
    sync::Notify,
    time::{MissedTickBehavior, interval, sleep},
};
use tokio_util::sync::CancellationToken;

use super::outage::Outage;

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
    pub(super) outage: Arc<Outage>,
    pub(super) delayed: Arc<Notify>,
    pub(super) stop: CancellationToken,
}

impl Keeper {
    /// Moves jobs whose time has come.
    pub(super) async fn promote(self) {
        let work = async {
            let mut pause = Duration::ZERO;
            loop {
                tokio::select! {
                    () = sleep(pause) => {}
                    () = self.delayed.notified() => sleep(PROMOTE_PERIOD_MIN).await,
                }
                pause = match self.note(self.queue.promote()).await {
                    Some(promoted) => promoted.next_in.unwrap_or(PROMOTE_PERIOD_MAX),
                    None => PROMOTE_PERIOD_MAX,
                };
                pause = pause.clamp(PROMOTE_PERIOD_MIN, PROMOTE_PERIOD_MAX);
            }
        };
        self.stop.run_until_cancelled(work).await;
    }

    /// Forgets consumers that are gone.
    pub(super) async fn sweep(self) {
        let work = async {
            let mut ticks = interval(SWEEP_PERIOD);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                ticks.tick().await;
                if let Some(swept @ 1..) = self.note(self.queue.sweep()).await {
                    tracing::info!(consumers = swept, "consumers that were gone are forgotten");
                }
            }
        };
        self.stop.run_until_cancelled(work).await;
    }

    /// Forgets what is no longer kept.
    pub(super) async fn forget(self) {
        let work = async {
            loop {
                sleep(FORGET_PERIOD).await;
                let Some(gone) = self.note(self.queue.forget()).await else { continue };
                if gone.dead > 0 {
                    tracing::warn!(letters = gone.dead, "dead letters are given up: too old, or too many");
                }
                if gone != Forgotten::default() {
                    tracing::info!(?gone, "what is no longer kept is forgotten");
                }
            }
        };
        self.stop.run_until_cancelled(work).await;
    }

    async fn note<T>(&self, call: impl Future<Output = Result<T, QueueError>>) -> Option<T> {
        let begun = Instant::now();
        match call.await {
            Ok(value) => {
                self.outage.back(begun);
                Some(value)
            }
            Err(error) => {
                self.outage.away(&error);
                None
            }
        }
    }
}
