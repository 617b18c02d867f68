//! How finished pairs leave: a consumer takes one, gets it written out, and only then it is gone.

use std::time::Duration;

use crate::{
    pair::PairId,
    queue::{Queue, QueueError},
};

/// How long writing a pair to its consumer may take. Whoever hands pairs over gives up before that; the lease
/// lapses only when the process that held it is gone, and then the pair is the head of the list again.
pub const HANDOVER_LEASE: Duration = Duration::from_mins(2);

/// A pair that is being handed to a consumer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    /// The pair.
    pub pair: PairId,
    /// What the consumer gets: the v1 body as JSON.
    pub body: Vec<u8>,
    /// When the lease lapses, by Redis, in milliseconds since the Unix epoch; it tells this hand-over from a later
    /// one of the same pair.
    pub lapses_ms: u64,
}

impl Queue {
    /// Takes the pair at the head of the ready list, for as long as [`HANDOVER_LEASE`].
    ///
    /// # Errors
    /// When Redis is away.
    pub async fn take(&self) -> Result<Option<Taken>, QueueError> {
        self.take_for(HANDOVER_LEASE).await
    }

    /// The body of the pair at the head, which stays where it is.
    ///
    /// # Errors
    /// When Redis is away.
    pub async fn peek(&self) -> Result<Option<Vec<u8>>, QueueError> {
        self.first_body().await
    }

    /// The response has been written out: the pair is gone.
    ///
    /// # Errors
    /// When Redis is away.
    pub async fn delivered(&self, pair: PairId) -> Result<(), QueueError> {
        self.drop_taken(pair).await.map(|_| ())
    }

    /// The consumer went away: the pair is the head again, unless the lease that lapses then is not its own any
    /// more.
    ///
    /// # Errors
    /// When Redis is away.
    pub async fn put_back(&self, pair: PairId, lapses_ms: u64) -> Result<(), QueueError> {
        self.return_taken(pair, lapses_ms).await.map(|_| ())
    }
}
