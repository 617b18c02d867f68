//! What is stored about a pair, and what recent pairs used.

use std::collections::HashMap;

use async_trait::async_trait;
use redis::AsyncCommands as _;

use super::{Queue, QueueError, limits::check_size};
use crate::{
    pair::PairId,
    ports::{Memory, MemoryError, RecentList},
};

impl Queue {
    /// All fields of a pair's record; empty for a pair that is not known.
    ///
    /// # Errors
    /// When Redis is away.
    pub async fn record(&self, pair: PairId) -> Result<HashMap<String, Vec<u8>>, QueueError> {
        Ok(self.connection().hgetall(self.keys(pair).record(pair)).await?)
    }

    /// A reply that the pair has already paid for.
    ///
    /// # Errors
    /// When Redis is away.
    pub async fn journal_get(&self, pair: PairId, key: &str) -> Result<Option<Vec<u8>>, QueueError> {
        Ok(self.connection().hget(self.keys(pair).journal(pair), key).await?)
    }

    /// Stores a paid reply before it is used. The first reply under a key stays, until the journal of
    /// an ended pair is forgotten.
    ///
    /// # Errors
    /// When Redis is away, or the reply has more than 2 MiB.
    pub async fn journal_put(&self, pair: PairId, key: &str, reply: &[u8]) -> Result<(), QueueError> {
        check_size("reply", reply.len())?;
        let _: bool = self.connection().hset_nx(self.keys(pair).journal(pair), key, reply).await?;
        Ok(())
    }
}

#[async_trait]
impl Memory for Queue {
    async fn recent(&self, list: RecentList) -> Result<Vec<String>, MemoryError> {
        let mut pipe = redis::pipe();
        for keys in self.shards() {
            pipe.lrange(keys.recent(list), 0, -1);
        }
        let lists: Result<Vec<Vec<String>>, _> = pipe.query_async(&mut self.connection()).await;
        let lists = lists.map_err(|error| MemoryError(Box::new(error)))?;
        Ok(lists.into_iter().flatten().collect())
    }
}
