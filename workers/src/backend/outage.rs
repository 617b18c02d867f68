//! Tells once that Redis is away, and once that it is back, however many tasks notice.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use mondo_jobs::queue::QueueError;

/// How often an outage is mentioned while it lasts.
const REMIND_PERIOD: Duration = Duration::from_secs(30);

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
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        state.since.get_or_insert(now);
        if state.told.is_none_or(|told| now - told >= REMIND_PERIOD) {
            state.told = Some(now);
            tracing::warn!(%error, "redis does not do what it should; work pauses until it does");
        }
    }

    /// A call succeeded.
    pub(super) fn back(&self) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(since) = state.since.take() {
            state.told = None;
            state.ended = Some(Instant::now());
            tracing::info!(away_secs = since.elapsed().as_secs_f64(), "redis is back; work goes on");
        }
    }

    /// Whether Redis has been there for at least so long.
    pub(super) fn calm_for(&self, time: Duration) -> bool {
        let state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.since.is_none() && state.ended.is_none_or(|ended| ended.elapsed() >= time)
    }
}
