//! How pairs come in.

use std::{fmt, time::Duration};

use super::{
    Bounds, Marks, NewPair, Queue, QueueError,
    entry::Entry,
    keys::{Keys, NEXT_PREFIX, number},
    limits::{EVENTS_MAX, ITEMS_MAX, MEMORY_PERCENT_MAX, START_MAX, check_count, check_size},
    replicas::Call,
};
use crate::pair::PairId;

/// How long somebody who was refused should wait, at the least; up to twice as long is as likely, so that those
/// who were refused together do not come back together.
const RETRY_AFTER: Duration = Duration::from_secs(10);
/// What `start.lua` says of a pair that it started.
const STARTED: i64 = 1;

/// What became of a pair that was to be started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// It is under way.
    Accepted,
    /// A pair of this id was started before, and its record is still kept.
    Duplicate,
    /// It was refused, and nothing is stored of it.
    Full {
        /// What is used up.
        bound: Bound,
        /// When another try makes sense, 10 to 20 s.
        retry_after: Duration,
    },
}

/// What admission stops at. Everything that moves or frees goes on all the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bound {
    /// As many pairs are held as [`Bounds`] allow.
    Pairs,
    /// As many bytes are held as [`Bounds`] allow.
    Bytes,
    /// Redis has used 80 % of its `maxmemory`.
    Memory,
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pairs => "as many pairs are held as MONDO_DEPTH_MAX allows",
            Self::Bytes => "as many bytes are held as MONDO_BYTES_MAX allows",
            Self::Memory => "redis has used 80 % of its maxmemory",
        })
    }
}

impl Queue {
    /// The id of the pair with this number of an order. Whoever starts pairs under such ids may say the same again:
    /// they are [`Admission::Duplicate`] for as long as their records are kept, and no lock can be left behind.
    pub fn pair_of_order(&self, key: &str, number: u64) -> PairId {
        PairId::of_order(&self.inner.config.prefix, key, number)
    }

    /// Starts these pairs, at most 500. Says what became of each, in their order; since a pair that exists is
    /// passed over, repeating is safe.
    ///
    /// # Errors
    /// When Redis is away, or a field has more than 2 MiB.
    pub async fn start(&self, pairs: &[NewPair]) -> Result<Vec<Admission>, QueueError> {
        self.admit(None, pairs).await
    }

    /// Starts as many of these pairs, at most 500, as fit below the high mark, if *ready + under way* is below
    /// the low one. Says what became of each that the marks call for. However many callers there are, together
    /// they never pass the high mark.
    ///
    /// # Errors
    /// When Redis is away, or a field has more than 2 MiB.
    pub async fn refill(&self, marks: Marks, pairs: &[NewPair]) -> Result<Vec<Admission>, QueueError> {
        self.admit(Some(marks), pairs).await
    }

    async fn admit(&self, marks: Option<Marks>, pairs: &[NewPair]) -> Result<Vec<Admission>, QueueError> {
        check_count("pairs to start", pairs.len())?;
        for pair in pairs {
            check(pair)?;
        }
        let mut admissions = vec![None; pairs.len()];
        for (shard, keys) in (0..).zip(self.shards()) {
            let here = |place: &usize| self.shard_of(pairs[*place].id) == shard;
            let places: Vec<usize> = (0..pairs.len()).filter(here).collect();
            if places.is_empty() {
                continue;
            }
            let mut marks = marks.map(|marks| marks.share(shard, self.shard_count()));
            let bounds = self.inner.config.bounds.share(shard, self.shard_count());
            for places in places.chunks(START_MAX) {
                let piece = places.iter().map(|place| &pairs[*place]);
                let found = self.admit_in(keys, marks, bounds, piece).await?;
                if found.contains(&STARTED) {
                    // What was begun below the low mark goes on to the high one.
                    marks = marks.map(|Marks { high, .. }| Marks { low: high, high });
                }
                for (place, code) in places.iter().zip(found) {
                    admissions[*place] = Admission::of_code(code);
                }
            }
        }
        Ok(admissions.into_iter().flatten().collect())
    }

    async fn admit_in<'a>(
        &self,
        keys: &Keys,
        marks: Option<Marks>,
        bounds: Bounds,
        pairs: impl ExactSizeIterator<Item = &'a NewPair> + Clone,
    ) -> Result<Vec<i64>, QueueError> {
        let mut names = vec![keys.open(), keys.ready(), keys.taken(), keys.counters(), keys.events()];
        names.push(keys.memory_enough());
        names.extend(keys.streams());
        names.extend(pairs.clone().map(|pair| keys.record(pair.id)));
        let mut call = Call::new(&self.scripts().start, &names);
        match marks {
            Some(marks) => call.arg(marks.low).arg(marks.high),
            None => call.arg(-1).arg(-1),
        };
        call.arg(bounds.pairs).arg(bounds.bytes).arg(MEMORY_PERCENT_MAX).arg(EVENTS_MAX).arg(pairs.len());
        for pair in pairs {
            call.arg(pair.id.to_string()).arg(number(pair.first.step, pair.priority));
            call.arg(Entry::fresh(&pair.first).to_json()).arg(pair.fields.len() + 1);
            call.arg(format!("{NEXT_PREFIX}start"));
            call.arg(Entry::write_next(std::slice::from_ref(&pair.first), pair.priority));
            for (name, value) in &pair.fields {
                call.arg(name).arg(value);
            }
        }
        self.store(keys, call).await
    }
}

impl Admission {
    /// What a code of `start.lua` says; nothing of a pair that the marks do not call for.
    fn of_code(code: i64) -> Option<Self> {
        let full = |bound| {
            let retry_after = RETRY_AFTER.mul_f64(1.0 + rand::random::<f64>());
            Some(Self::Full { bound, retry_after })
        };
        match code {
            STARTED => Some(Self::Accepted),
            2 => Some(Self::Duplicate),
            -1 => full(Bound::Pairs),
            -2 => full(Bound::Bytes),
            -3 => full(Bound::Memory),
            _ => None,
        }
    }

    /// What is used up, if the pair was refused.
    pub fn full(self) -> Option<Bound> {
        match self {
            Self::Full { bound, .. } => Some(bound),
            Self::Accepted | Self::Duplicate => None,
        }
    }
}

impl Marks {
    fn share(self, shard: u32, shards: u32) -> Self {
        Self { low: share(self.low, shard, shards), high: share(self.high, shard, shards) }
    }
}

impl Bounds {
    fn share(self, shard: u32, shards: u32) -> Self {
        Self { pairs: share(self.pairs, shard, shards), bytes: share(self.bytes, shard, shards) }
    }
}

/// What falls to one of several shards; all shares together are the whole.
fn share(whole: u64, shard: u32, shards: u32) -> u64 {
    let part = |n: u32| u128::from(n) * u128::from(whole) / u128::from(shards);
    u64::try_from(part(shard + 1) - part(shard)).unwrap_or(u64::MAX)
}

fn check(pair: &NewPair) -> Result<(), QueueError> {
    if pair.fields.len() > ITEMS_MAX {
        return Err(QueueError::TooMany { what: "fields", count: pair.fields.len(), limit: ITEMS_MAX });
    }
    pair.fields.iter().try_for_each(|(name, value)| check_size(name, value.len()))
}
