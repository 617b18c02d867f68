//! A pair on its way to a consumer, and how that ends.

use std::time::Duration;

use mondo_jobs::{
    pair::PairId,
    queue::{Queue, QueueError},
    ready::{HANDOVER_LEASE, Taken},
};
use tokio::{
    runtime::Handle,
    time::{Instant, sleep, timeout},
};
use tokio_util::task::TaskTracker;

/// First pause between two attempts to tell Redis how a hand-over ended; doubles up to [`PAUSE_MAX`].
const PAUSE_FIRST: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(2);

/// How long Redis may take to note one ending.
const NOTE_TIME_MAX: Duration = Duration::from_secs(5);

/// The right to hand one pair to a consumer. It ends with [`Handover::delivered`]; dropping it puts the pair
/// back at the head of the ready list.
pub(super) struct Handover(Option<Note>);

impl Handover {
    /// The pair was taken at `taken_at`; tasks run on `tasks`, which the server awaits before it ends.
    pub(super) fn new(queue: Queue, taken: &Taken, taken_at: Instant, tasks: TaskTracker) -> Self {
        let lapses = taken_at + HANDOVER_LEASE;
        let (pair, lapses_ms) = (taken.pair, taken.lapses_ms);
        Self(Some(Note { queue, pair, lapses_ms, lapses, tasks, runtime: Handle::current() }))
    }

    /// The response has been written out.
    pub(super) fn delivered(mut self) {
        if let Some(note) = self.0.take() {
            note.send(Ending::Delivered);
        }
    }
}

impl Drop for Handover {
    fn drop(&mut self) {
        if let Some(note) = self.0.take() {
            note.send(Ending::PutBack);
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    Delivered,
    PutBack,
}

impl Ending {
    fn name(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::PutBack => "put_back",
        }
    }
}

struct Note {
    queue: Queue,
    pair: PairId,
    /// By the clock of Redis: names the lease.
    lapses_ms: u64,
    /// By the clock of this process.
    lapses: Instant,
    tasks: TaskTracker,
    runtime: Handle,
}

impl Note {
    fn send(self, ending: Ending) {
        let (tasks, runtime) = (self.tasks.clone(), self.runtime.clone());
        tasks.spawn_on(self.send_until_noted(ending), &runtime);
    }

    /// Redis may be away at this very moment. After the lease nothing more may be said: the pair has
    /// returned to the list by itself and may be on its way to somebody else.
    async fn send_until_noted(self, ending: Ending) {
        let mut pause = PAUSE_FIRST;
        loop {
            let problem = match timeout(NOTE_TIME_MAX, self.send_once(ending)).await {
                Ok(Ok(())) => {
                    metrics::counter!("mondo_handovers_total", "ending" => ending.name()).increment(1);
                    return;
                }
                Ok(Err(error)) => error.to_string(),
                Err(_elapsed) => "no answer".to_owned(),
            };
            if Instant::now() + pause >= self.lapses {
                metrics::counter!("mondo_handovers_total", "ending" => "lapsed").increment(1);
                tracing::warn!(
                    pair.id = %self.pair, ending = ending.name(), problem,
                    "could not note how a hand-over ended before its lease lapsed; the pair is ready again"
                );
                return;
            }
            sleep(pause).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    async fn send_once(&self, ending: Ending) -> Result<(), QueueError> {
        match ending {
            Ending::Delivered => self.queue.delivered(self.pair).await,
            Ending::PutBack => self.queue.put_back(self.pair, self.lapses_ms).await,
        }
    }
}
