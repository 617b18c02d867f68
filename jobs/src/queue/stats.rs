//! What is where, in one round trip.

use std::collections::HashMap;

use redis::{RedisError, Value, from_redis_value};
use serde::Serialize;

use super::{Queue, QueueError, connection::is_group_missing, keys::GROUP};
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
    /// Counters since the queue was made, by name: `started`, `committed`, `ready`, `rejected`, `delivered`,
    /// `retried`, `waited`, `buried`, `set_aside`, `released`, `reclaimed`, `replayed`, `discarded`, and
    /// those that commits raise, as `llm_calls` and `cost_micro_usd`.
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

impl Queue {
    /// What is where.
    ///
    /// # Errors
    /// When Redis is away.
    pub async fn stats(&self) -> Result<Stats, QueueError> {
        let keys = self.keys();
        let mut pipe = redis::pipe();
        pipe.ignore_errors();
        pipe.zcard(keys.open()).llen(keys.ready()).zcard(keys.taken()).zcard(keys.dead());
        for step in Step::ALL {
            pipe.xlen(keys.stream(step)).hlen(keys.delayed_entries(step));
            pipe.cmd("XPENDING").arg(keys.stream(step)).arg(GROUP);
        }
        pipe.hgetall(keys.counters());
        let replies: Vec<Result<Value, RedisError>> = pipe.query_async(&mut self.connection()).await?;

        let replies = replies.into_iter().map(|reply| match reply {
            // A group that a FLUSHALL took has nothing pending.
            Err(error) if is_group_missing(&error) => Ok(Value::Nil),
            other => other,
        });
        let mut replies = replies.collect::<Result<Vec<_>, _>>()?.into_iter();
        let mut next = || replies.next().unwrap_or(Value::Nil);
        let [open, ready, taken, dead] = [(); 4].map(|()| count(next()));
        let steps = Step::ALL
            .into_iter()
            .map(|step| {
                let (length, delayed) = (count(next()), count(next()));
                let running = match next() {
                    Value::Array(summary) => summary.into_iter().next().map_or(0, count),
                    _ => 0,
                };
                StepStats { step, waiting: length.saturating_sub(running), running, delayed }
            })
            .collect();
        Ok(Stats { steps, open, ready, taken, dead, counters: from_redis_value(next()).unwrap_or_default() })
    }
}

fn count(value: Value) -> u64 {
    from_redis_value(value).unwrap_or(0)
}
