//! What is held up on purpose: a paused step or responder, until somebody resumes it or its time is over.
//!
//! A pause is a key of its own that Redis lets expire by its own clock. All pauses are in the first shard.

use std::{fmt, str::FromStr, time::Duration};

use redis::{AsyncCommands as _, RedisError, Value, from_redis_value};
use serde::{Serialize, Serializer};

use super::{Queue, QueueError, claim::millis, limits::EVENTS_MAX};
use crate::job::Step;

/// The most responders that are remembered; the one that was not heard of for longest is forgotten.
const RESPONDERS_MAX: isize = 100;
/// The most of a reason that is kept, in characters.
const REASON_CHARS_MAX: usize = 500;
/// What the name of a responder is written behind.
const RESPONDER: &str = "responder:";

/// What can be paused.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Target {
    /// No job of this step is claimed.
    Step(Step),
    /// No job that asks this responder (provider and model) is claimed.
    Responder(String),
}

/// What is paused, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Pause {
    /// What is paused.
    pub target: Target,
    /// Why, for people.
    pub reason: String,
    /// Since when, milliseconds since the Unix epoch.
    pub since_ms: u64,
    /// In how many milliseconds it ends by itself; absent when somebody must resume it.
    pub ends_in_ms: Option<u64>,
}

impl Queue {
    /// Pauses it, for so long or until it is resumed; an earlier pause of it is replaced. Workers claim none of
    /// its jobs any more within about 2 s; running jobs finish.
    ///
    /// # Errors
    /// When Redis is away.
    pub async fn pause(
        &self,
        target: &Target,
        reason: &str,
        time: Option<Duration>,
    ) -> Result<(), QueueError> {
        self.set_pause(target, reason, time, false).await.map(|_| ())
    }

    /// As [`Queue::pause`], unless it is paused already: what an operator said is not replaced. Says whether this
    /// call paused it.
    ///
    /// # Errors
    /// When Redis is away.
    pub async fn pause_if_running(
        &self,
        target: &Target,
        reason: &str,
        time: Duration,
    ) -> Result<bool, QueueError> {
        self.set_pause(target, reason, Some(time), true).await
    }

    async fn set_pause(
        &self,
        target: &Target,
        reason: &str,
        time: Option<Duration>,
        keep: bool,
    ) -> Result<bool, QueueError> {
        if let Target::Responder(name) = target {
            self.announce(name).await?;
        }
        let reason: String = reason.chars().take(REASON_CHARS_MAX).collect();
        let keys = self.shard(0);
        let mut call = self.scripts().pause.key(keys.paused(target));
        call.key(keys.events()).arg(target.to_string()).arg(reason);
        call.arg(time.map_or(0, |time| millis(time).max(1))).arg(u8::from(keep)).arg(EVENTS_MAX);
        Ok(call.invoke_async::<i64>(&mut self.link(keys)).await? == 1)
    }

    /// Lets it go on. Says whether it was paused.
    ///
    /// # Errors
    /// When Redis is away.
    pub async fn resume(&self, target: &Target) -> Result<bool, QueueError> {
        let keys = self.shard(0);
        let mut call = self.scripts().resume.key(keys.paused(target));
        call.key(keys.events()).arg(target.to_string()).arg(EVENTS_MAX);
        Ok(call.invoke_async::<i64>(&mut self.link(keys)).await? == 1)
    }

    /// Everything that is paused: steps first.
    ///
    /// # Errors
    /// When Redis is away.
    pub async fn pauses(&self) -> Result<Vec<Pause>, QueueError> {
        let mut targets = Step::ALL.map(Target::Step).to_vec();
        targets.extend(self.responders().await?.into_iter().map(Target::Responder));
        let keys = self.shard(0);
        let mut pipe = redis::pipe();
        for target in &targets {
            pipe.get(keys.paused(target)).pttl(keys.paused(target));
        }
        let found: Vec<Value> = pipe.query_async(&mut self.link(keys)).await?;
        let mut pauses = Vec::new();
        for (target, pair) in targets.into_iter().zip(found.chunks(2)) {
            let pair = Value::Array(pair.to_vec());
            let (text, ends): (Option<String>, i64) = from_redis_value(pair).map_err(RedisError::from)?;
            pauses.extend(text.map(|text| Pause::of(target, &text, ends)));
        }
        Ok(pauses)
    }

    /// Which of these are paused, in their order, with the reason; one command.
    ///
    /// # Errors
    /// When Redis is away.
    pub async fn paused(&self, targets: &[Target]) -> Result<Vec<Option<String>>, QueueError> {
        let first = self.shard(0);
        let names: Vec<String> = targets.iter().map(|target| first.paused(target)).collect();
        let found: Vec<Option<String>> = self.link(first).mget(names).await?;
        Ok(found.into_iter().map(|text| Some(split(&text?).1.to_owned())).collect())
    }

    /// How many finished pairs wait for a consumer.
    ///
    /// # Errors
    /// When Redis is away.
    pub async fn ready_count(&self) -> Result<u64, QueueError> {
        let mut ready = 0;
        for keys in self.shards() {
            ready += self.link(keys).llen::<_, u64>(keys.ready()).await?;
        }
        Ok(ready)
    }

    /// Makes a responder known, so that it can be named in a pause.
    ///
    /// # Errors
    /// When Redis is away.
    pub async fn announce(&self, responder: &str) -> Result<(), QueueError> {
        let keys = self.shard(0);
        let known = keys.responders();
        let (secs, _micros): (u64, u64) = redis::cmd("TIME").query_async(&mut self.link(keys)).await?;
        let mut pipe = redis::pipe();
        pipe.zadd(&known, responder, secs * 1000);
        pipe.zremrangebyrank(&known, 0, -1 - RESPONDERS_MAX);
        Ok(pipe.exec_async(&mut self.link(keys)).await?)
    }

    /// The responders that workers have named.
    ///
    /// # Errors
    /// When Redis is away.
    pub async fn responders(&self) -> Result<Vec<String>, QueueError> {
        let first = self.shard(0);
        Ok(self.link(first).zrange(first.responders(), 0, -1).await?)
    }
}

impl Pause {
    fn of(target: Target, text: &str, ends_in_ms: i64) -> Self {
        let (since_ms, reason) = split(text);
        let ends_in_ms = u64::try_from(ends_in_ms).ok();
        Self { target, reason: reason.to_owned(), since_ms, ends_in_ms }
    }
}

/// Since when, and why.
fn split(text: &str) -> (u64, &str) {
    let (since, reason) = text.split_once(' ').unwrap_or(("", text));
    (since.parse().unwrap_or(0), reason)
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Step(step) => step.fmt(f),
            Self::Responder(name) => write!(f, "{RESPONDER}{name}"),
        }
    }
}

impl FromStr for Target {
    type Err = String;

    /// A step by its name, or `responder:` and the name of a responder.
    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(name) = text.strip_prefix(RESPONDER).filter(|name| !name.is_empty()) {
            return Ok(Self::Responder(name.to_owned()));
        }
        text.parse().map(Self::Step).map_err(|_| {
            let steps = Step::ALL.map(Step::name).join(", ");
            format!("neither a step ({steps}) nor `{RESPONDER}NAME`")
        })
    }
}

impl Serialize for Target {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
