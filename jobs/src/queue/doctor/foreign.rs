//! Looks for keys that hold something else than the queue keeps there: Redis refuses every command on such a key, and
//! does not say which it is.

use super::{
    super::{Queue, QueueError, keys::Keys, limits::BATCH_MAX},
    invariants::Foreign,
};
use crate::pair::PairId;

impl Queue {
    pub(super) async fn foreign(&self) -> Result<Vec<Foreign>, QueueError> {
        let mut foreign = Vec::new();
        for keys in self.shards() {
            let mut here = self.of_other_types(keys, &keys.types()).await?;
            // Which pairs there are cannot be read of a key that is none of ours.
            if here.is_empty() {
                here = self.of_other_types(keys, &self.types_of_pairs(keys).await?).await?;
            }
            foreign.append(&mut here);
        }
        Ok(foreign)
    }

    /// The keys of each pair that is open, ready or taken.
    async fn types_of_pairs(&self, keys: &Keys) -> Result<Vec<(String, &'static str)>, QueueError> {
        let mut pairs = self.members(keys, &keys.open()).await?;
        pairs.extend(self.listed(keys, &keys.ready()).await?);
        pairs.extend(self.members(keys, &keys.taken()).await?);
        let pairs = pairs.iter().filter_map(|pair| pair.parse::<PairId>().ok());
        Ok(pairs.flat_map(|pair| [(keys.record(pair), "hash"), (keys.journal(pair), "hash")]).collect())
    }

    async fn of_other_types(
        &self,
        keys: &Keys,
        expected: &[(String, &'static str)],
    ) -> Result<Vec<Foreign>, QueueError> {
        let mut foreign = Vec::new();
        for chunk in expected.chunks(BATCH_MAX) {
            let mut pipe = redis::pipe();
            for (key, _) in chunk {
                pipe.cmd("TYPE").arg(key);
            }
            let found: Vec<String> = pipe.query_async(&mut self.link(keys)).await?;
            for ((key, should), holds) in chunk.iter().zip(found) {
                if holds != "none" && holds != *should {
                    foreign.push(Foreign { key: key.clone(), holds, should });
                }
            }
        }
        Ok(foreign)
    }
}
