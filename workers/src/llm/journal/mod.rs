//! Nothing paid is paid again: every reply is in the pair's journal, or on its way there from the spool on the
//! local disk, before a step sees it.
//!
//! What is paid for is what the provider has sent to its end. A call whose handler is dropped (its lease was
//! lost, its time or the grace of a drain is over) ends with it, and the provider may charge for what nobody
//! read. A reply that has been read is filed by a task of the process: it outlives the handler, and the
//! process waits for it when it ends.

mod key;
mod store;

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use mondo_jobs::{
    job::{Job, JobId},
    pair::PairId,
    ports::{Llm, LlmError, Memory, MemoryError, RecentList, Reply, Request},
};
use serde::{Deserialize, Serialize};

use self::key::key;
pub use self::store::Journal;
use crate::notes;

/// Where a pair's journal keeps the recent objects that its prompt was made from.
const OBJECTS_KEY: &str = "recent-objects";

/// A responder, and the memory of recent pairs, as one job sees them: replies that the pair has paid for come
/// from its journal, others are asked for, filed and counted.
pub struct Journaled {
    llm: Arc<dyn Llm>,
    responder: String,
    journal: Journal,
    pair: PairId,
    job: JobId,
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
    pub fn new(llm: Arc<dyn Llm>, responder: impl Into<String>, journal: Journal, job: &Job) -> Self {
        Self {
            llm,
            responder: responder.into(),
            journal,
            pair: job.pair,
            job: job.id(),
            used: Mutex::default(),
        }
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

    /// The reply that the pair has already paid for.
    async fn recall(&self, key: &str) -> Result<Option<Entry>, LlmError> {
        let Some(stored) = self.journal.recall(self.pair, key).await? else { return Ok(None) };
        let entry = serde_json::from_slice(&stored);
        entry.map(Some).map_err(|error| LlmError::JournalUnusable {
            message: format!("the field `{key}` of the journal of pair `{}` is no reply: {error}", self.pair),
        })
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
            // Strings and numbers always serialise. No await between the reply and here: from now on it is
            // filed even if this future is dropped.
            let bytes = serde_json::to_vec(&entry).unwrap_or_default();
            self.journal.file(self.pair, &key, bytes).await?;
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
        let queue = self.journal.queue();
        if list == RecentList::Questions {
            return queue.recent(list).await;
        }
        let stored = queue.journal_get(self.pair, OBJECTS_KEY).await?;
        if let Some(seen) = stored.and_then(|stored| serde_json::from_slice(&stored).ok()) {
            return Ok(seen);
        }
        let seen = queue.recent(list).await?;
        // Strings always serialise.
        let bytes = serde_json::to_vec(&seen).unwrap_or_default();
        queue.journal_put(self.pair, OBJECTS_KEY, &bytes).await?;
        Ok(seen)
    }
}
