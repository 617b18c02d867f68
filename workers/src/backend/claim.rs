//! A job that this process holds, and the desk where a step keeps them.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering},
    },
};

use mondo_jobs::{job::Step, pair::PairId, queue::Delivery};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use super::pulse::Beat;
use crate::notes::Notes;

/// What one step has under way in this process.
pub(super) struct Desk {
    pub(super) step: Step,
    /// Fresh on every start, so that nobody else's entries are mistaken for ours.
    pub(super) consumer: String,
    /// One permit for each slot; a claim holds one from before it is read until its end is stored.
    pub(super) credit: Arc<Semaphore>,
    pub(super) slots: usize,
    pub(super) beat: Arc<Beat>,
    /// Set by the keeper when a lease of somebody has lapsed; cleared by the fetcher that looks.
    pub(super) lapsed: AtomicBool,
    /// The connection that the fetcher may be blocked on; 0 for none.
    pub(super) reader: AtomicU64,
    held: Mutex<Held>,
}

/// Claims by pair and entry.
type Held = HashMap<(PairId, String), Weak<ClaimInner>>;

const UNSTARTED: u8 = 0;
const STARTED: u8 = 1;
const HANDED_BACK: u8 = 2;

impl Desk {
    pub(super) fn new(step: Step, consumer: String, slots: usize, beat: Arc<Beat>) -> Self {
        Self {
            step,
            consumer,
            credit: Arc::new(Semaphore::new(slots)),
            slots,
            beat,
            // What a crash left behind is looked for at once.
            lapsed: AtomicBool::new(true),
            reader: AtomicU64::new(0),
            held: Mutex::default(),
        }
    }

    /// Takes a delivery in; `None` when it is under way here already.
    pub(super) fn hold(self: &Arc<Self>, delivery: Delivery, permit: OwnedSemaphorePermit) -> Option<Claim> {
        let mut held = self.held();
        // Two streams may have the same entry id; no pair is in both.
        let key = (delivery.pair, delivery.entry.clone());
        if held.contains_key(&key) {
            return None;
        }
        let claim = Arc::new(ClaimInner {
            delivery,
            desk: Arc::clone(self),
            lost: CancellationToken::new(),
            notes: Arc::default(),
            phase: AtomicU8::new(UNSTARTED),
            _permit: permit,
        });
        held.insert(key, Arc::downgrade(&claim));
        Some(Claim(claim))
    }

    /// Everything under way.
    pub(super) fn claims(&self) -> Vec<Claim> {
        // Collected first: a claim that is dropped while the lock is held would wait for it for ever.
        let held: Vec<Weak<ClaimInner>> = self.held().values().cloned().collect();
        held.iter().filter_map(Weak::upgrade).map(Claim).collect()
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A claimed job; its slot is free again once the last clone is gone.
#[derive(Clone)]
pub(super) struct Claim(Arc<ClaimInner>);

struct ClaimInner {
    delivery: Delivery,
    desk: Arc<Desk>,
    lost: CancellationToken,
    notes: Arc<Notes>,
    phase: AtomicU8,
    _permit: OwnedSemaphorePermit,
}

impl Claim {
    pub(super) fn delivery(&self) -> &Delivery {
        &self.0.delivery
    }

    pub(super) fn desk(&self) -> &Arc<Desk> {
        &self.0.desk
    }

    /// Cancelled when the lease is lost.
    pub(super) fn lost(&self) -> &CancellationToken {
        &self.0.lost
    }

    /// What the run leaves behind for a dead letter.
    pub(super) fn notes(&self) -> &Arc<Notes> {
        &self.0.notes
    }

    /// Starts the run; `false` when the job has been handed back.
    pub(super) fn begin(&self) -> bool {
        self.leave_unstarted_for(STARTED)
    }

    /// Gives up a job that has not been started; `false` when it has.
    pub(super) fn hand_back(&self) -> bool {
        self.leave_unstarted_for(HANDED_BACK)
    }

    fn leave_unstarted_for(&self, phase: u8) -> bool {
        self.0.phase.compare_exchange(UNSTARTED, phase, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }
}

impl Drop for ClaimInner {
    fn drop(&mut self) {
        self.desk.held().remove(&(self.delivery.pair, self.delivery.entry.clone()));
    }
}
