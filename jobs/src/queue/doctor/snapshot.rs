//! Looks at the whole queue, in bounded pieces.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    time::Duration,
};

use redis::{AsyncCommands as _, RedisError};

use super::{
    super::{
        DeadFilter, DeadLetter, Lane, Priority, Queue, QueueError, Target,
        claim::millis,
        connection::is_group_missing,
        entry::{Entry, Fields},
        keys::{BYTES_FIELD, DONE_PREFIX, GROUP, Keys, NEXT_PREFIX, STATE_FIELD, lanes},
        limits::BATCH_MAX,
        mark,
    },
    invariants::{Counts, Half, Place, Sighting, Snapshot},
};
use crate::{job::Step, pair::PairId};

/// How much longer than its lease an entry may be silent: a keeper's period, a reclaim, and some.
const SILENCE_MARGIN: Duration = Duration::from_secs(15);

impl Queue {
    pub(super) async fn snapshot(&self) -> Result<Snapshot, QueueError> {
        let mut snapshot = Snapshot { foreign: self.foreign().await?, ..Snapshot::default() };
        // The rest could not be read.
        if !snapshot.foreign.is_empty() {
            return Ok(snapshot);
        }
        for (shard, keys) in (0..).zip(self.shards()) {
            self.add_shard(shard, keys, &mut snapshot).await?;
        }
        self.add_dead(&mut snapshot).await?;
        self.add_states(&mut snapshot).await?;
        self.add_promises(&mut snapshot).await?;
        for pause in self.pauses().await? {
            match pause.target {
                Target::Step(step) => _ = snapshot.paused.insert(step),
                // Some workers may ask another one; what they leave is not reported either.
                Target::Responder(_) => {
                    snapshot.paused.extend(Step::ALL.into_iter().filter(|step| step.asks_responder()));
                }
            }
        }
        Ok(snapshot)
    }

    async fn add_shard(&self, shard: u32, keys: &Keys, snapshot: &mut Snapshot) -> Result<(), QueueError> {
        let open_before = self.members(keys, &keys.open()).await?;
        // Most jobs move from an earlier stream to a later one, so in this order few are missed.
        self.add_delayed(shard, keys, snapshot).await?;
        for step in Step::ALL {
            for priority in Priority::ALL {
                let lane = Lane { shard, step, priority };
                self.add_stream(keys, lane, snapshot).await?;
            }
        }
        snapshot.open.extend(&open_before & &self.members(keys, &keys.open()).await?);
        let ready = self.listed(keys, &keys.ready()).await?;
        let taken = self.members(keys, &keys.taken()).await?;
        self.add_bodies(keys, &ready, &taken, snapshot).await?;
        snapshot.ready.extend(ready);
        snapshot.taken.extend(taken);
        Ok(())
    }

    /// The ids in a list, in order.
    pub(super) async fn listed(&self, keys: &Keys, key: &str) -> Result<Vec<String>, QueueError> {
        let mut all: Vec<String> = Vec::new();
        loop {
            let from = isize::try_from(all.len()).unwrap_or(isize::MAX);
            let piece: Vec<String> = self.link(keys).lrange(key, from, from + PIECE - 1).await?;
            if piece.is_empty() {
                return Ok(all);
            }
            all.extend(piece);
        }
    }

    /// The members of a sorted set.
    pub(super) async fn members(&self, keys: &Keys, key: &str) -> Result<BTreeSet<String>, QueueError> {
        let mut all = BTreeSet::new();
        let mut cursor = 0_u64;
        loop {
            let mut scan = redis::cmd("ZSCAN");
            scan.arg(key).arg(cursor).arg("COUNT").arg(BATCH_MAX);
            let (next, piece): (u64, Vec<(String, f64)>) = scan.query_async(&mut self.link(keys)).await?;
            all.extend(piece.into_iter().map(|(member, _)| member));
            cursor = next;
            if cursor == 0 {
                return Ok(all);
            }
        }
    }

    /// Which pairs have a body. The hash is read whole only where it holds more than the ready and taken ones.
    async fn add_bodies(
        &self,
        keys: &Keys,
        ready: &[String],
        taken: &BTreeSet<String>,
        snapshot: &mut Snapshot,
    ) -> Result<(), QueueError> {
        let pairs: Vec<&String> = ready.iter().chain(taken).collect();
        let before = snapshot.bodies.len();
        for chunk in pairs.chunks(BATCH_MAX) {
            let mut pipe = redis::pipe();
            for pair in chunk {
                pipe.hexists(keys.ready_bodies(), pair);
            }
            let found: Vec<bool> = pipe.query_async(&mut self.link(keys)).await?;
            let found = chunk.iter().zip(found).filter(|(_, found)| *found);
            snapshot.bodies.extend(found.map(|(pair, _)| (*pair).clone()));
        }
        let bodies: usize = self.link(keys).hlen(keys.ready_bodies()).await?;
        if bodies > snapshot.bodies.len() - before {
            let all: Vec<String> = self.link(keys).hkeys(keys.ready_bodies()).await?;
            snapshot.bodies.extend(all);
        }
        Ok(())
    }

    async fn add_delayed(&self, shard: u32, keys: &Keys, snapshot: &mut Snapshot) -> Result<(), QueueError> {
        let mut due = self.members(keys, &keys.delayed()).await?;
        for step in Step::ALL {
            let mut cursor = 0_u64;
            loop {
                let mut scan = redis::cmd("HSCAN");
                scan.arg(keys.delayed_entries(step)).arg(cursor).arg("COUNT").arg(BATCH_MAX);
                let (next, piece): (u64, Vec<(String, String)>) =
                    scan.query_async(&mut self.link(keys)).await?;
                for (member, json) in piece {
                    let priority = lane_of(&member).map_or(Priority::Normal, |(_, priority)| priority);
                    let lane = Lane { shard, step, priority };
                    let entry = serde_json::from_str(&json).ok();
                    let found = sighting(lane, Place::Delayed, &member, entry);
                    if !due.remove(&member) {
                        snapshot.halves.push(Half { sighting: found.clone(), member, lacks: "its time" });
                    }
                    snapshot.jobs.push(found);
                }
                cursor = next;
                if cursor == 0 {
                    break;
                }
            }
        }
        snapshot.halves.extend(due.into_iter().map(|member| {
            let (step, priority) = lane_of(&member).unwrap_or((Step::Objects, Priority::Normal));
            let job = member.split_once(':').map_or(member.as_str(), |(_, job)| job).to_owned();
            let lane = Lane { shard, step, priority };
            let sighting = Sighting { lane, place: Place::Delayed, job, pair: None, attempts: 0 };
            Half { sighting, member, lacks: "its entry" }
        }));
        Ok(())
    }

    async fn add_stream(&self, keys: &Keys, lane: Lane, snapshot: &mut Snapshot) -> Result<(), QueueError> {
        let stream = keys.stream(lane.step, lane.priority);
        let silent = self.silent(keys, &stream).await?;
        let mut from = "-".to_owned();
        loop {
            let entries: Vec<(String, Fields)> = redis::cmd("XRANGE")
                .arg(&stream)
                .arg(&from)
                .arg("+")
                .arg("COUNT")
                .arg(BATCH_MAX)
                .query_async(&mut self.link(keys))
                .await?;
            let Some((last, _)) = entries.last() else { return Ok(()) };
            from = format!("({last}");
            for (id, fields) in entries {
                let place = if silent.contains(&id) { Place::Silent } else { Place::Stream };
                snapshot.jobs.push(sighting(lane, place, &id, Entry::from_fields(&fields).ok()));
            }
        }
    }

    /// Entries of a step that are claimed and have been silent for too long, at most 500.
    async fn silent(&self, keys: &Keys, stream: &str) -> Result<BTreeSet<String>, QueueError> {
        let found: Result<Vec<(String, String, u64, u64)>, RedisError> = redis::cmd("XPENDING")
            .arg(stream)
            .arg(GROUP)
            .arg("IDLE")
            .arg(millis(self.lease() + SILENCE_MARGIN))
            .arg("-")
            .arg("+")
            .arg(BATCH_MAX)
            .query_async(&mut self.link(keys))
            .await;
        match found {
            Ok(found) => Ok(found.into_iter().map(|(id, ..)| id).collect()),
            Err(error) if is_group_missing(&error) => Ok(BTreeSet::new()),
            Err(error) => Err(error.into()),
        }
    }

    async fn add_dead(&self, snapshot: &mut Snapshot) -> Result<(), QueueError> {
        let mut pages = self.dead_pages(DeadFilter::default());
        while let Some(page) = pages.next().await? {
            for letter in page.letters {
                let DeadLetter { job, pair, step, priority, attempts, .. } = letter;
                let shard = pair.map_or(0, |pair| self.shard_of(pair));
                let (lane, pair) = (Lane { shard, step, priority }, pair.map(|pair| pair.to_string()));
                snapshot.jobs.push(Sighting { lane, place: Place::Dead, job, pair, attempts });
            }
        }
        Ok(())
    }

    /// The states of the pairs, and what those of each shard hold beside what its counters say.
    async fn add_states(&self, snapshot: &mut Snapshot) -> Result<(), QueueError> {
        let pairs = snapshot.open.iter().chain(&snapshot.ready).chain(&snapshot.taken);
        let pairs: BTreeSet<&String> = pairs.chain(&snapshot.bodies).collect();
        let known: Vec<(&String, PairId)> =
            pairs.into_iter().filter_map(|pair| Some((pair, pair.parse().ok()?))).collect();
        let (mut states, mut counts) = (HashMap::new(), Vec::new());
        for keys in self.shards() {
            let counters = self.counters_of(keys).await?;
            let mut held = 0;
            let pairs: Vec<_> = known.iter().filter(|(_, id)| self.shard_of(*id) == keys.shard()).collect();
            for chunk in pairs.chunks(BATCH_MAX) {
                let mut pipe = redis::pipe();
                for (_, id) in chunk {
                    pipe.hmget(keys.record(*id), &[STATE_FIELD, BYTES_FIELD]);
                }
                let found: Vec<(Option<String>, Option<String>)> =
                    pipe.query_async(&mut self.link(keys)).await?;
                for ((pair, _), (state, bytes)) in chunk.iter().zip(found) {
                    let Some(state) = state else { continue };
                    if HOLDING_STATES.contains(&state.as_str()) {
                        held += bytes.and_then(|bytes| bytes.parse::<i64>().ok()).unwrap_or_default();
                    }
                    states.insert((*pair).clone(), state);
                }
            }
            let still = self.counters_of(keys).await?;
            // While something moves, what was counted fits neither.
            let held = Some(held).filter(|_| still == counters);
            counts.push(Counts { shard: keys.shard(), key: keys.counters(), counters, held });
        }
        (snapshot.states, snapshot.counts) = (states, counts);
        Ok(())
    }

    async fn counters_of(&self, keys: &Keys) -> Result<BTreeMap<String, String>, QueueError> {
        let counters: Vec<(Vec<u8>, Vec<u8>)> = self.link(keys).hgetall(keys.counters()).await?;
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Ok(counters.into_iter().map(|(name, value)| (text(name), text(value))).collect())
    }

    /// The jobs that each open pair waits for: those that its commits added, less those that are done.
    async fn add_promises(&self, snapshot: &mut Snapshot) -> Result<(), QueueError> {
        let open: Vec<PairId> = snapshot.open.iter().filter_map(|pair| pair.parse().ok()).collect();
        for pair in open {
            let mut connection = self.link(self.keys(pair));
            let names: Vec<String> = connection.hkeys(self.keys(pair).record(pair)).await?;
            let telling = |name: &&String| name.starts_with(NEXT_PREFIX) || name.starts_with(DONE_PREFIX);
            let telling: Vec<&String> = names.iter().filter(telling).collect();
            if telling.is_empty() {
                continue;
            }
            let values: Vec<Option<Vec<u8>>> =
                connection.hmget(self.keys(pair).record(pair), &telling).await?;
            let done: BTreeSet<&str> =
                names.iter().filter_map(|name| name.strip_prefix(DONE_PREFIX)).collect();
            let told = telling.iter().zip(values).filter_map(|(name, value)| Some((name, value?)));
            let promised = told.flat_map(|(name, value)| mark::promised(name, &value));
            let waited = promised.filter(|(.., entry)| !done.contains(entry.id.as_str()));
            let waited = waited.map(|(.., entry)| entry.id.as_str().to_owned()).collect();
            snapshot.promises.insert(pair.to_string(), waited);
        }
        Ok(())
    }
}

/// The states of pairs whose bytes count as held; a pair that is taken is ready by its record.
const HOLDING_STATES: [&str; 2] = ["open", "ready"];

/// How many ids of a list are read at once.
const PIECE: isize = 500;

/// The lane that the member of a delayed job names.
fn lane_of(member: &str) -> Option<(Step, Priority)> {
    let (number, _) = member.split_once(':')?;
    lanes().nth(number.parse::<usize>().ok()?.checked_sub(1)?)
}

fn sighting(lane: Lane, place: Place, at: &str, entry: Option<Entry>) -> Sighting {
    match entry {
        Some(entry) => Sighting {
            lane,
            place,
            job: entry.id.as_str().to_owned(),
            pair: Some(entry.pair.to_string()),
            attempts: entry.attempts,
        },
        None => Sighting { lane, place, job: format!("{}@{at}", lane.step), pair: None, attempts: 0 },
    }
}
