//! Who may run beside whom in this process: a job that was there when a worker ended is run alone.

use std::sync::Arc;

use tokio::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard, watch};

/// One for all steps of a process.
#[derive(Default)]
pub(super) struct Gate {
    /// First come, first served: whoever waits to be alone waits for those that run, and others wait behind.
    places: RwLock<()>,
    /// How many keep the gate closed.
    closed: watch::Sender<usize>,
}

/// A right to run.
pub(super) enum Place<'a> {
    Beside(#[expect(dead_code, reason = "held for its drop")] RwLockReadGuard<'a, ()>),
    Alone(#[expect(dead_code, reason = "held for its drop")] RwLockWriteGuard<'a, ()>),
}

impl Gate {
    /// Waits for a place beside others.
    pub(super) async fn enter(&self) -> Place<'_> {
        Place::Beside(self.places.read().await)
    }

    /// Waits until nothing else runs.
    pub(super) async fn enter_alone(&self) -> Place<'_> {
        Place::Alone(self.places.write().await)
    }

    /// Nothing new is claimed while what this gives lives: it would wait here while other processes are free, and
    /// be there if this one ends.
    pub(super) fn close(self: &Arc<Self>) -> Closed {
        self.closed.send_modify(|closed| *closed += 1);
        Closed(Arc::clone(self))
    }

    pub(super) fn is_closed(&self) -> bool {
        *self.closed.borrow() > 0
    }

    pub(super) async fn until_open(&self) {
        // Fails only when the sender is gone, and it is ours.
        let _ = self.closed.subscribe().wait_for(|closed| *closed == 0).await;
    }

    pub(super) async fn until_closed(&self) {
        let _ = self.closed.subscribe().wait_for(|closed| *closed > 0).await;
    }
}

/// Keeps the gate closed.
pub(super) struct Closed(Arc<Gate>);

impl Drop for Closed {
    fn drop(&mut self) {
        self.0.closed.send_modify(|closed| *closed -= 1);
    }
}
