//! The line in front of the ready list. However many consumers wait, the process asks Redis as if it were
//! one, and whoever came first is served first.

use std::time::Duration;

use bytes::Bytes;
use mondo_jobs::queue::{Queue, QueueError};
use tokio::{
    sync::{Mutex, Notify, Semaphore},
    time::{Instant, sleep_until, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::handover::Handover;

/// Consumers that may wait at once; a further one is turned away.
pub(super) const WAITERS_MAX: usize = 512;

/// Time between two looks at an empty list: at most four a second, whoever waits.
const LOOK_INTERVAL: Duration = Duration::from_millis(250);

/// How long Redis may take to answer one look.
const LOOK_TIME_MAX: Duration = Duration::from_secs(3);

/// A pair for one consumer.
pub(super) struct Offer {
    /// The v1 body as stored: JSON.
    pub(super) body: Bytes,
    /// Ends the hand-over.
    pub(super) handover: Handover,
}

/// Why a consumer leaves without a pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoPair {
    /// None became ready in time.
    Empty,
    /// [`WAITERS_MAX`] others wait already.
    Crowded,
    /// Redis does not answer.
    Away,
    /// The server is being stopped.
    Stopping,
}

pub(super) struct Line {
    queue: Queue,
    tasks: TaskTracker,
    stopping: CancellationToken,
    places: Semaphore,
    /// Held by the first in line, who looks for all; tokio's mutex is granted in the order of asking. It holds
    /// the time of the next look.
    turn: Mutex<Instant>,
    away: Notify,
}

impl Line {
    pub(super) fn new(queue: Queue, tasks: TaskTracker, stopping: CancellationToken) -> Self {
        Self {
            queue,
            tasks,
            stopping,
            places: Semaphore::new(WAITERS_MAX),
            turn: Mutex::new(Instant::now()),
            away: Notify::new(),
        }
    }

    /// How many consumers wait.
    pub(super) fn waiting(&self) -> usize {
        WAITERS_MAX - self.places.available_permits()
    }

    /// The next pair, if one is ready within `wait`. While nobody waits, consumers do not wait for each other.
    ///
    /// # Cancel safety
    /// A pair that was taken for a dropped future is put back.
    pub(super) async fn take(&self, wait: Duration) -> Result<Offer, NoPair> {
        let gives_up_at = Instant::now() + wait;
        if self.waiting() == 0
            && let Some(offer) = self.look().await?
        {
            return Ok(offer);
        }
        let _place = self.places.try_acquire().map_err(|_| NoPair::Crowded)?;
        let away = self.away.notified();
        tokio::select! {
            biased;
            offer = self.first_in_line() => offer,
            () = away => Err(NoPair::Away),
            () = self.stopping.cancelled() => Err(NoPair::Stopping),
            () = sleep_until(gives_up_at) => Err(NoPair::Empty),
        }
    }

    async fn first_in_line(&self) -> Result<Offer, NoPair> {
        let mut next_look = self.turn.lock().await;
        loop {
            sleep_until(*next_look).await;
            *next_look = Instant::now() + LOOK_INTERVAL;
            let looked = self.look().await;
            match looked {
                Ok(Some(offer)) => {
                    *next_look = Instant::now();
                    return Ok(offer);
                }
                Ok(None) => {}
                Err(no_pair) => {
                    self.away.notify_waiters();
                    return Err(no_pair);
                }
            }
        }
    }

    /// Asks Redis once. The question runs in a task of its own: a consumer that goes away in the middle drops
    /// only the answer, and a pair in it is put back.
    async fn look(&self) -> Result<Option<Offer>, NoPair> {
        let asking = self.tasks.spawn(ask(self.queue.clone(), self.tasks.clone()));
        let problem = match timeout(LOOK_TIME_MAX, asking).await {
            Ok(Ok(Ok(offer))) => return Ok(offer),
            Ok(Ok(Err(error))) => error.to_string(),
            Ok(Err(panic)) => panic.to_string(),
            Err(_elapsed) => "no answer in time".to_owned(),
        };
        tracing::warn!(problem, "cannot take a pair");
        Err(NoPair::Away)
    }
}

async fn ask(queue: Queue, tasks: TaskTracker) -> Result<Option<Offer>, QueueError> {
    let taken_at = Instant::now();
    let Some(taken) = queue.take().await? else { return Ok(None) };
    let handover = Handover::new(queue, &taken, taken_at, tasks);
    Ok(Some(Offer { body: taken.body.into(), handover }))
}
