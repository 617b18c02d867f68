//! The moves behind [`crate::ready`].

use std::{sync::atomic::Ordering, time::Duration};

use super::{
    Queue, QueueError,
    claim::millis,
    keys::{Ended, Keys},
    limits::EVENTS_MAX,
};
use crate::{pair::PairId, ready::Taken};

/// How many lapsed leases one take returns to the list.
const LAPSED_MAX: usize = 100;

impl Queue {
    /// Takes the pair at the head of the ready list for as long as `lease`.
    ///
    /// # Errors
    /// When Redis is away.
    pub async fn take_for(&self, lease: Duration) -> Result<Option<Taken>, QueueError> {
        // Whoever takes begins at another shard each time, so none is drained last.
        let turn = self.inner.takes.fetch_add(1, Ordering::Relaxed);
        for place in 0..self.shards().len() {
            let keys = &self.shards()[(turn + place) % self.shards().len()];
            if let Some(taken) = self.take_from(keys, lease).await? {
                return Ok(Some(taken));
            }
        }
        Ok(None)
    }

    async fn take_from(&self, keys: &Keys, lease: Duration) -> Result<Option<Taken>, QueueError> {
        let mut call = self.scripts().take.key(keys.ready());
        call.key(keys.taken()).key(keys.ready_bodies()).arg(millis(lease)).arg(LAPSED_MAX);
        loop {
            let reply: Vec<Vec<u8>> = call.invoke_async(&mut self.link(keys)).await?;
            let Ok([pair, body, lapses]) = <[Vec<u8>; 3]>::try_from(reply) else { return Ok(None) };
            let text = |bytes| std::str::from_utf8(bytes).ok();
            let pair_id = text(&pair).and_then(|pair| pair.parse().ok());
            if let (Some(pair), Some(lapses_ms)) = (pair_id, text(&lapses).and_then(|ms| ms.parse().ok())) {
                return Ok(Some(Taken { pair, body, lapses_ms }));
            }
            // Somebody else's entry: it stays with the taken ones, where the doctor shows it.
            tracing::error!(id = %pair.escape_ascii(), "an id in the ready list is no pair");
        }
    }

    /// Reads the head of the list and then its body; a consumer that is faster leaves nothing to read.
    pub(crate) async fn first_body(&self) -> Result<Option<Vec<u8>>, QueueError> {
        for keys in self.shards() {
            let mut link = self.link(keys);
            let head: Option<String> =
                redis::cmd("LINDEX").arg(keys.ready()).arg(0).query_async(&mut link).await?;
            if let Some(pair) = head {
                let read = redis::cmd("HGET").arg(keys.ready_bodies()).arg(pair).to_owned();
                return Ok(read.query_async(&mut link).await?);
            }
        }
        Ok(None)
    }

    /// Says whether the pair was still there.
    pub(crate) async fn drop_taken(&self, pair: PairId) -> Result<bool, QueueError> {
        let keys = self.keys(pair);
        let mut call = self.scripts().delivered.key(keys.ready());
        call.key(keys.taken()).key(keys.ready_bodies()).key(keys.counters()).key(keys.record(pair));
        call.key(keys.events()).key(keys.ended(Ended::Finished));
        call.arg(pair.to_string()).arg(EVENTS_MAX);
        Ok(call.invoke_async::<i64>(&mut self.link(keys)).await? == 1)
    }

    /// Says whether the pair was taken under that lease.
    pub(crate) async fn return_taken(&self, pair: PairId, lapses_ms: u64) -> Result<bool, QueueError> {
        let keys = self.keys(pair);
        let mut call = self.scripts().put_back.key(keys.ready());
        call.key(keys.taken()).arg(pair.to_string()).arg(lapses_ms);
        Ok(call.invoke_async::<i64>(&mut self.link(keys)).await? == 1)
    }
}
