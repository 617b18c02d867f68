//! Looking at pairs and jobs under way, and calling a pair off.

use redis::{AsyncCommands as _, RedisError, Value, from_redis_value};
use serde::Serialize;

use super::{
    Priority, Queue, QueueError,
    connection::is_group_missing,
    entry::{Entry, Fields},
    keys::{DONE_PREFIX, Ended, GROUP, Keys},
    limits::{BATCH_MAX, EVENTS_MAX},
    mark,
};
use crate::{job::Step, pair::PairId};

/// What became of a pair that was to be cancelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cancelled {
    /// It was under way and is rejected now. Its runs are cancelled when their leases are next renewed.
    UnderWay,
    /// It was ready and is rejected now: nobody gets it any more.
    Ready,
    /// It is being handed to a consumer: too late, unless it comes back.
    BeingTaken,
    /// It has ended already, or never was.
    Unknown,
}

/// A pair under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenPair {
    /// Its id.
    pub pair: PairId,
    /// When it was started, milliseconds since the Unix epoch.
    pub since_ms: u64,
    /// What its finished jobs did, in no order.
    pub done: Vec<Vec<u8>>,
}

/// A job that some worker has claimed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RunningJob {
    /// The job; the stream entry where it cannot be read.
    pub job: String,
    /// Its step.
    pub step: Step,
    /// Its priority.
    pub priority: Priority,
    /// Who has claimed it.
    pub worker: String,
    /// When it was added to its stream, milliseconds since the Unix epoch.
    pub added_ms: u64,
    /// How long ago its lease was last renewed, milliseconds.
    pub silent_ms: u64,
    /// Runs that ended with an error before this one.
    pub attempts: u32,
}

impl Queue {
    /// Calls a pair off, for a reason that people read: it ends as rejected. Its delayed jobs and dead letters
    /// go; jobs in streams are dropped by whoever claims them.
    ///
    /// # Errors
    /// When Redis is away.
    pub async fn cancel(&self, pair: PairId, reason: &str) -> Result<Cancelled, QueueError> {
        let keys = self.keys(pair);
        let delayed = self.members_like(keys, &keys.delayed(), &format!("*:{pair}/*")).await?;
        let dead = self.members_like(keys, &keys.dead(), &format!("{pair}/*")).await?;
        let mut call = self.scripts().cancel.key(keys.open());
        call.key(keys.ready()).key(keys.ready_bodies()).key(keys.taken()).key(keys.counters());
        call.key(keys.events()).key(keys.ended(Ended::Rejected)).key(keys.journals());
        call.key(keys.delayed()).key(keys.dead()).key(keys.dead_letters());
        call.key(keys.record(pair)).key(keys.journal(pair));
        for step in Step::ALL {
            call.key(keys.delayed_entries(step));
        }
        call.arg(pair.to_string()).arg(format!("cancelled: {reason}")).arg(EVENTS_MAX);
        call.arg(delayed.len()).arg(delayed).arg(dead);
        Ok(match call.invoke_async::<i64>(&mut self.link(keys)).await? {
            1 => Cancelled::UnderWay,
            2 => Cancelled::Ready,
            -1 => Cancelled::BeingTaken,
            _ => Cancelled::Unknown,
        })
    }

    /// The members of a sorted set that fit a pattern, at most 500, looked for in bounded pieces.
    async fn members_like(&self, keys: &Keys, key: &str, pattern: &str) -> Result<Vec<String>, QueueError> {
        let (mut found, mut cursor) = (Vec::new(), 0_u64);
        loop {
            let (next, flat): (u64, Vec<(String, f64)>) = redis::cmd("ZSCAN")
                .arg(key)
                .arg(cursor)
                .arg("MATCH")
                .arg(pattern)
                .arg("COUNT")
                .arg(BATCH_MAX)
                .query_async(&mut self.link(keys))
                .await?;
            found.extend(flat.into_iter().map(|(member, _)| member));
            cursor = next;
            if cursor == 0 || found.len() >= BATCH_MAX {
                // A scan may see a member twice.
                found.sort_unstable();
                found.dedup();
                found.truncate(BATCH_MAX);
                return Ok(found);
            }
        }
    }

    /// Pairs under way, of each shard the oldest first, at most `limit` and at most 500.
    ///
    /// # Errors
    /// When Redis is away.
    pub async fn open_pairs(&self, limit: usize) -> Result<Vec<OpenPair>, QueueError> {
        let mut pairs = Vec::new();
        for keys in self.shards() {
            let left = limit.min(BATCH_MAX) - pairs.len();
            let found: Vec<(String, u64)> = redis::cmd("ZRANGE")
                .arg(keys.open())
                .arg(0)
                .arg(left)
                .arg("WITHSCORES")
                .query_async(&mut self.link(keys))
                .await?;
            for (id, since_ms) in found.into_iter().take(left) {
                // An id that is no pair is for the doctor to show.
                let Ok(pair) = id.parse() else { continue };
                pairs.push(OpenPair { pair, since_ms, done: self.done(keys, pair).await? });
            }
        }
        Ok(pairs)
    }

    /// What the pair's finished jobs did; pages and pictures are not read.
    async fn done(&self, keys: &Keys, pair: PairId) -> Result<Vec<Vec<u8>>, QueueError> {
        let mut names: Vec<String> = self.link(keys).hkeys(keys.record(pair)).await?;
        names.retain(|name| name.starts_with(DONE_PREFIX));
        if names.is_empty() {
            return Ok(Vec::new());
        }
        let found: Vec<Option<Vec<u8>>> =
            redis::cmd("HMGET").arg(keys.record(pair)).arg(names).query_async(&mut self.link(keys)).await?;
        let mut done: Vec<Vec<u8>> = found.into_iter().flatten().collect();
        done.iter_mut().for_each(mark::keep_did);
        Ok(done)
    }

    /// Claimed jobs, by step, at most `limit`.
    ///
    /// # Errors
    /// When Redis is away.
    pub async fn running_jobs(&self, limit: usize) -> Result<Vec<RunningJob>, QueueError> {
        let mut jobs = Vec::new();
        for step in Step::ALL {
            for keys in self.shards() {
                for priority in Priority::ALL {
                    let left = (limit - jobs.len()).min(BATCH_MAX);
                    if left > 0 {
                        self.add_running(keys, step, priority, left, &mut jobs).await?;
                    }
                }
            }
        }
        Ok(jobs)
    }

    async fn add_running(
        &self,
        keys: &Keys,
        step: Step,
        priority: Priority,
        limit: usize,
        jobs: &mut Vec<RunningJob>,
    ) -> Result<(), QueueError> {
        let stream = keys.stream(step, priority);
        let pending: Result<Vec<(String, String, u64, u64)>, RedisError> = redis::cmd("XPENDING")
            .arg(&stream)
            .arg(GROUP)
            .arg("-")
            .arg("+")
            .arg(limit)
            .query_async(&mut self.link(keys))
            .await;
        let pending = match pending {
            Err(error) if is_group_missing(&error) => return Ok(()),
            other => other?,
        };
        let mut pipe = redis::pipe();
        for (entry, ..) in &pending {
            pipe.cmd("XRANGE").arg(&stream).arg(entry).arg(entry);
        }
        let found: Vec<Value> =
            if pending.is_empty() { Vec::new() } else { pipe.query_async(&mut self.link(keys)).await? };
        for ((entry, worker, silent_ms, _), value) in pending.into_iter().zip(found) {
            let fields: Vec<(String, Fields)> = from_redis_value(value).map_err(RedisError::from)?;
            let read = fields.first().and_then(|(_, fields)| Entry::from_fields(fields).ok());
            let (job, attempts) = read.map_or_else(
                || (format!("{step}@{entry}"), 0),
                |entry| (entry.id.as_str().to_owned(), entry.attempts),
            );
            let added_ms = entry.split('-').next().and_then(|ms| ms.parse().ok()).unwrap_or(0);
            jobs.push(RunningJob { job, step, priority, worker, added_ms, silent_ms, attempts });
        }
        Ok(())
    }
}
