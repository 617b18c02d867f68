//! What a stream entry carries: ids, the opaque envelope and how often the job has been run.

use std::borrow::Cow;

use serde::{Deserialize, Serialize, Serializer};

use super::{Delivery, NewJob, Priority, Queue, keys::JOB_FIELD, lane::Lane};
use crate::{
    job::{JobId, Step},
    pair::PairId,
};

/// One job as it is stored; scripts move it as it is and never look inside.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Stored")]
pub(super) struct Entry {
    pub(super) id: JobId,
    pub(super) pair: PairId,
    pub(super) envelope: String,
    /// Runs that ended with an error.
    pub(super) attempts: u32,
    /// Runs that ended with their worker, up to the time when this entry was added.
    pub(super) crashes: u32,
}

impl Entry {
    pub(super) fn fresh(job: &NewJob) -> Self {
        Self { id: job.id.clone(), pair: job.pair, envelope: job.envelope.clone(), attempts: 0, crashes: 0 }
    }

    pub(super) fn of(delivery: &Delivery) -> Self {
        Self {
            id: delivery.job.clone(),
            pair: delivery.pair,
            envelope: delivery.envelope.clone(),
            attempts: delivery.attempts,
            crashes: delivery.crashes,
        }
    }

    pub(super) fn to_json(&self) -> String {
        // Strings and numbers always serialize.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// The value of the field that keeps which jobs a commit added, so that a lost one can be put back.
    pub(super) fn write_next(jobs: &[NewJob], priority: Priority) -> Vec<u8> {
        let next: Vec<_> = jobs.iter().map(|job| (job.step, priority, Self::fresh(job))).collect();
        // Strings and numbers always serialize.
        serde_json::to_vec(&next).unwrap_or_default()
    }

    /// Reads such a field; what does not decode holds no job.
    pub(super) fn read_next(json: &[u8]) -> Vec<(Step, Priority, Self)> {
        serde_json::from_slice(json).unwrap_or_default()
    }

    pub(super) fn from_fields(fields: &Fields) -> Result<Self, String> {
        let (_, json) = fields
            .iter()
            .find(|(name, _)| name == JOB_FIELD.as_bytes())
            .ok_or_else(|| format!("no field `{JOB_FIELD}`"))?;
        serde_json::from_slice(json).map_err(|error| error.to_string())
    }
}

/// The stored shape: what a reader can tell without is left out, since there may be a million of them.
#[derive(Serialize, Deserialize)]
struct Stored<'a> {
    id: Cow<'a, str>,
    /// Only where the id does not begin with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pair: Option<PairId>,
    envelope: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "is_zero")]
    attempts: u32,
    #[serde(default, skip_serializing_if = "is_zero")]
    crashes: u32,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference")]
fn is_zero(count: &u32) -> bool {
    *count == 0
}

impl Serialize for Entry {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let stored = Stored {
            id: self.id.as_str().into(),
            pair: (self.id.pair() != Some(self.pair)).then_some(self.pair),
            envelope: self.envelope.as_str().into(),
            attempts: self.attempts,
            crashes: self.crashes,
        };
        stored.serialize(serializer)
    }
}

impl TryFrom<Stored<'_>> for Entry {
    type Error = String;

    fn try_from(stored: Stored<'_>) -> Result<Self, String> {
        let id = JobId::from_stored(stored.id.into_owned());
        let pair =
            stored.pair.or_else(|| id.pair()).ok_or_else(|| format!("no pair, and none in the id `{id}`"))?;
        let envelope = stored.envelope.into_owned();
        Ok(Self { id, pair, envelope, attempts: stored.attempts, crashes: stored.crashes })
    }
}

/// The fields of a stream entry, in order.
pub(super) type Fields = Vec<(Vec<u8>, Vec<u8>)>;

/// What a claim brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Arrival {
    /// A job to run.
    Job(Delivery),
    /// Something that is no job; it must be set aside.
    Undecodable(Undecodable),
}

/// An entry that this release cannot read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Undecodable {
    /// Its shard.
    pub shard: u32,
    /// Its step.
    pub step: Step,
    /// Its priority.
    pub priority: Priority,
    /// Its id.
    pub entry: String,
    /// Names and values, as they came.
    pub fields: Vec<(Vec<u8>, Vec<u8>)>,
    /// What is wrong with it.
    pub reason: String,
}

/// What a worker that is lost beside a job adds to its delivery count.
const LOSS: u32 = 1000;

impl Arrival {
    /// `deliveries` is the entry's delivery count; `lua/reclaim.lua` tells what it says.
    pub(super) fn new(queue: &Queue, lane: Lane, entry: String, deliveries: u32, fields: Fields) -> Self {
        let Lane { shard, step, priority } = lane;
        let job = Entry::from_fields(&fields).and_then(|job| match queue.shard_of(job.pair) {
            home if home == shard => Ok(job),
            home => {
                Err(format!("in shard {shard}, but its pair is in shard {home}: was the number changed?"))
            }
        });
        match job {
            Ok(job) => Self::Job(Delivery {
                job: job.id,
                pair: job.pair,
                step,
                priority,
                entry,
                envelope: job.envelope,
                attempts: job.attempts,
                crashes: job.crashes.saturating_add(deliveries % LOSS / 2),
                losses: deliveries / LOSS,
            }),
            Err(reason) => Self::Undecodable(Undecodable { shard, step, priority, entry, fields, reason }),
        }
    }

    /// The stream entry.
    pub fn entry(&self) -> &str {
        match self {
            Self::Job(delivery) => &delivery.entry,
            Self::Undecodable(undecodable) => &undecodable.entry,
        }
    }
}
