//! How finished pairs leave: a consumer takes one, gets it written out, and only then it is gone.

use crate::{
    pair::PairId,
    queue::{Queue, QueueError},
};

/// A pair that is being handed to a consumer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    /// The pair.
    pub pair: PairId,
    /// What the consumer gets: the v1 body as JSON.
    pub body: Vec<u8>,
}

impl Queue {
    /// Takes the pair at the head of the ready list, for as long as the hand-over lease lasts.
    ///
    /// # Errors
    /// When Redis is away.
    pub async fn take(&self) -> Result<Option<Taken>, QueueError> {
        unimplemented!()
    }

    /// The response has been written out: the pair is gone.
    ///
    /// # Errors
    /// When Redis is away.
    pub async fn delivered(&self, _pair: PairId) -> Result<(), QueueError> {
        unimplemented!()
    }

    /// The consumer went away: the pair is the head again.
    ///
    /// # Errors
    /// When Redis is away.
    pub async fn put_back(&self, _pair: PairId) -> Result<(), QueueError> {
        unimplemented!()
    }
}
