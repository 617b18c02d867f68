//! What is stored about a pair, and what recent pairs used.

use std::collections::HashMap;

use async_trait::async_trait;
use redis::AsyncCommands as _;

use super::{Queue, QueueError, keys::DONE_PREFIX, limits::check_size, mark};
use crate::{
    pair::PairId,
    ports::{LlmError, Memory, MemoryError, RecentList},
};

impl Queue {
    /// All fields of a pair's record; empty for a pair that is not known.
    ///
    /// # Errors
    /// When Redis is away.
    pub async fn record(&self, pair: PairId) -> Result<HashMap<String, Vec<u8>>, QueueError> {
        let mut fields = self.fields(pair).await?;
        for (_, mark) in fields.iter_mut().filter(|(name, _)| name.starts_with(DONE_PREFIX)) {
            mark::keep_did(mark);
        }
        Ok(fields)
    }

    /// The same with its marks as they are.
    pub(super) async fn fields(&self, pair: PairId) -> Result<HashMap<String, Vec<u8>>, QueueError> {
        let keys = self.keys(pair);
        Ok(self.link(keys).hgetall(keys.record(pair)).await?)
    }

    /// A reply that the pair has already paid for.
    ///
    /// # Errors
    /// When Redis is away.
    pub async fn journal_get(&self, pair: PairId, key: &str) -> Result<Option<Vec<u8>>, QueueError> {
        let keys = self.keys(pair);
        Ok(self.link(keys).hget(keys.journal(pair), key).await?)
    }

    /// Stores a paid reply before it is used. The first reply under a key stays, until the journal of an ended
    /// pair is forgotten. `false` when the pair has ended already, or is not known: nobody will ask for the
    /// reply, and nothing would ever forget it, so it is not stored.
    ///
    /// # Errors
    /// When Redis is away, or the reply has more than 2 MiB.
    pub async fn journal_put(&self, pair: PairId, key: &str, reply: &[u8]) -> Result<bool, QueueError> {
        check_size("reply", reply.len())?;
        let keys = self.keys(pair);
        let mut call = self.scripts().journal.key(keys.record(pair));
        call.key(keys.journal(pair)).arg(key).arg(reply);
        Ok(call.invoke_async::<i64>(&mut self.link(keys)).await? >= 0)
    }
}

/// Redis away is a pause; a journal that is no journal stays so.
impl From<QueueError> for LlmError {
    fn from(error: QueueError) -> Self {
        let message = error.to_string();
        if error.is_passing() { Self::Journal { message } } else { Self::JournalUnusable { message } }
    }
}

/// Redis away is a pause; a list that is no list stays so.
impl From<QueueError> for MemoryError {
    fn from(error: QueueError) -> Self {
        if error.is_passing() { Self::Away(Box::new(error)) } else { Self::Unusable(Box::new(error)) }
    }
}

#[async_trait]
impl Memory for Queue {
    async fn recent(&self, list: RecentList) -> Result<Vec<String>, MemoryError> {
        let mut texts = Vec::new();
        for keys in self.shards() {
            let found: Result<Vec<String>, _> = self.link(keys).lrange(keys.recent(list), 0, -1).await;
            texts.extend(found.map_err(QueueError::from)?);
        }
        Ok(texts)
    }
}
