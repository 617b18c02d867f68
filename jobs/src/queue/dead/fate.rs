//! What became of jobs that were put back.

use redis::Value;

use super::{DeadLetter, name_without_id};
use crate::{
    pair::PairId,
    queue::{DONE_PREFIX, Queue, QueueError, STATE_FIELD, keys::Keys, lane::Lane, limits::check_count},
};

/// A job that was put back, and where to look for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replayed {
    /// The job, or the name that it has if it dies again.
    pub job: String,
    pair: Option<PairId>,
    lane: Lane,
    entry: String,
}

impl Replayed {
    /// `entry` is its new one. What has no id of its own is named by it.
    pub(super) fn new(letter: &DeadLetter, lane: Lane, entry: &str) -> Self {
        let job = match letter.pair {
            Some(_) => letter.job.clone(),
            None => name_without_id(lane.step, lane.priority, entry),
        };
        Self { job, pair: letter.pair, lane, entry: entry.to_owned() }
    }
}

/// What became of a job that was put back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It waits, runs, or is about to be tried again.
    UnderWay,
    /// Its result is stored.
    Committed,
    /// It is a dead letter again.
    Dead,
    /// Neither: its pair has ended otherwise, or it had no id by which it could be followed.
    Gone,
}

impl Queue {
    /// What became of these jobs, at most 500, in their order.
    ///
    /// # Errors
    /// When Redis is away, or there are more than 500.
    pub async fn fates(&self, jobs: &[Replayed]) -> Result<Vec<Fate>, QueueError> {
        check_count("jobs to look for", jobs.len())?;
        let mut fates = vec![Fate::Gone; jobs.len()];
        for keys in self.shards() {
            let here = |place: &usize| jobs[*place].lane.shard == keys.shard();
            let places: Vec<usize> = (0..jobs.len()).filter(here).collect();
            if !places.is_empty() {
                let found = self.fates_in(keys, places.iter().map(|place| &jobs[*place])).await?;
                for (place, fate) in places.into_iter().zip(found) {
                    fates[place] = fate;
                }
            }
        }
        Ok(fates)
    }

    async fn fates_in<'a>(
        &self,
        keys: &Keys,
        jobs: impl Iterator<Item = &'a Replayed> + Clone,
    ) -> Result<Vec<Fate>, QueueError> {
        let mut pipe = redis::pipe();
        // Where a job was comes before where it may have gone, so that one in motion is still under way.
        for Replayed { job, pair, lane, entry } in jobs.clone() {
            match pair {
                Some(pair) => {
                    let record = keys.record(*pair);
                    pipe.hget(&record, STATE_FIELD).hexists(record, format!("{DONE_PREFIX}{job}"));
                }
                None => {
                    pipe.xrange_count(keys.stream(lane.step, lane.priority), entry, entry, 1);
                }
            }
            pipe.hexists(keys.dead_letters(), job);
        }
        let replies: Vec<Value> = pipe.query_async(&mut self.link(keys)).await?;
        let mut replies = replies.into_iter();
        let mut next = || replies.next().unwrap_or(Value::Nil);
        Ok(jobs
            .map(|job| match job.pair {
                Some(_) => with_record(&next(), &next(), &next()),
                None => without_record(&next(), &next()),
            })
            .collect())
    }
}

fn with_record(state: &Value, done: &Value, dead: &Value) -> Fate {
    let open = matches!(state, Value::BulkString(state) if state == b"open");
    match (is(done), is(dead)) {
        (true, _) => Fate::Committed,
        (false, true) => Fate::Dead,
        (false, false) if open => Fate::UnderWay,
        (false, false) => Fate::Gone,
    }
}

fn without_record(entries: &Value, dead: &Value) -> Fate {
    match entries {
        Value::Array(entries) if !entries.is_empty() => Fate::UnderWay,
        _ if is(dead) => Fate::Dead,
        _ => Fate::Gone,
    }
}

fn is(reply: &Value) -> bool {
    matches!(reply, Value::Int(1) | Value::Boolean(true))
}
