//! What the responder was paid for, and whether any of it was paid for again without need.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard},
};

use crate::now_us;

/// One call that was answered.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    /// What was asked, by content: purpose, pair, seed, messages.
    pub(crate) key: String,
    pub(crate) job: String,
    pub(crate) asked_us: u64,
    /// When the reply was sent.
    pub(crate) paid_us: u64,
    /// When it was first seen in its pair's journal; a little after it got there.
    pub(crate) journaled_us: Option<u64>,
}

#[derive(Default)]
pub(crate) struct Books(Mutex<Vec<Call>>);

impl Books {
    fn calls(&self) -> MutexGuard<'_, Vec<Call>> {
        self.0.lock().unwrap()
    }

    /// Writes a call down and gives its number.
    pub(crate) fn paid(&self, key: String, job: String, asked_us: u64) -> usize {
        let mut calls = self.calls();
        calls.push(Call { key, job, asked_us, paid_us: now_us(), journaled_us: None });
        calls.len() - 1
    }

    pub(crate) fn journaled(&self, call: usize) {
        self.calls()[call].journaled_us = Some(now_us());
    }

    pub(crate) fn all(&self) -> Vec<Call> {
        self.calls().clone()
    }

    /// The calls of each request that was paid for more than once, in order.
    pub(crate) fn repeated(&self) -> Vec<Vec<Call>> {
        let mut by_key: HashMap<String, Vec<Call>> = HashMap::new();
        for call in self.all() {
            by_key.entry(call.key.clone()).or_default().push(call);
        }
        by_key.into_values().filter(|calls| calls.len() > 1).collect()
    }
}
