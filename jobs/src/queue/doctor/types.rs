//! Looks for keys that hold something else than the queue keeps there: Redis refuses every command on such a key, and
//! does not say which it is.

use std::iter;

use super::{
    super::{Queue, QueueError, keys::Keys, limits::BATCH_MAX},
    invariants::Strange,
};

impl Queue {
    pub(super) async fn strange(&self) -> Result<Vec<Strange>, QueueError> {
        let mut strange = Vec::new();
        for keys in self.shards() {
            let mut here = self.of_other_types(keys, &keys.types()).await?;
            // Which pairs are open cannot be read of a key that is none of ours.
            if here.is_empty() {
                let open = self.members(keys, &keys.open()).await?;
                let open = open.iter().filter_map(|pair| pair.parse().ok());
                let records: Vec<_> = open.map(|pair| keys.record(pair)).zip(iter::repeat("hash")).collect();
                here = self.of_other_types(keys, &records).await?;
            }
            strange.append(&mut here);
        }
        Ok(strange)
    }

    async fn of_other_types(
        &self,
        keys: &Keys,
        expected: &[(String, &'static str)],
    ) -> Result<Vec<Strange>, QueueError> {
        let mut strange = Vec::new();
        for chunk in expected.chunks(BATCH_MAX) {
            let mut pipe = redis::pipe();
            for (key, _) in chunk {
                pipe.cmd("TYPE").arg(key);
            }
            let found: Vec<String> = pipe.query_async(&mut self.link(keys)).await?;
            for ((key, should), holds) in chunk.iter().zip(found) {
                if holds != "none" && holds != *should {
                    strange.push(Strange { key: key.clone(), holds, should });
                }
            }
        }
        Ok(strange)
    }
}
