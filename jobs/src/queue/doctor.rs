//! Looks at the live queue and asks what [`invariants`] ask. What jobs carry is read in bounded pieces, the ids
//! of pairs all at once.

use std::{collections::BTreeSet, time::Duration};

use redis::{AsyncCommands as _, RedisError};
use tokio::time::sleep;

use super::{
    DeadFilter, Priority, Queue, QueueError,
    claim::millis,
    connection::is_group_missing,
    entry::{Entry, Fields},
    invariants::{self, Place, Sighting, Snapshot, Violation},
    keys::{GROUP, Keys, STATE_FIELD},
    limits::BATCH_MAX,
};
use crate::job::Step;

/// How often a suspicion is looked at again: what is in motion is seen in two places or in none.
const LOOKS: u32 = 3;
/// Pause between two looks.
const LOOK_PERIOD: Duration = Duration::from_millis(200);
/// How much longer than its lease an entry may be silent: a keeper's period, a reclaim, and some.
const SILENCE_MARGIN: Duration = Duration::from_secs(15);

impl Queue {
    /// Checks the invariants on the live queue. What is reported was so at every one of several looks.
    ///
    /// # Errors
    /// When Redis is away.
    pub async fn doctor(&self) -> Result<Vec<Violation>, QueueError> {
        let mut standing = invariants::check(&self.snapshot().await?);
        for _ in 1..LOOKS {
            if standing.is_empty() {
                break;
            }
            sleep(LOOK_PERIOD).await;
            let again = invariants::check(&self.snapshot().await?);
            standing = standing.intersection(&again).cloned().collect();
        }
        Ok(standing.into_iter().collect())
    }

    async fn snapshot(&self) -> Result<Snapshot, QueueError> {
        let mut snapshot = Snapshot::default();
        for keys in self.shards() {
            self.add_shard(keys, &mut snapshot).await?;
        }
        self.add_dead(&mut snapshot).await?;
        self.add_states(&mut snapshot).await?;
        Ok(snapshot)
    }

    async fn add_shard(&self, keys: &Keys, snapshot: &mut Snapshot) -> Result<(), QueueError> {
        let open_before = self.members(&keys.open()).await?;
        // Most jobs move from an earlier stream to a later one, so in this order few are missed.
        self.add_delayed(keys, snapshot).await?;
        for step in Step::ALL {
            for priority in Priority::ALL {
                self.add_stream(&keys.stream(step, priority), step, snapshot).await?;
            }
        }
        snapshot.open.extend(&open_before & &self.members(&keys.open()).await?);
        let ready: Vec<String> = self.connection().lrange(keys.ready(), 0, -1).await?;
        snapshot.ready.extend(ready);
        snapshot.taken.extend(self.members(&keys.taken()).await?);
        let bodies: Vec<String> = self.connection().hkeys(keys.ready_bodies()).await?;
        snapshot.bodies.extend(bodies);
        Ok(())
    }

    async fn members(&self, key: &str) -> Result<BTreeSet<String>, QueueError> {
        Ok(self.connection().zrange(key, 0, -1).await?)
    }

    async fn add_delayed(&self, keys: &Keys, snapshot: &mut Snapshot) -> Result<(), QueueError> {
        for step in Step::ALL {
            let mut cursor = 0_u64;
            loop {
                let (next, flat): (u64, Vec<(String, String)>) = redis::cmd("HSCAN")
                    .arg(keys.delayed_entries(step))
                    .arg(cursor)
                    .arg("COUNT")
                    .arg(BATCH_MAX)
                    .query_async(&mut self.connection())
                    .await?;
                for (member, json) in flat {
                    let entry = serde_json::from_str(&json).ok();
                    snapshot.jobs.push(sighting(step, Place::Delayed, &member, entry));
                }
                cursor = next;
                if cursor == 0 {
                    break;
                }
            }
        }
        Ok(())
    }

    async fn add_stream(&self, stream: &str, step: Step, snapshot: &mut Snapshot) -> Result<(), QueueError> {
        let silent = self.silent(stream).await?;
        let mut from = "-".to_owned();
        loop {
            let entries: Vec<(String, Fields)> = redis::cmd("XRANGE")
                .arg(stream)
                .arg(&from)
                .arg("+")
                .arg("COUNT")
                .arg(BATCH_MAX)
                .query_async(&mut self.connection())
                .await?;
            let Some((last, _)) = entries.last() else { return Ok(()) };
            from = format!("({last}");
            for (id, fields) in entries {
                let place = if silent.contains(&id) { Place::Silent } else { Place::Stream };
                snapshot.jobs.push(sighting(step, place, &id, Entry::from_fields(&fields).ok()));
            }
        }
    }

    /// Entries of a step that are claimed and have been silent for too long, at most 500.
    async fn silent(&self, stream: &str) -> Result<BTreeSet<String>, QueueError> {
        let found: Result<Vec<(String, String, u64, u64)>, RedisError> = redis::cmd("XPENDING")
            .arg(stream)
            .arg(GROUP)
            .arg("IDLE")
            .arg(millis(self.lease() + SILENCE_MARGIN))
            .arg("-")
            .arg("+")
            .arg(BATCH_MAX)
            .query_async(&mut self.connection())
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
            snapshot.jobs.extend(page.letters.into_iter().map(|letter| Sighting {
                job: letter.job,
                pair: letter.pair.map(|pair| pair.to_string()),
                step: letter.step,
                place: Place::Dead,
                attempts: letter.attempts,
            }));
        }
        Ok(())
    }

    async fn add_states(&self, snapshot: &mut Snapshot) -> Result<(), QueueError> {
        let pairs: BTreeSet<&String> =
            snapshot.open.iter().chain(&snapshot.ready).chain(&snapshot.taken).collect();
        let pairs: Vec<&String> = pairs.into_iter().collect();
        let mut states = std::collections::HashMap::new();
        for chunk in pairs.chunks(BATCH_MAX) {
            let mut pipe = redis::pipe();
            let known: Vec<_> = chunk.iter().filter_map(|pair| Some((*pair, pair.parse().ok()?))).collect();
            for (_, id) in &known {
                pipe.hget(self.keys(*id).record(*id), STATE_FIELD);
            }
            let found: Vec<Option<String>> = pipe.query_async(&mut self.connection()).await?;
            let found =
                known.iter().zip(found).filter_map(|((pair, _), state)| Some(((*pair).clone(), state?)));
            states.extend(found);
        }
        snapshot.states = states;
        Ok(())
    }
}

fn sighting(step: Step, place: Place, at: &str, entry: Option<Entry>) -> Sighting {
    match entry {
        Some(entry) => Sighting {
            job: entry.id.as_str().to_owned(),
            pair: Some(entry.pair.to_string()),
            step,
            place,
            attempts: entry.attempts,
        },
        None => Sighting { job: format!("{step}@{at}"), pair: None, step, place, attempts: 0 },
    }
}
