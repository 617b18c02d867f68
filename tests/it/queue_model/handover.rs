//! How pairs leave, in the model: handed over or called off.

use mondo_jobs::{pair::PairId, queue::Cancelled};

use super::{
    call::{Answer, Call},
    model::{FAR, Model, Place, pair_id},
};

impl Model {
    pub(super) fn take(&mut self) -> (Call, Answer) {
        let lapses = self.tick() + FAR;
        let held = self.taken.split_off(&FAR);
        let returned = std::mem::replace(&mut self.taken, held);
        for pair in returned.into_values().rev() {
            self.ready.push_front(pair);
        }
        let taken = self.ready.pop_front().map(|pair| {
            self.taken.insert(lapses, pair);
            self.handovers.push((pair, lapses));
            (pair, self.bodies[&pair].clone())
        });
        (Call::Take { lapses }, Answer::Taken(taken))
    }

    /// A hand-over, counted back from the newest, and when it lapses.
    fn handover(&self, pick: usize) -> Option<(PairId, u64)> {
        let count = self.handovers.len();
        let (pair, lapses) = *self.handovers.get((count.max(1) - 1).checked_sub(pick % count.max(1))?)?;
        let is_over = self.taken.get(&(lapses % FAR)) == Some(&pair);
        Some((pair, if is_over { lapses % FAR } else { lapses }))
    }

    pub(super) fn delivered(&mut self, pick: usize) -> (Call, Answer) {
        let Some((id, _)) = self.handover(pick) else { return (Call::Nothing, Answer::Nothing) };
        if self.bodies.remove(&id).is_some() {
            self.taken.retain(|_, pair| *pair != id);
            self.ready.retain(|pair| *pair != id);
            self.pairs.get_mut(&id).unwrap().state = "delivered";
            self.raise("delivered", 1);
        }
        (Call::Delivered(id), Answer::Nothing)
    }

    pub(super) fn put_back(&mut self, pick: usize) -> (Call, Answer) {
        let Some((pair, lapses)) = self.handover(pick) else { return (Call::Nothing, Answer::Nothing) };
        if self.taken.get(&lapses) == Some(&pair) {
            self.taken.remove(&lapses);
            self.ready.push_front(pair);
        }
        (Call::PutBack { pair, lapses }, Answer::Nothing)
    }

    pub(super) fn cancel(&mut self, pick: usize) -> (Call, Answer) {
        let alive = self.pairs.iter().filter(|(_, pair)| matches!(pair.state, "open" | "ready"));
        let alive: Vec<PairId> = alive.map(|(id, _)| *id).collect();
        let id = alive.get(pick % alive.len().max(1)).copied().unwrap_or_else(|| pair_id(0));
        let cancelled = if self.taken.values().any(|pair| *pair == id) {
            Cancelled::BeingTaken
        } else if self.bodies.remove(&id).is_some() {
            Cancelled::Ready
        } else if alive.contains(&id) {
            Cancelled::UnderWay
        } else {
            Cancelled::Unknown
        };
        if matches!(cancelled, Cancelled::Ready | Cancelled::UnderWay) {
            self.ready.retain(|pair| *pair != id);
            self.jobs.retain(|_, found| found.job.pair != id || matches!(found.place, Place::Stream { .. }));
            self.pairs.get_mut(&id).unwrap().state = "rejected";
            self.raise("rejected", 1);
            self.raise("cancelled", 1);
        }
        (Call::Cancel(id), Answer::Cancelled(cancelled))
    }
}
