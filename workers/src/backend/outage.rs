//! Tells once that Redis is away, and once that it is back, however many tasks notice.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use mondo_jobs::queue::QueueError;
use tokio::time::sleep;

/// How often an outage is mentioned while it lasts.
const REMIND_PERIOD: Duration = Duration::from_secs(30);

/// How often somebody who waits for the end of patience looks.
const LOOK_PERIOD: Duration = Duration::from_millis(50);

/// What the tasks of one process know about Redis.
#[derive(Default)]
pub(super) struct Outage(Mutex<State>);

#[derive(Default)]
struct State {
    since: Option<Instant>,
    told: Option<Instant>,
    ended: Option<Instant>,
}

impl Outage {
    /// A call failed.
    pub(super) fn away(&self, error: &QueueError) {
        let mut state = self.lock();
        let now = Instant::now();
        state.since.get_or_insert(now);
        if state.told.is_none_or(|told| now - told >= REMIND_PERIOD) {
            state.told = Some(now);
            let remedy = error.remedy().unwrap_or("none needed if it comes back by itself");
            tracing::warn!(%error, remedy, "redis does not do what it should; work pauses until it does");
        }
    }

    /// A call succeeded that was begun at this moment. One from before the outage says nothing: a read that
    /// waited meanwhile ends well.
    pub(super) fn back(&self, begun: Instant) {
        let mut state = self.lock();
        if let Some(since) = state.since.take_if(|since| *since < begun) {
            state.told = None;
            state.ended = Some(Instant::now());
            tracing::info!(away_secs = since.elapsed().as_secs_f64(), "redis is back; work goes on");
        }
    }

    /// Whether Redis is away.
    pub(super) fn is_away(&self) -> bool {
        self.lock().since.is_some()
    }

    /// Waits until Redis has been away for so long.
    pub(super) async fn has_lasted(&self, time: Duration) {
        while self.lock().since.is_none_or(|since| since.elapsed() < time) {
            sleep(LOOK_PERIOD).await;
        }
    }

    /// Whether Redis has been there for at least so long.
    pub(super) fn calm_for(&self, time: Duration) -> bool {
        let state = self.lock();
        state.since.is_none() && state.ended.is_none_or(|ended| ended.elapsed() >= time)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
