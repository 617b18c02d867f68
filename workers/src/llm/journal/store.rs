//! Where the replies of a process are filed: in Redis, and while Redis does not take them, in the spool.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use mondo_jobs::{
    pair::PairId,
    ports::LlmError,
    queue::{Queue, QueueError},
};
use tokio::{
    sync::Notify,
    time::{Instant, sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::Instrument as _;

use crate::llm::spool::{ReplyId, Spool};

/// For so long Redis is waited for before a reply is asked for, unless [`Journal::patient_for`] says otherwise.
const PATIENCE: Duration = Duration::from_secs(30);
/// A reply that Redis has not taken within this time goes to the spool: until then it would be lost with its process.
const PUT_TIME_MAX: Duration = Duration::from_millis(250);
/// The same once the spool has not taken it either.
const PUT_AGAIN_TIME_MAX: Duration = Duration::from_secs(5);
/// How long what is spooled is offered after the stop.
const LAST_OFFER_TIME_MAX: Duration = Duration::from_secs(2);
/// The first pause between two tries; it doubles up to [`PAUSE_MAX`].
const PAUSE: Duration = Duration::from_millis(100);
/// The longest pause between two tries.
const PAUSE_MAX: Duration = Duration::from_secs(3);
/// Pause between two tries to bring what is spooled to Redis.
const OFFER_PERIOD: Duration = Duration::from_secs(1);
/// How often the files of processes that are gone are looked for.
const LOOK_PERIOD: Duration = Duration::from_secs(5);

/// The journals of all pairs, as one process sees them; cheap to clone.
#[derive(Clone)]
pub struct Journal {
    inner: Arc<Inner>,
    patience: Duration,
}

struct Inner {
    queue: Queue,
    /// Absent where nothing is paid for.
    spool: Option<Spool>,
    /// Replies that are paid for and not filed yet.
    in_hand: Mutex<HashMap<ReplyId, Vec<u8>>>,
    filing: TaskTracker,
    spooled: Notify,
}

impl Journal {
    /// Files replies in Redis, and while that does not take them, in the spool. Without a spool, a paid reply
    /// waits for Redis.
    pub fn new(queue: Queue, spool: Option<Spool>) -> Self {
        let (in_hand, filing, spooled) = (Mutex::default(), TaskTracker::new(), Notify::new());
        Self { inner: Arc::new(Inner { queue, spool, in_hand, filing, spooled }), patience: PATIENCE }
    }

    /// Waits for so long for a Redis that is away, before it gives up looking for a reply.
    #[must_use]
    pub fn patient_for(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    pub(super) fn queue(&self) -> &Queue {
        &self.inner.queue
    }

    /// The reply that the pair has already paid for. A reply goes from hand to spool to Redis, and is looked for
    /// in that order, so that it is missed nowhere on its way.
    pub(super) async fn recall(&self, pair: PairId, key: &str) -> Result<Option<Vec<u8>>, LlmError> {
        let id = (pair, key.to_owned());
        let in_hand = self.in_hand().get(&id).cloned();
        if in_hand.is_some() {
            return Ok(in_hand);
        }
        if let Some(spool) = &self.inner.spool {
            let spooled =
                spool.find(&id).await.map_err(|error| LlmError::Journal { message: error.to_string() })?;
            if spooled.is_some() {
                return Ok(spooled);
            }
        }
        Ok(patiently(self.patience, || self.inner.queue.journal_get(pair, key)).await?)
    }

    /// Files a paid reply; returns once it is safe. It is filed even if the future is dropped, or never polled.
    ///
    /// # Errors
    /// When the pair's journal is no journal, or the process ends before there was a place for the reply.
    pub(super) fn file(
        &self,
        pair: PairId,
        key: &str,
        reply: Vec<u8>,
    ) -> impl Future<Output = Result<(), LlmError>> + use<> {
        let (this, id) = (self.clone(), (pair, key.to_owned()));
        self.in_hand().insert(id.clone(), reply.clone());
        let filing = async move {
            let filed = this.put_somewhere(&id, &reply).await;
            this.in_hand().remove(&id);
            filed
        };
        let filed = self.inner.filing.spawn(filing.in_current_span());
        async move {
            match filed.await {
                Ok(filed) => Ok(filed?),
                Err(error) => Err(LlmError::Journal { message: error.to_string() }),
            }
        }
    }

    /// Tries Redis and the spool in turn until one has the reply: to use it before would be to pay for it again
    /// after a crash.
    async fn put_somewhere(&self, id: &ReplyId, reply: &[u8]) -> Result<(), QueueError> {
        let (mut pause, mut told, mut time_max) = (PAUSE, false, PUT_TIME_MAX);
        loop {
            let away = match timeout(time_max, self.put(id, reply)).await {
                Ok(Ok(())) => return Ok(()),
                Ok(Err(error)) if !error.is_passing() => return Err(error),
                Ok(Err(error)) => error.to_string(),
                Err(_) => format!("redis did not answer within {time_max:?}"),
            };
            let Some(reason) = self.put_in_spool(id, reply, &away).await else { return Ok(()) };
            if !told {
                tracing::warn!(pair.id = %id.0, away, reason, "a paid reply can be put neither into Redis nor into the spool; its job waits");
                told = true;
            }
            time_max = PUT_AGAIN_TIME_MAX;
            sleep(pause).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    async fn put(&self, id: &ReplyId, reply: &[u8]) -> Result<(), QueueError> {
        if !self.inner.queue.journal_put(id.0, &id.1, reply).await? {
            tracing::info!(pair.id = %id.0, key = id.1, "the pair of a paid reply has ended; nobody will ask for it");
        }
        Ok(())
    }

    /// Says why it could not.
    async fn put_in_spool(&self, id: &ReplyId, reply: &[u8], away: &str) -> Option<String> {
        let Some(spool) = &self.inner.spool else { return Some("there is none here".to_owned()) };
        if let Err(error) = spool.append(id.clone(), reply.to_vec()).await {
            return Some(error.to_string());
        }
        tracing::warn!(pair.id = %id.0, away, "redis does not take a paid reply; it waits in the spool");
        self.inner.spooled.notify_one();
        None
    }

    /// Takes over what processes that are gone had spooled, and offers everything spooled to Redis. A reply that
    /// is there already stays as it is. Says how many do not wait any more.
    ///
    /// # Errors
    /// When Redis is away; what it has not taken waits on.
    ///
    /// # Cancel safety
    /// A reply whose offer is dropped waits on, and is offered again.
    pub async fn offer(&self) -> Result<usize, QueueError> {
        let Some(spool) = &self.inner.spool else { return Ok(0) };
        let waiting = match spool.adopt().await {
            Ok(()) => spool.waiting().await,
            Err(error) => Err(error),
        };
        let waiting = waiting.unwrap_or_else(|error| {
            tracing::error!(%error, "cannot look into the spool");
            Vec::new()
        });
        let mut gone = 0;
        for id in waiting {
            gone += usize::from(self.offer_one(spool, id).await?);
        }
        if gone > 0 {
            tracing::info!(replies = gone, "paid replies went from the spool to Redis");
        }
        Ok(gone)
    }

    async fn offer_one(&self, spool: &Spool, id: ReplyId) -> Result<bool, QueueError> {
        let bad = match spool.find(&id).await {
            // Another offer was quicker.
            Ok(None) => return Ok(false),
            Ok(Some(reply)) => match self.put(&id, &reply).await {
                Ok(()) => None,
                Err(error) if error.is_passing() => return Err(error),
                Err(error) => Some(error.to_string()),
            },
            Err(error) => Some(error.to_string()),
        };
        if let Some(error) = &bad {
            tracing::error!(pair.id = %id.0, key = id.1, error, "a spooled reply cannot be journaled; its file is put aside");
        }
        if let Err(error) = spool.forget(id, bad.is_some()).await {
            tracing::error!(%error, "the spool cannot be tidied; a reply in it may be offered again");
        }
        Ok(true)
    }

    /// Offers what is spooled until the stop, and once more then, for a moment: what waits on is offered at the
    /// next start.
    pub async fn run(self, stop: CancellationToken) {
        let mut pause = Duration::ZERO;
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                () = self.inner.spooled.notified() => {}
                () = sleep(pause) => {}
            }
            let offered = tokio::select! {
                () = stop.cancelled() => break,
                offered = self.offer() => offered,
            };
            pause = match offered {
                Ok(_) => LOOK_PERIOD,
                Err(error) => {
                    tracing::debug!(%error, "redis does not take what is spooled; trying again");
                    OFFER_PERIOD
                }
            };
        }
        if !matches!(timeout(LAST_OFFER_TIME_MAX, self.offer()).await, Ok(Ok(_))) {
            tracing::debug!("what is spooled is left for the next start");
        }
    }

    /// Waits until every paid reply is safe, for so long at the most; then gives up the spool's file if nothing
    /// waits in it.
    pub async fn close(&self, time_max: Duration) {
        self.inner.filing.close();
        if timeout(time_max, self.inner.filing.wait()).await.is_err() {
            let replies = self.in_hand().len();
            tracing::error!(
                replies,
                "paid replies could be put neither into Redis nor into the spool; they are lost"
            );
        }
        if let Some(spool) = &self.inner.spool {
            spool.close().await;
        }
    }

    fn in_hand(&self) -> MutexGuard<'_, HashMap<ReplyId, Vec<u8>>> {
        self.inner.in_hand.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Tries again while Redis is away, for so long.
async fn patiently<T, F: Future<Output = Result<T, QueueError>>>(
    patience: Duration,
    run: impl Fn() -> F,
) -> Result<T, QueueError> {
    let deadline = Instant::now() + patience;
    let mut pause = PAUSE;
    loop {
        match run().await {
            Err(error) if error.is_passing() && Instant::now() + pause < deadline => {
                tracing::debug!(%error, "the journal is away; trying again");
                sleep(pause).await;
                pause = (pause * 2).min(PAUSE_MAX);
            }
            result => return result,
        }
    }
}
