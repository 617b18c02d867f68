//! A job that this process holds, and the desk where a step keeps them.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak,
        atomic::{AtomicU8, Ordering},
    },
    task::{Context, Poll},
    time::{Duration, Instant},
};

use mondo_jobs::{job::Step, pair::PairId, queue::Delivery};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_util::sync::CancellationToken;

use super::pulse::Beat;
use crate::notes::Notes;

/// What one step has under way in this process.
pub(super) struct Desk {
    pub(super) step: Step,
    /// Fresh on every start, so that nobody else's entries are mistaken for ours.
    pub(super) consumer: String,
    /// One permit for each slot; a claim holds one from before it is offered until its end is stored.
    pub(super) credit: Arc<Semaphore>,
    /// For what gone workers left behind, which has waited for long enough: as many again, but a browser is dear.
    pub(super) spare: Arc<Semaphore>,
    /// Of both together.
    pub(super) places: usize,
    pub(super) beat: Arc<Beat>,
    /// Claims on their way to the worker, never more than places; absent once none is taken any more.
    offers: Mutex<Option<mpsc::UnboundedSender<Claim>>>,
    offered: Mutex<mpsc::UnboundedReceiver<Claim>>,
    held: Mutex<Held>,
    /// When a job was last met that only a newer release can run.
    newer_met: Mutex<Option<Instant>>,
}

/// For how long a worker remembers that it met a job of a newer release.
const NEWER_MEMORY: Duration = Duration::from_mins(1);

/// Claims by pair and entry.
type Held = HashMap<(PairId, String), Weak<ClaimInner>>;

const UNSTARTED: u8 = 0;
const STARTED: u8 = 1;
const HANDED_BACK: u8 = 2;
const ENDED: u8 = 3;

impl Desk {
    pub(super) fn new(step: Step, consumer: String, slots: usize, beat: Arc<Beat>) -> Self {
        let (offers, offered) = mpsc::unbounded_channel();
        let spare = if step.asks_responder() { slots } else { 1 };
        Self {
            step,
            consumer,
            credit: Arc::new(Semaphore::new(slots)),
            spare: Arc::new(Semaphore::new(spare)),
            places: slots + spare,
            beat,
            offers: Mutex::new(Some(offers)),
            offered: Mutex::new(offered),
            held: Mutex::default(),
            newer_met: Mutex::default(),
        }
    }

    /// Takes a delivery in, so that its lease is renewed; `None` when it is under way here already.
    pub(super) fn hold(self: &Arc<Self>, delivery: Delivery) -> Option<Claim> {
        let mut held = lock(&self.held);
        // Two streams may have the same entry id; no pair is in both.
        let key = (delivery.pair, delivery.entry.clone());
        if held.contains_key(&key) {
            return None;
        }
        let claim = Arc::new(ClaimInner {
            delivery,
            desk: Arc::clone(self),
            stop: CancellationToken::new(),
            notes: Arc::default(),
            phase: AtomicU8::new(UNSTARTED),
            renewed: Mutex::new(Instant::now()),
            slot: OnceLock::new(),
        });
        held.insert(key, Arc::downgrade(&claim));
        Some(Claim(claim))
    }

    /// Notes a job that only a newer release can run.
    pub(super) fn meet_newer(&self) {
        *lock(&self.newer_met) = Some(Instant::now());
    }

    /// Whether newer releases should come first for now: whoever is always quicker would keep such jobs from them.
    pub(super) fn lets_newer_first(&self) -> bool {
        lock(&self.newer_met).is_some_and(|met| met.elapsed() < NEWER_MEMORY)
    }

    /// Passes a claim to the worker; `false` when it takes nothing any more.
    pub(super) fn offer(&self, claim: Claim) -> bool {
        lock(&self.offers).as_ref().is_some_and(|offers| offers.send(claim).is_ok())
    }

    /// The next claim that was offered, none once the desk is closed.
    pub(super) fn poll_offered(&self, cx: &mut Context<'_>) -> Poll<Option<Claim>> {
        lock(&self.offered).poll_recv(cx)
    }

    /// Nothing is offered from here on.
    pub(super) fn close(&self) {
        lock(&self.offers).take();
    }

    /// Everything under way.
    pub(super) fn claims(&self) -> Vec<Claim> {
        // Collected first: a claim that is dropped while the lock is held would wait for it for ever.
        let held: Vec<Weak<ClaimInner>> = lock(&self.held).values().cloned().collect();
        held.iter().filter_map(Weak::upgrade).map(Claim).collect()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A claimed job; its slot is free again once the last clone is gone.
#[derive(Clone)]
pub(super) struct Claim(Arc<ClaimInner>);

struct ClaimInner {
    delivery: Delivery,
    desk: Arc<Desk>,
    stop: CancellationToken,
    notes: Arc<Notes>,
    phase: AtomicU8,
    renewed: Mutex<Instant>,
    slot: OnceLock<OwnedSemaphorePermit>,
}

impl Claim {
    pub(super) fn delivery(&self) -> &Delivery {
        &self.0.delivery
    }

    pub(super) fn desk(&self) -> &Arc<Desk> {
        &self.0.desk
    }

    /// Whether the job was there when a worker ended; then it is run alone.
    pub(super) fn is_suspect(&self) -> bool {
        self.0.delivery.crashes > 0
    }

    /// Gives the claim its slot.
    pub(super) fn seat(&self, slot: OwnedSemaphorePermit) {
        // A second slot would be given back at once, and no claim is given one.
        let _ = self.0.slot.set(slot);
    }

    /// Cancelled when the run may not go on: the lease is lost, or the job was handed back.
    pub(super) fn stop(&self) -> &CancellationToken {
        &self.0.stop
    }

    /// The lease was renewed by a call that was begun at this moment.
    pub(super) fn renewed(&self, at: Instant) {
        *lock(&self.0.renewed) = at;
    }

    /// How long ago the lease was last known to be ours.
    pub(super) fn unrenewed_for(&self) -> Duration {
        lock(&self.0.renewed).elapsed()
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
        let handed_back = self.leave_unstarted_for(HANDED_BACK);
        if handed_back {
            self.0.stop.cancel();
        }
        handed_back
    }

    /// The run has come to its end, which is on its way to be stored.
    pub(super) fn end(&self) {
        self.0.phase.store(ENDED, Ordering::Release);
    }

    /// Whether nothing is left to cancel.
    pub(super) fn has_ended(&self) -> bool {
        matches!(self.0.phase.load(Ordering::Acquire), ENDED | HANDED_BACK)
    }

    fn leave_unstarted_for(&self, phase: u8) -> bool {
        self.0.phase.compare_exchange(UNSTARTED, phase, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }
}

impl Drop for ClaimInner {
    fn drop(&mut self) {
        lock(&self.desk.held).remove(&(self.delivery.pair, self.delivery.entry.clone()));
    }
}
