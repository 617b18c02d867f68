//! The moves behind [`crate::ready`].

use std::time::Duration;

use super::{Queue, QueueError, claim::millis, limits::FINISHED_KEPT_SECS};
use crate::{pair::PairId, ready::Taken};

/// How many lapsed leases one take returns to the list.
const LAPSED_MAX: usize = 100;

impl Queue {
    /// Takes the pair at the head of the ready list for as long as `lease`.
    ///
    /// # Errors
    /// When Redis is away.
    pub async fn take_for(&self, lease: Duration) -> Result<Option<Taken>, QueueError> {
        let keys = self.keys();
        let mut call = self.scripts().take.key(keys.ready());
        call.key(keys.taken()).key(keys.ready_bodies()).arg(millis(lease)).arg(LAPSED_MAX);
        loop {
            let reply: Vec<Vec<u8>> = call.invoke_async(&mut self.connection()).await?;
            let Ok([pair, body]) = <[Vec<u8>; 2]>::try_from(reply) else { return Ok(None) };
            if let Some(pair) = std::str::from_utf8(&pair).ok().and_then(|pair| pair.parse().ok()) {
                return Ok(Some(Taken { pair, body }));
            }
            // Somebody else's entry: it stays with the taken ones, where the doctor shows it.
            tracing::error!(id = %pair.escape_ascii(), "an id in the ready list is no pair");
        }
    }

    /// Reads the head of the list and then its body; a consumer that is faster leaves nothing to read.
    pub(crate) async fn first_body(&self) -> Result<Option<Vec<u8>>, QueueError> {
        let (keys, mut connection) = (self.keys(), self.connection());
        let head: Option<String> =
            redis::cmd("LINDEX").arg(keys.ready()).arg(0).query_async(&mut connection).await?;
        let Some(pair) = head else { return Ok(None) };
        Ok(redis::cmd("HGET").arg(keys.ready_bodies()).arg(pair).query_async(&mut connection).await?)
    }

    /// Says whether the pair was still there.
    pub(crate) async fn drop_taken(&self, pair: PairId) -> Result<bool, QueueError> {
        let keys = self.keys();
        let mut call = self.scripts().delivered.key(keys.ready());
        call.key(keys.taken()).key(keys.ready_bodies()).key(keys.counters()).key(keys.record(pair));
        call.arg(pair.to_string()).arg(FINISHED_KEPT_SECS);
        Ok(call.invoke_async::<i64>(&mut self.connection()).await? == 1)
    }

    /// Says whether the pair was taken.
    pub(crate) async fn return_taken(&self, pair: PairId) -> Result<bool, QueueError> {
        let mut call = self.scripts().put_back.key(self.keys().ready());
        call.key(self.keys().taken()).arg(pair.to_string());
        Ok(call.invoke_async::<i64>(&mut self.connection()).await? == 1)
    }
}
