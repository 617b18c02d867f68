//! Whether work is still being fetched: a worker may answer every ping and yet consume nothing.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// Tells how long ago work was last looked for with success; cheap to clone.
#[derive(Clone, Default)]
pub struct Pulse {
    beats: Arc<Mutex<Vec<Arc<Beat>>>>,
}

impl Pulse {
    /// The time since the last successful look at the queue, of the step for which it is longest. A step all
    /// of whose slots are busy does not look and counts as well. Absent until every step has looked once.
    /// Healthy is under 15 s.
    pub fn last_poll_age(&self) -> Option<Duration> {
        let beats = self.beats();
        if beats.iter().any(|beat| matches!(*beat.state(), State::New(_))) {
            return None;
        }
        beats.iter().map(|beat| beat.age()).max()
    }

    /// As [`Pulse::last_poll_age`]; a step that has never looked counts from its start.
    pub(super) fn silence(&self) -> Duration {
        self.beats().iter().map(|beat| beat.age()).max().unwrap_or_default()
    }

    pub(super) fn add(&self) -> Arc<Beat> {
        let beat = Arc::new(Beat(Mutex::new(State::New(Instant::now()))));
        self.beats().push(Arc::clone(&beat));
        beat
    }

    fn beats(&self) -> MutexGuard<'_, Vec<Arc<Beat>>> {
        self.beats.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The pulse of one fetcher.
pub(super) struct Beat(Mutex<State>);

enum State {
    /// Started, and not yet polled.
    New(Instant),
    Polled(Instant),
    Busy,
}

impl Beat {
    /// A look at the queue succeeded.
    pub(super) fn polled(&self) {
        *self.state() = State::Polled(Instant::now());
    }

    /// All slots are taken, or nothing may be claimed now.
    pub(super) fn busy(&self) {
        *self.state() = State::Busy;
    }

    /// A slot is free: a look may be expected from now on.
    pub(super) fn free(&self) {
        let mut state = self.state();
        if matches!(*state, State::Busy) {
            *state = State::Polled(Instant::now());
        }
    }

    fn age(&self) -> Duration {
        match *self.state() {
            State::New(at) | State::Polled(at) => at.elapsed(),
            State::Busy => Duration::ZERO,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slowest_step_counts_and_a_busy_one_is_healthy() {
        let pulse = Pulse::default();
        assert_eq!(pulse.last_poll_age(), None);
        let (first, second) = (pulse.add(), pulse.add());
        first.polled();
        assert_eq!(pulse.last_poll_age(), None, "the second step has not looked yet");
        *first.0.lock().unwrap() =
            State::Polled(Instant::now().checked_sub(Duration::from_secs(30)).unwrap());
        second.polled();
        assert!(pulse.last_poll_age().unwrap() >= Duration::from_secs(30));
        first.busy();
        assert!(pulse.last_poll_age().unwrap() < Duration::from_secs(30));
    }
}
