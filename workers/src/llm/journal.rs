//! Nothing paid is paid again: every reply is in the pair's journal before a step sees it.

use std::{
    collections::HashSet,
    fmt::Write as _,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use mondo_jobs::{
    job::{Job, JobId},
    pair::PairId,
    ports::{Llm, LlmError, Memory, MemoryError, RecentList, Reply, Request},
    queue::{Queue, QueueError},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};
use tokio::time::Instant;

use crate::notes;

/// For so long a store that is away is waited for, with a paid reply in hand or before one is asked for,
/// unless [`Journaled::patient_for`] says otherwise.
const PATIENCE: Duration = Duration::from_secs(30);

/// Where a pair's journal keeps the recent objects that its prompt was made from.
const OBJECTS_KEY: &str = "recent-objects";

/// The first pause between two tries; it doubles up to [`PAUSE_MAX`].
const PAUSE: Duration = Duration::from_millis(100);

/// The longest pause between two tries.
const PAUSE_MAX: Duration = Duration::from_secs(3);

/// A responder, and the memory of recent pairs, as one job sees them: replies that the pair has paid for come
/// from its journal, others are asked for, stored and counted.
///
/// A reply that cannot be stored within 30 s is used all the same, with a warning: only if the job is then
/// run again is it paid for twice. A local spool that outlives the process would close that gap; there is
/// none yet.
pub struct Journaled {
    llm: Arc<dyn Llm>,
    responder: String,
    queue: Queue,
    pair: PairId,
    job: JobId,
    patience: Duration,
    used: Mutex<Used>,
}

/// What the replies that a job used have cost.
///
/// Each reply is counted once, by the job that paid for it: also when an earlier attempt of that job paid and
/// failed, since only a commit stores a count. What another job of the pair paid for is in that job's count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// Replies.
    pub calls: u32,
    /// Their price, millionths of a US dollar.
    pub cost_micro_usd: u64,
}

/// What a job has used so far.
#[derive(Default)]
struct Used {
    /// The replies that are counted: a job may ask the same twice.
    keys: HashSet<String>,
    tally: Tally,
}

/// A reply as the journal holds it.
#[derive(Serialize, Deserialize)]
struct Entry {
    /// Who paid for it.
    job: JobId,
    reply: Reply,
}

impl Journaled {
    /// Wraps `llm` for one run of one job. `responder` is provider and model: another one's replies are not
    /// reused.
    pub fn new(llm: Arc<dyn Llm>, responder: impl Into<String>, queue: Queue, job: &Job) -> Self {
        Self {
            llm,
            responder: responder.into(),
            queue,
            pair: job.pair,
            job: job.id(),
            patience: PATIENCE,
            used: Mutex::default(),
        }
    }

    /// Waits for a store that is away for so long.
    #[must_use]
    pub fn patient_for(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// What the replies used so far have cost.
    pub fn tally(&self) -> Tally {
        self.used().tally
    }

    fn used(&self) -> MutexGuard<'_, Used> {
        self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn count(&self, key: String, reply: &Reply) {
        let mut used = self.used();
        if used.keys.insert(key) {
            used.tally.calls += 1;
            used.tally.cost_micro_usd = used.tally.cost_micro_usd.saturating_add(reply.cost_micro_usd);
        }
    }

    /// The journaled reply. An entry that cannot be read back is as good as none: the request is asked again.
    async fn recall(&self, key: &str) -> Result<Option<Entry>, LlmError> {
        let stored = patiently(self.patience, || self.queue.journal_get(self.pair, key))
            .await
            .map_err(|error| LlmError::Journal { message: error.to_string() })?;
        let Some(stored) = stored else { return Ok(None) };
        let entry = serde_json::from_slice(&stored);
        if let Err(error) = &entry {
            tracing::warn!(pair.id = %self.pair, key, %error, "a journaled reply cannot be read");
        }
        Ok(entry.ok())
    }

    async fn store(&self, key: &str, entry: &Entry) {
        // Strings and numbers always serialise.
        let bytes = serde_json::to_vec(entry).unwrap_or_default();
        if let Err(error) = patiently(self.patience, || self.queue.journal_put(self.pair, key, &bytes)).await
        {
            tracing::warn!(
                pair.id = %self.pair,
                responder = self.responder,
                cost_micro_usd = entry.reply.cost_micro_usd,
                %error,
                "a paid reply could not be stored; it is paid for again if this job is run again"
            );
        }
    }
}

#[async_trait]
impl Llm for Journaled {
    async fn complete(&self, request: &Request) -> Result<Reply, LlmError> {
        notes::asked(&self.responder);
        let key = key(&self.responder, request);
        let journaled = self.recall(&key).await?;
        tracing::debug!(
            responder = self.responder,
            purpose = ?request.purpose,
            journaled = journaled.is_some(),
            "asking"
        );
        let entry = if let Some(entry) = journaled {
            entry
        } else {
            let entry = Entry { job: self.job.clone(), reply: self.llm.complete(request).await? };
            self.store(&key, &entry).await;
            entry
        };
        if entry.job == self.job {
            self.count(key, &entry.reply);
        }
        Ok(entry.reply)
    }
}

/// Prompts are made from the objects that recent pairs used, and that list changes by the minute: a job that
/// is run again would ask something else, and pay for it. So a pair sees the list as it was when it first
/// looked.
///
/// The list of questions is read afresh each time: it is in no prompt, only in a check of what was replied.
#[async_trait]
impl Memory for Journaled {
    async fn recent(&self, list: RecentList) -> Result<Vec<String>, MemoryError> {
        if list == RecentList::Questions {
            return self.queue.recent(list).await;
        }
        let away = |error: QueueError| MemoryError(Box::new(error));
        let stored = self.queue.journal_get(self.pair, OBJECTS_KEY).await.map_err(away)?;
        if let Some(seen) = stored.and_then(|stored| serde_json::from_slice(&stored).ok()) {
            return Ok(seen);
        }
        let seen = self.queue.recent(list).await?;
        // Strings always serialise.
        let bytes = serde_json::to_vec(&seen).unwrap_or_default();
        self.queue.journal_put(self.pair, OBJECTS_KEY, &bytes).await.map_err(away)?;
        Ok(seen)
    }
}

/// Tries again while Redis is away, for so long. A refusal of the value itself is final.
async fn patiently<T, F: Future<Output = Result<T, QueueError>>>(
    patience: Duration,
    run: impl Fn() -> F,
) -> Result<T, QueueError> {
    let deadline = Instant::now() + patience;
    let mut pause = PAUSE;
    loop {
        match run().await {
            Err(QueueError::Redis(error)) if Instant::now() + pause < deadline => {
                tracing::debug!(%error, "the journal is away; trying again");
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(PAUSE_MAX);
            }
            result => return result,
        }
    }
}

/// Names a reply by everything that led to it: hex SHA-256 of responder and request, in a form that does not
/// depend on the order of object keys.
fn key(responder: &str, request: &Request) -> String {
    let mut text = String::new();
    canonical(&Value::from(responder), &mut text);
    // Strings, finite numbers and JSON values always serialise. The purpose is part of the request.
    canonical(&serde_json::to_value(request).unwrap_or_default(), &mut text);
    Sha256::digest(text.as_bytes()).iter().fold(String::with_capacity(64), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

fn canonical(value: &Value, out: &mut String) {
    match value {
        Value::Object(map) => {
            let mut entries: Vec<_> = map.iter().collect();
            entries.sort_unstable_by_key(|(name, _)| *name);
            out.push('{');
            for (name, value) in entries {
                let _ = write!(out, "{}:", Value::from(name.as_str()));
                canonical(value, out);
                out.push(',');
            }
            out.push('}');
        }
        Value::Array(items) => {
            out.push('[');
            for item in items {
                canonical(item, out);
                out.push(',');
            }
            out.push(']');
        }
        other => {
            let _ = write!(out, "{other}");
        }
    }
}

#[cfg(test)]
mod tests {
    use mondo_jobs::ports::{Message, Purpose, Role};
    use serde_json::json;

    use super::*;

    fn request(inputs: Value) -> Request {
        Request {
            purpose: Purpose::Objects,
            messages: vec![Message { role: Role::User, content: "name some objects".to_owned() }],
            schema: None,
            inputs,
            tokens_max: 100,
            temperature: 0.7,
            seed: 1,
        }
    }

    #[test]
    fn the_order_of_object_keys_does_not_change_the_key() {
        let one = request(serde_json::from_str(r#"{"a":{"x":1,"y":[2]},"b":null}"#).unwrap());
        let other = request(serde_json::from_str(r#"{"b":null,"a":{"y":[2],"x":1}}"#).unwrap());
        assert_eq!(key("p/m", &one), key("p/m", &other));
    }

    #[test]
    fn every_part_of_a_request_changes_the_key() {
        let base = request(json!({}));
        let base_key = key("p/m", &base);
        assert_eq!(base_key.len(), 64);
        let changed = [
            Request { purpose: Purpose::Solve, ..base.clone() },
            Request { messages: Vec::new(), ..base.clone() },
            Request { inputs: json!({ "a": 1 }), ..base.clone() },
            Request { tokens_max: 101, ..base.clone() },
            Request { temperature: 0.8, ..base.clone() },
            Request { seed: 2, ..base.clone() },
        ];
        for other in changed {
            assert_ne!(key("p/m", &other), base_key, "{other:?}");
        }
        assert_ne!(key("p/other", &base), base_key);
    }

    /// A new way to compute keys would pay for every journaled reply again.
    #[test]
    fn the_key_stays_the_same_from_release_to_release() {
        assert_eq!(
            key("p/m", &request(json!({ "topic": "games" }))),
            "bf732e39165ca03a8849455a680249735e41d301bd0d592c4503587d748f9aff"
        );
    }
}
