//! What the queue is asked, and what it answers.

use mondo_jobs::{
    job::{JobId, Step},
    pair::PairId,
    queue::{Cancelled, Commit, Committed, Marks, NewPair},
};

/// What the queue is asked. A delivery is named by its place among all that were ever made.
#[derive(Debug)]
pub(super) enum Call {
    Nothing,
    Start {
        pairs: Vec<NewPair>,
        marks: Option<Marks>,
    },
    Claim {
        worker: usize,
        step: Step,
        count: usize,
    },
    Own {
        worker: usize,
        step: Step,
    },
    Apart {
        delivery: usize,
    },
    Renew {
        worker: usize,
        deliveries: Vec<usize>,
    },
    Commit(Vec<(usize, Commit)>),
    /// `due` is the time of the model at which it is due.
    Delay {
        delivery: usize,
        why: Why,
        due: u64,
    },
    Bury {
        delivery: usize,
        attempts: u32,
    },
    Release {
        delivery: usize,
    },
    Crash {
        worker: usize,
    },
    Reclaim {
        worker: usize,
        step: Step,
        count: usize,
    },
    Promote,
    ClockJump,
    Replay(String),
    Discard(String),
    /// `lapses` is the time of the model at which the hand-over lapses.
    Take {
        lapses: u64,
    },
    Delivered(PairId),
    PutBack {
        pair: PairId,
        lapses: u64,
    },
    HandoversLapse,
    Cancel(PairId),
    FlushAll,
    ScriptFlush,
}

/// Why a job is delayed.
#[derive(Debug, Clone, Copy)]
pub(super) enum Why {
    Retry,
    Wait,
    Crashed,
}

/// What it answers.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Nothing,
    Admitted(Vec<Admitted>),
    Claimed(Vec<Claimed>),
    Lost(Vec<JobId>),
    Committed(Vec<Committed>),
    Done(bool),
    Moved(u64),
    Taken(Option<(PairId, String)>),
    Cancelled(Cancelled),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Admitted {
    Accepted,
    Duplicate,
    Full,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Claimed {
    pub(super) job: JobId,
    pub(super) attempts: u32,
    pub(super) crashes: u32,
}
