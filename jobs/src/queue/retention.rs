//! What is kept of the past, and for how long.
//!
//! Each class of data has an age and a size; whichever is reached first, the oldest goes. What somebody still
//! waits for is never touched: pairs that are open, ready or being handed over, and their jobs.

use std::{str::FromStr, time::Duration};

use super::{
    Queue, QueueError,
    claim::millis,
    keys::{BYTES_FIELD, Ended, Keys},
};
use crate::pair::PairId;

/// The most that one look forgets of each class and shard; a longer tail waits for the next look.
const FORGET_MAX: u64 = 5_000;
/// About what an event takes up.
const EVENT_BYTES: u64 = 128;
/// How many are looked at in one piece; between two pieces the size is looked at again.
const PIECE_MAX: isize = 100;

/// How much of each class of data is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// What happened to pairs and jobs.
    pub events: Keep,
    /// Paid replies of pairs that have ended.
    pub journals: Keep,
    /// Records of pairs that were delivered.
    pub finished: Keep,
    /// Records of pairs that were rejected.
    pub rejected: Keep,
    /// Dead letters; one that is forgotten ends its pair as rejected.
    pub dead: Keep,
}

/// For how long and up to which size something is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keep {
    /// The age that nothing exceeds.
    pub age: Duration,
    /// The bytes that all of it together does not exceed, over all shards.
    pub bytes: u64,
}

impl Keep {
    const fn days_and_mib(days: u64, mib: u64) -> Self {
        Self { age: Duration::from_hours(days * 24), bytes: mib * 1024 * 1024 }
    }
}

/// The text is not an age and a size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an age in s, m, h or d and a size in KiB, MiB or GiB, as in `7d,512MiB`")]
pub struct UnreadableKeep;

impl FromStr for Keep {
    type Err = UnreadableKeep;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (age, size) = text.split_once(',').ok_or(UnreadableKeep)?;
        let secs = scaled(age.trim(), &[("s", 1), ("m", 60), ("h", 3600), ("d", 86_400)])?;
        let bytes = scaled(size.trim(), &[("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)])?;
        Ok(Self { age: Duration::from_secs(secs), bytes })
    }
}

/// A whole number and its unit.
fn scaled(text: &str, units: &[(&str, u64)]) -> Result<u64, UnreadableKeep> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).ok_or(UnreadableKeep)?;
    let (number, unit) = text.split_at(digits);
    let (_, factor) = units.iter().find(|(name, _)| *name == unit).ok_or(UnreadableKeep)?;
    number.parse::<u64>().ok().and_then(|number| number.checked_mul(*factor)).ok_or(UnreadableKeep)
}

impl Default for Retention {
    fn default() -> Self {
        Self {
            events: Keep::days_and_mib(7, 2),
            journals: Keep::days_and_mib(7, 1024),
            finished: Keep::days_and_mib(7, 1024),
            rejected: Keep::days_and_mib(7, 256),
            dead: Keep::days_and_mib(30, 256),
        }
    }
}

/// How much was forgotten.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Forgotten {
    /// Events.
    pub events: u64,
    /// Journals of pairs whose records stay.
    pub journals: u64,
    /// Delivered pairs, their journals included.
    pub finished: u64,
    /// Rejected pairs, their journals included.
    pub rejected: u64,
    /// Dead letters.
    pub dead: u64,
}

/// One class of what ended pairs have left.
struct Class {
    ledger: String,
    counter: &'static str,
    /// The field of a pair's record that holds its size.
    size: &'static str,
    keep: Keep,
}

impl Queue {
    /// Forgets what the configuration does not keep, in bounded pieces.
    ///
    /// # Errors
    /// When Redis is away.
    pub async fn forget(&self) -> Result<Forgotten, QueueError> {
        self.forget_by(&self.inner.config.retention).await
    }

    /// As [`Queue::forget`], by other bounds.
    ///
    /// # Errors
    /// When Redis is away.
    pub async fn forget_by(&self, retention: &Retention) -> Result<Forgotten, QueueError> {
        let mut forgotten = Forgotten::default();
        for keys in self.shards() {
            forgotten.events += self.trim_events(keys, retention.events).await?;
            let class = |ledger, counter, size, keep| Class { ledger, counter, size, keep };
            let finished =
                class(keys.ended(Ended::Finished), "finished_bytes", BYTES_FIELD, retention.finished);
            let rejected =
                class(keys.ended(Ended::Rejected), "rejected_bytes", BYTES_FIELD, retention.rejected);
            let journals = class(keys.journals(), "journals_bytes", "journal_bytes", retention.journals);
            forgotten.finished += self.forget_class(keys, &finished).await?;
            forgotten.rejected += self.forget_class(keys, &rejected).await?;
            forgotten.journals += self.forget_class(keys, &journals).await?;
            forgotten.dead += self.forget_dead(keys, retention.dead).await?;
        }
        Ok(forgotten)
    }

    /// The part of a size that falls to one shard.
    fn share_of(&self, bytes: u64) -> u64 {
        bytes / u64::from(self.shard_count())
    }

    async fn trim_events(&self, keys: &Keys, keep: Keep) -> Result<u64, QueueError> {
        let oldest_ms = self.now_ms().await?.saturating_sub(millis(keep.age));
        let count = self.share_of(keep.bytes) / EVENT_BYTES;
        let mut pipe = redis::pipe();
        pipe.cmd("XTRIM").arg(keys.events()).arg("MINID").arg(oldest_ms);
        pipe.cmd("XTRIM").arg(keys.events()).arg("MAXLEN").arg("~").arg(count);
        let (old, many): (u64, u64) = pipe.query_async(&mut self.link(keys)).await?;
        Ok(old + many)
    }

    async fn forget_class(&self, keys: &Keys, class: &Class) -> Result<u64, QueueError> {
        let mut forgotten = 0;
        while forgotten < FORGET_MAX {
            let pairs = self.too_old_or_much(keys, class).await?;
            if pairs.is_empty() {
                break;
            }
            let mut call = self.scripts().forget.key(&class.ledger);
            call.key(keys.counters()).key(keys.journals());
            call.arg(if class.size == BYTES_FIELD { class.counter } else { "" });
            for pair in &pairs {
                call.key(keys.record(*pair)).key(keys.journal(*pair)).arg(pair.to_string());
            }
            forgotten += call.invoke_async::<u64>(&mut self.link(keys)).await?;
        }
        Ok(forgotten)
    }

    /// The oldest of a class as far as they have to go, at most 100.
    async fn too_old_or_much(&self, keys: &Keys, class: &Class) -> Result<Vec<PairId>, QueueError> {
        let oldest_ms = self.now_ms().await?.saturating_sub(millis(class.keep.age));
        let mut pipe = redis::pipe();
        pipe.zrange_withscores(&class.ledger, 0, PIECE_MAX - 1);
        pipe.hget(keys.counters(), class.counter);
        let (oldest, total): (Vec<(String, u64)>, Option<i64>) =
            pipe.query_async(&mut self.link(keys)).await?;
        // Somebody else's entry stays where it is: it is no pair of ours.
        let pairs: Vec<(PairId, u64)> =
            oldest.into_iter().filter_map(|(pair, ended_ms)| Some((pair.parse().ok()?, ended_ms))).collect();
        let mut excess = total.unwrap_or(0).saturating_sub_unsigned(self.share_of(class.keep.bytes));
        let sizes = if excess > 0 { self.sizes(keys, &pairs, class.size).await? } else { Vec::new() };
        let mut sizes = sizes.into_iter();
        let mut next_size = || sizes.next().flatten().unwrap_or(0);
        let has_to_go = |(pair, ended_ms): (PairId, u64)| {
            let goes = excess > 0 || ended_ms < oldest_ms;
            excess = excess.saturating_sub_unsigned(next_size());
            goes.then_some(pair)
        };
        Ok(pairs.into_iter().map_while(has_to_go).collect())
    }

    async fn sizes(
        &self,
        keys: &Keys,
        pairs: &[(PairId, u64)],
        field: &str,
    ) -> Result<Vec<Option<u64>>, QueueError> {
        if pairs.is_empty() {
            return Ok(Vec::new());
        }
        let mut pipe = redis::pipe();
        for (pair, _) in pairs {
            pipe.hget(keys.record(*pair), field);
        }
        Ok(pipe.query_async(&mut self.link(keys)).await?)
    }

    /// Gives up the oldest dead letters.
    async fn forget_dead(&self, keys: &Keys, keep: Keep) -> Result<u64, QueueError> {
        let oldest_ms = self.now_ms().await?.saturating_sub(millis(keep.age));
        let mut forgotten = 0;
        while forgotten < FORGET_MAX {
            let mut pipe = redis::pipe();
            pipe.zrange_withscores(keys.dead(), 0, PIECE_MAX - 1);
            pipe.cmd("MEMORY").arg("USAGE").arg(keys.dead_letters());
            let (oldest, bytes): (Vec<(String, u64)>, Option<u64>) =
                pipe.query_async(&mut self.link(keys)).await?;
            let too_much = bytes.unwrap_or(0) > self.share_of(keep.bytes);
            let old = oldest.into_iter().take_while(|(_, died_ms)| too_much || *died_ms < oldest_ms);
            let before = forgotten;
            for (job, _) in old {
                match self.discard(&job).await {
                    Ok(gone) => forgotten += u64::from(gone),
                    // It stays, and stops none of the others.
                    Err(error) if !error.is_passing() => tracing::warn!(%error, "a dead letter stays"),
                    Err(error) => return Err(error),
                }
            }
            if forgotten == before {
                break;
            }
        }
        Ok(forgotten)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_and_a_size_are_read() {
        for (text, secs, bytes) in [
            ("7d,512MiB", 604_800, 512 << 20),
            ("90s, 1KiB", 90, 1 << 10),
            ("2h,3GiB", 7200, 3 << 30),
            ("0m,0KiB", 0, 0),
        ] {
            assert_eq!(text.parse(), Ok(Keep { age: Duration::from_secs(secs), bytes }), "{text}");
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for text in
            ["", "7d", "7d,", ",1GiB", "7,1GiB", "7d,1GB", "-1d,1GiB", "7d,99999999999999GiB", "7 d,1GiB"]
        {
            assert_eq!(text.parse::<Keep>(), Err(UnreadableKeep), "{text}");
        }
    }
}
