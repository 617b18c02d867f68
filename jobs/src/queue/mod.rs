//! How jobs move through Redis: the only code that speaks to it.
//!
//! One stream and one consumer group per step carry the jobs; a sorted set holds what waits, a hash the dead
//! letters, a hash per pair everything its finished steps stored. Every move is one Lua file in `lua/`.

use std::{collections::HashMap, time::Duration};

use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use crate::{
    job::{JobId, Step},
    pair::PairId,
    ports::RecentList,
};

/// Where Redis is and how the queue behaves.
#[derive(Debug, Clone)]
pub struct QueueConfig {
    /// `redis://` or `rediss://` URL, password included.
    pub url: SecretString,
    /// First part of every key's hash tag; `mondo` unless several deployments share one Redis.
    pub prefix: String,
    /// A job whose lease was not renewed for so long may be taken over by another worker.
    pub lease: Duration,
}

/// A handle on the queue; cheap to clone.
#[derive(Clone)]
pub struct Queue {
    config: QueueConfig,
}

/// A job that is about to be added to its step's stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewJob {
    /// Its id.
    pub id: JobId,
    /// Its pair.
    pub pair: PairId,
    /// Its stream.
    pub step: Step,
    /// Its versioned envelope; opaque here.
    pub envelope: String,
}

/// A pair that is about to be started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewPair {
    /// Its id.
    pub id: PairId,
    /// The first fields of its record, at most 2 MiB each.
    pub fields: Vec<(String, Vec<u8>)>,
    /// Its first job.
    pub first: NewJob,
}

/// Between which marks *ready + under way* is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Marks {
    /// Below this many, pairs are started.
    pub low: u64,
    /// Up to this many.
    pub high: u64,
}

/// One claimed job and the right to finish it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// The job's id.
    pub job: JobId,
    /// Its pair.
    pub pair: PairId,
    /// Its stream.
    pub step: Step,
    /// The stream entry; the lease is this and the consumer's name.
    pub entry: String,
    /// Its envelope; opaque here.
    pub envelope: String,
    /// Runs that ended with an error before this one.
    pub attempts: u32,
    /// Runs that ended with their worker before this one.
    pub crashes: u32,
}

/// Everything a finished job stores, in one transaction with its acknowledgement.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Commit {
    /// What the job did; its presence marks the job as committed.
    pub record: Vec<u8>,
    /// Fields of the pair's record, at most 2 MiB each.
    pub fields: Vec<(String, Vec<u8>)>,
    /// What follows.
    pub next: Vec<NewJob>,
    /// How the pair ends, if it ends here.
    pub end: Option<End>,
    /// What later pairs should not repeat.
    pub remember: Vec<(RecentList, String)>,
    /// Counters to raise.
    pub counters: Vec<(String, i64)>,
}

/// How a pair ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// It goes to the ready list with this body, at most 2 MiB of JSON.
    Ready {
        /// What consumers get.
        body: Vec<u8>,
    },
    /// It is kept with its reason.
    Rejected {
        /// Why, for people.
        reason: String,
    },
}

/// A job that will not be run again by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadLetter {
    /// The job, or stream and entry where no id could be read.
    pub job: String,
    /// Its pair, where one could be read.
    pub pair: Option<PairId>,
    /// Its stream.
    pub step: Step,
    /// Its envelope, or the raw fields of an entry that could not be decoded, in hex.
    pub envelope: String,
    /// Runs that ended with an error.
    pub attempts: u32,
    /// Runs that ended with their worker.
    pub crashes: u32,
    /// The class of the last error: what `mondo dead` groups and filters by.
    pub class: String,
    /// The last error and its causes, outermost first.
    pub chain: Vec<String>,
    /// When it died, milliseconds since the Unix epoch.
    pub at_ms: u64,
}

/// What is where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Default)]
pub struct Stats {
    /// Jobs by step.
    pub steps: Vec<StepStats>,
    /// Pairs under way.
    pub open: u64,
    /// Finished pairs waiting for a consumer.
    pub ready: u64,
    /// Pairs that are being written to a consumer.
    pub taken: u64,
    /// Dead letters.
    pub dead: u64,
    /// Counters since the queue was made, by name: `committed`, `ready`, `rejected`, `delivered`,
    /// `llm_calls`, `cost_micro_usd` and others.
    pub counters: HashMap<String, i64>,
}

/// Jobs of one step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StepStats {
    /// The step.
    pub step: Step,
    /// In the stream, not yet claimed.
    pub waiting: u64,
    /// Claimed and not yet finished.
    pub running: u64,
    /// Waiting for their time (retries, rate limits).
    pub delayed: u64,
}

/// Why the queue could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum QueueError {
    /// Redis is away, slow or refuses.
    #[error("redis: {0}")]
    Redis(#[from] redis::RedisError),
    /// A value is larger than may be stored.
    #[error("{what} has {bytes} bytes, more than the {limit} that are allowed")]
    TooLarge {
        /// What is too large.
        what: String,
        /// Its size.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
}

/// Which dead letters are meant; a field that is absent means any.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeadFilter {
    /// Of this step.
    pub step: Option<Step>,
    /// Of this error class.
    pub class: Option<String>,
    /// Of this job.
    pub job: Option<String>,
}

/// One broken invariant, found on the live queue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Violation {
    /// The invariant: `Q1`, `Q2`, …
    pub invariant: String,
    /// What breaks it, in words, with the job or pair named.
    pub detail: String,
}

#[expect(clippy::unused_async, unused_variables, clippy::missing_errors_doc, reason = "signatures first")]
impl Queue {
    /// Connects, loads the scripts and makes the groups.
    pub async fn connect(config: QueueConfig) -> Result<Self, QueueError> {
        unimplemented!()
    }

    /// Starts these pairs.
    pub async fn start(&self, pairs: &[NewPair]) -> Result<(), QueueError> {
        unimplemented!()
    }

    /// Starts as many of these pairs as fit below the high mark, if *ready + under way* is below the low one.
    /// Says how many.
    pub async fn refill(&self, marks: Marks, pairs: &[NewPair]) -> Result<u64, QueueError> {
        unimplemented!()
    }

    /// All fields of a pair's record.
    pub async fn record(&self, pair: PairId) -> Result<HashMap<String, Vec<u8>>, QueueError> {
        unimplemented!()
    }

    /// A reply that the pair has already paid for.
    pub async fn journal_get(&self, pair: PairId, key: &str) -> Result<Option<Vec<u8>>, QueueError> {
        unimplemented!()
    }

    /// Stores a paid reply before it is used.
    pub async fn journal_put(&self, pair: PairId, key: &str, reply: &[u8]) -> Result<(), QueueError> {
        unimplemented!()
    }

    /// What is where.
    pub async fn stats(&self) -> Result<Stats, QueueError> {
        unimplemented!()
    }

    /// Dead letters, oldest first, at most `limit`.
    pub async fn dead(&self, filter: &DeadFilter, limit: usize) -> Result<Vec<DeadLetter>, QueueError> {
        unimplemented!()
    }

    /// Puts one dead letter back into its stream with fresh attempts. Says whether it was there.
    pub async fn replay(&self, job: &str) -> Result<bool, QueueError> {
        unimplemented!()
    }

    /// Checks the named invariants on the live queue.
    pub async fn doctor(&self) -> Result<Vec<Violation>, QueueError> {
        unimplemented!()
    }
}
