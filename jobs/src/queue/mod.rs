//! How jobs move through Redis: the only code that speaks to it.
//!
//! One stream and one consumer group per step carry the jobs; a sorted set holds what waits, a hash the dead
//! letters, a hash per pair everything its finished steps stored. Every move is one Lua file in `lua/`.

mod admission;
mod claim;
mod connection;
mod dead;
mod doctor;
mod entry;
mod error;
mod finish;
mod flow;
mod handover;
mod keys;
mod lane;
mod limits;
mod link;
mod mark;
mod pairs;
mod place;
mod record;
mod replicas;
mod retention;
mod scripts;
mod stats;
mod tend;

use std::{
    sync::{Arc, atomic::AtomicUsize},
    time::Duration,
};

use secrecy::SecretString;
use serde::{Deserialize, Serialize};

pub use self::{
    admission::{Admission, Bound},
    claim::{Cursor, Lapses, Leases, Reader},
    dead::{DeadFilter, DeadLetter, DeadPage, DeadPages, Death, Edited, Fate, LetterEdit, Replayed},
    doctor::invariants::{self, Violation},
    entry::{Arrival, Undecodable},
    error::QueueError,
    finish::{COMMITS_MAX, Committed},
    flow::{Pause, Target},
    keys::{DONE_PREFIX, STATE_FIELD, STATE_OPEN},
    lane::{Lane, Priority},
    pairs::{Cancelled, OpenPair, RunningJob},
    place::is_redis_url,
    retention::{Forgotten, Keep, Retention},
    stats::{Stats, StepStats},
    tend::Promoted,
};
use self::{keys::Keys, link::Link, place::Place, scripts::Scripts};
use crate::{
    job::{JobId, Step},
    pair::PairId,
    ports::RecentList,
};

/// Where Redis is and how the queue behaves.
#[derive(Debug, Clone)]
pub struct QueueConfig {
    /// `redis://`, `redis-sentinel://` or `redis-cluster://` URL, password included; `rediss` means TLS.
    pub url: SecretString,
    /// First part of every key's hash tag; `mondo` unless several deployments share one Redis.
    pub prefix: String,
    /// A job whose lease was not renewed for so long may be taken over by another worker.
    pub lease: Duration,
    /// Over how many shards the pairs are spread, at least 1. Fixed for as long as the queue holds anything.
    pub shards: u32,
    /// How much of the past is kept.
    pub retention: Retention,
    /// How much admission lets in.
    pub bounds: Bounds,
    /// How many replicas must have what commits and starts store before they return; 0 for none.
    pub replicas_min: u32,
    /// How long the first connection is tried for.
    pub connect_time_max: Duration,
}

/// A handle on the queue; cheap to clone.
#[derive(Clone)]
pub struct Queue {
    inner: Arc<Inner>,
}

struct Inner {
    config: QueueConfig,
    place: Arc<Place>,
    /// One for each shard of a cluster, else one for all.
    links: Vec<Link>,
    /// The same for what waits for replicas, which holds up all that shares its connection.
    waiting: Vec<Link>,
    shards: Vec<Keys>,
    scripts: Scripts,
    /// Takes so far.
    takes: AtomicUsize,
}

impl Queue {
    /// After how much silence a job may be taken over.
    pub fn lease(&self) -> Duration {
        self.inner.config.lease
    }

    /// Where Redis is, for another process of ours.
    pub fn url(&self) -> &SecretString {
        &self.inner.config.url
    }

    /// The name of the script that Redis knows by this hash, as its slow log says it.
    pub fn script_name(&self, hash: &str) -> Option<&'static str> {
        self.scripts().name(hash)
    }

    /// The shared connection to the server that holds these keys.
    fn link(&self, keys: &Keys) -> Link {
        let links = &self.inner.links;
        links[keys.shard() as usize % links.len()].clone()
    }

    /// As [`Queue::link`], for what waits for replicas.
    fn waiting_link(&self, keys: &Keys) -> Link {
        let links = &self.inner.waiting;
        links[keys.shard() as usize % links.len()].clone()
    }

    /// The keys of all shards.
    fn shards(&self) -> &[Keys] {
        &self.inner.shards
    }

    /// The keys of a shard by its number.
    fn shard(&self, number: u32) -> &Keys {
        let shards = self.shards();
        &shards[number as usize % shards.len()]
    }

    /// In which shard a pair and everything about it is.
    fn shard_of(&self, pair: PairId) -> u32 {
        pair.bucket(self.inner.config.shards)
    }

    /// The keys of a pair's shard.
    fn keys(&self, pair: PairId) -> &Keys {
        self.shard(self.shard_of(pair))
    }

    fn scripts(&self) -> &Scripts {
        &self.inner.scripts
    }
}

/// A job that is about to be added to its step's stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewJob {
    /// Its id.
    pub id: JobId,
    /// Its pair.
    pub pair: PairId,
    /// Its step.
    pub step: Step,
    /// Its versioned envelope; opaque here.
    pub envelope: String,
}

/// A pair that is about to be started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewPair {
    /// Its id.
    pub id: PairId,
    /// The priority of all its jobs.
    pub priority: Priority,
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

/// How much may be held at once: pairs that are open (dead letters included), ready or taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// So many pairs.
    pub pairs: u64,
    /// So many bytes in their records and bodies. What pairs under way still store may go beyond.
    pub bytes: u64,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { pairs: 100_000, bytes: 4 << 30 }
    }
}

/// One claimed job and the right to finish it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivery {
    /// The job's id.
    pub job: JobId,
    /// Its pair.
    pub pair: PairId,
    /// Its step.
    pub step: Step,
    /// Its priority; with the step, its stream.
    pub priority: Priority,
    /// The stream entry; the lease is this and the consumer's name.
    pub entry: String,
    /// Its envelope; opaque here.
    pub envelope: String,
    /// Runs that ended with an error before this one.
    pub attempts: u32,
    /// Runs that ended with their worker before this one.
    pub crashes: u32,
    /// Workers that were lost while it ran in a process of its own, since it was added to its stream.
    pub losses: u32,
}

/// Everything a finished job stores, in one transaction with its acknowledgement.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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
