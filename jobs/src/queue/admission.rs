//! How pairs come in.

use super::{
    Marks, NewPair, Queue, QueueError,
    entry::Entry,
    keys::{Keys, number},
    limits::{EVENTS_MAX, ITEMS_MAX, check_count, check_size},
};

impl Queue {
    /// Starts these pairs, at most 500. One that exists already is passed over, so repeating is safe.
    ///
    /// # Errors
    /// When Redis is away, or a field has more than 2 MiB.
    pub async fn start(&self, pairs: &[NewPair]) -> Result<(), QueueError> {
        self.admit(None, pairs).await.map(|_| ())
    }

    /// Starts as many of these pairs, at most 500, as fit below the high mark, if *ready + under way* is below
    /// the low one. Says how many. However many callers there are, together they never pass the high mark.
    ///
    /// # Errors
    /// When Redis is away, or a field has more than 2 MiB.
    pub async fn refill(&self, marks: Marks, pairs: &[NewPair]) -> Result<u64, QueueError> {
        self.admit(Some(marks), pairs).await
    }

    async fn admit(&self, marks: Option<Marks>, pairs: &[NewPair]) -> Result<u64, QueueError> {
        check_count("pairs to start", pairs.len())?;
        for pair in pairs {
            check(pair)?;
        }
        let mut started = 0;
        for (shard, keys) in (0..).zip(self.shards()) {
            let here: Vec<&NewPair> = pairs.iter().filter(|pair| self.shard_of(pair.id) == shard).collect();
            if !here.is_empty() {
                let marks = marks.map(|marks| marks.share(shard, self.shard_count()));
                started += self.admit_in(keys, marks, &here).await?;
            }
        }
        Ok(started)
    }

    async fn admit_in(
        &self,
        keys: &Keys,
        marks: Option<Marks>,
        pairs: &[&NewPair],
    ) -> Result<u64, QueueError> {
        let mut call = self.scripts().start.key(keys.open());
        call.key(keys.ready()).key(keys.taken()).key(keys.counters()).key(keys.events()).key(keys.streams());
        match marks {
            Some(marks) => call.arg(marks.low).arg(marks.high),
            None => call.arg(-1).arg(-1),
        };
        call.arg(pairs.len()).arg(EVENTS_MAX);
        for pair in pairs {
            call.key(keys.record(pair.id));
            call.arg(pair.id.to_string()).arg(number(pair.first.step, pair.priority));
            call.arg(Entry::fresh(&pair.first).to_json()).arg(pair.fields.len());
            for (name, value) in &pair.fields {
                call.arg(name).arg(value);
            }
        }
        Ok(call.invoke_async(&mut self.connection()).await?)
    }
}

impl Marks {
    /// What falls to one of several shards; all shares together are the whole.
    fn share(self, shard: u32, shards: u32) -> Self {
        let (shard, shards) = (u64::from(shard), u64::from(shards));
        let part = |whole: u64| (shard + 1) * whole / shards - shard * whole / shards;
        Self { low: part(self.low), high: part(self.high) }
    }
}

fn check(pair: &NewPair) -> Result<(), QueueError> {
    if pair.fields.len() > ITEMS_MAX {
        return Err(QueueError::TooMany { what: "fields", count: pair.fields.len(), limit: ITEMS_MAX });
    }
    pair.fields.iter().try_for_each(|(name, value)| check_size(name, value.len()))
}
