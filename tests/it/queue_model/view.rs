//! What is where: read from Redis, or said by the model, and then compared.

use std::collections::{BTreeMap, BTreeSet};

use mondo_jobs::{job::JobId, pair::PairId, queue::Priority};

use super::{
    model::{Lease, Model, Place, lane_name, worker_name},
    ops::STEPS,
};

/// Everything that moves. Times are those of the model's clock.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct View {
    /// What each lane holds, in order.
    pub(super) lanes: BTreeMap<String, Vec<Queued>>,
    /// Delayed jobs.
    pub(super) delayed: BTreeMap<String, Delayed>,
    /// Dead jobs with their failed runs and crashes.
    pub(super) dead: BTreeMap<String, (u64, u64)>,
    /// Records.
    pub(super) records: BTreeMap<String, Record>,
    pub(super) open: BTreeSet<String>,
    pub(super) ready: Vec<String>,
    /// Pairs being handed over, by the time at which that lapses.
    pub(super) taken: BTreeMap<u64, String>,
    pub(super) bodies: BTreeMap<String, String>,
    pub(super) rejected: BTreeSet<String>,
    pub(super) delivered: BTreeSet<String>,
    /// Counters that are not 0; bytes are checked by themselves.
    pub(super) counters: BTreeMap<String, i64>,
}

/// A job in its stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Queued {
    pub(super) job: String,
    pub(super) attempts: u64,
    pub(super) crashes: u64,
    pub(super) claim: Option<Claim>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Claim {
    pub(super) worker: String,
    pub(super) count: u64,
    pub(super) lapsed: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Delayed {
    pub(super) lane: String,
    pub(super) due: u64,
    pub(super) attempts: u64,
    pub(super) crashes: u64,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) state: String,
    /// Which commit each done job has.
    pub(super) done: BTreeMap<String, String>,
}

impl Model {
    /// What must be where.
    pub(super) fn view(&self) -> View {
        let mut view = View::default();
        for step in STEPS {
            for priority in Priority::ALL {
                let queued = self.lane(step, priority).into_iter();
                let queued = queued.map(|(_, lease, id)| self.queued(&id, lease)).collect();
                view.lanes.insert(lane_name(step, priority), queued);
            }
        }
        for (id, found) in &self.jobs {
            let (id, attempts, crashes) = (id.to_string(), found.attempts.into(), found.crashes.into());
            match found.place {
                Place::Stream { .. } => {}
                Place::Delayed { due } => {
                    let lane = lane_name(found.job.step, found.priority);
                    view.delayed.insert(id, Delayed { lane, due, attempts, crashes });
                }
                Place::Dead => {
                    view.dead.insert(id, (attempts, crashes));
                }
            }
        }
        for (id, pair) in &self.pairs {
            let done = pair.done.iter().map(|(job, token)| (job.to_string(), token.clone())).collect();
            view.records.insert(id.to_string(), Record { state: pair.state.to_owned(), done });
            match pair.state {
                "open" => view.open.insert(id.to_string()),
                "rejected" => view.rejected.insert(id.to_string()),
                "delivered" => view.delivered.insert(id.to_string()),
                _ => true,
            };
        }
        view.ready = self.ready.iter().map(PairId::to_string).collect();
        view.taken = self.taken.iter().map(|(lapses, pair)| (*lapses, pair.to_string())).collect();
        view.bodies = self.bodies.iter().map(|(pair, body)| (pair.to_string(), body.clone())).collect();
        let counters = self.counters.iter().filter(|(_, value)| **value != 0);
        view.counters = counters.map(|(name, value)| ((*name).to_owned(), *value)).collect();
        view
    }

    fn queued(&self, id: &JobId, lease: Option<Lease>) -> Queued {
        let found = &self.jobs[id];
        let claim = lease.map(|lease| Claim {
            worker: worker_name(lease.worker),
            count: lease.count.into(),
            lapsed: lease.lapsed,
        });
        Queued { job: id.to_string(), attempts: found.attempts.into(), crashes: found.crashes.into(), claim }
    }
}
