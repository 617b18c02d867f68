//! How pairs come in.

use super::{
    Marks, NewPair, Queue, QueueError,
    entry::Entry,
    limits::{ITEMS_MAX, check_count, check_size},
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
        let Some(first) = pairs.first() else { return Ok(0) };
        check_count("pairs to start", pairs.len())?;
        let keys = self.keys();
        let mut call = self.scripts().start.key(keys.open());
        call.key(keys.ready()).key(keys.taken()).key(keys.counters()).key(keys.stream(first.first.step));
        match marks {
            Some(marks) => call.arg(marks.low).arg(marks.high),
            None => call.arg(-1).arg(-1),
        };
        call.arg(pairs.len());
        for pair in pairs {
            if pair.fields.len() > ITEMS_MAX {
                return Err(QueueError::TooMany {
                    what: "fields",
                    count: pair.fields.len(),
                    limit: ITEMS_MAX,
                });
            }
            call.key(keys.record(pair.id));
            call.arg(pair.id.to_string()).arg(Entry::fresh(&pair.first).to_json()).arg(pair.fields.len());
            for (name, value) in &pair.fields {
                check_size(name, value.len())?;
                call.arg(name).arg(value);
            }
        }
        Ok(call.invoke_async(&mut self.connection()).await?)
    }
}
