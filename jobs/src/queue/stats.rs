//! What is where, in one round trip.

use std::collections::HashMap;

use redis::{RedisError, Value, from_redis_value};
use serde::Serialize;

use super::{
    Pause, Queue, QueueError,
    connection::is_group_missing,
    keys::{GROUP, Keys, lanes},
    limits::BATCH_MAX,
};
use crate::job::Step;

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
    /// What is held up on purpose.
    pub pauses: Vec<Pause>,
    /// Counters since the queue was made, by name: `started`, `committed`, `ready`, `rejected`, `delivered`,
    /// `retried`, `waited`, `buried`, `set_aside`, `released`, `reclaimed`, `replayed`, `discarded`,
    /// `unreplicated`, and those that commits raise, as `llm_calls` and `cost_micro_usd`. `held_bytes` goes up and down: about what
    /// the records and bodies of open and ready pairs take up.
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
    /// How many slots would leave nothing waiting: what waits, runs, or is delayed and due already. Of the latter at
    /// most 500 of each shard are looked at. Never Redis's own `lag`, which a deleted entry turns into nothing.
    pub wanted: u64,
}

impl Queue {
    /// What is where.
    ///
    /// # Errors
    /// When Redis is away, or a key is of another type than ours.
    pub async fn stats(&self) -> Result<Stats, QueueError> {
        let mut stats = Stats::default();
        stats.steps.extend(Step::ALL.map(|step| StepStats {
            step,
            waiting: 0,
            running: 0,
            delayed: 0,
            wanted: 0,
        }));
        for keys in self.shards() {
            self.add_stats(keys, &mut stats).await?;
        }
        stats.pauses = self.pauses().await?;
        Ok(stats)
    }

    async fn add_stats(&self, keys: &Keys, stats: &mut Stats) -> Result<(), QueueError> {
        let mut pipe = redis::pipe();
        pipe.ignore_errors();
        pipe.zcard(keys.open()).llen(keys.ready()).zcard(keys.taken()).zcard(keys.dead());
        pipe.hgetall(keys.counters());
        for step in Step::ALL {
            pipe.hlen(keys.delayed_entries(step));
        }
        for stream in keys.streams() {
            pipe.xlen(&stream).cmd("XPENDING").arg(&stream).arg(GROUP);
        }
        let replies: Vec<Result<Value, RedisError>> = pipe.query_async(&mut self.link(keys)).await?;

        let replies = replies.into_iter().map(|reply| match reply {
            // A group that a FLUSHALL took has nothing pending.
            Err(error) if is_group_missing(&error) => Ok(Value::Nil),
            other => other,
        });
        let mut replies = replies.collect::<Result<Vec<_>, _>>()?.into_iter();
        let mut next = || replies.next().unwrap_or(Value::Nil);
        for total in [&mut stats.open, &mut stats.ready, &mut stats.taken, &mut stats.dead] {
            *total += count(next());
        }
        let counters: HashMap<String, i64> = from_redis_value(next()).map_err(RedisError::from)?;
        for (name, by) in counters {
            *stats.counters.entry(name).or_default() += by;
        }
        for step in &mut stats.steps {
            step.delayed += count(next());
        }
        for (step, _) in lanes() {
            let length = count(next());
            let running = match next() {
                Value::Array(summary) => summary.into_iter().next().map_or(0, count),
                _ => 0,
            };
            let step = &mut stats.steps[step as usize];
            step.running += running;
            step.waiting += length.saturating_sub(running);
            step.wanted += length.max(running);
        }
        let mut call = self.scripts().due.key(keys.delayed());
        let due: Vec<u64> = call.arg(BATCH_MAX).invoke_async(&mut self.link(keys)).await?;
        for (step, due) in stats.steps.iter_mut().zip(due) {
            step.wanted += due;
        }
        Ok(())
    }
}

fn count(value: Value) -> u64 {
    from_redis_value(value).unwrap_or(0)
}
