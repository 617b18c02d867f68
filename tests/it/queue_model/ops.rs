//! What can happen to a queue. An operation names its object by a number that the model resolves, so that any
//! sequence of operations makes sense and can be shortened at any place.

use mondo_jobs::{job::Step, queue::Priority};
use proptest::prelude::*;

/// Steps that the jobs of the model go through: one job, then two at once. A longer way would be walked less often.
pub(super) const STEPS: [Step; 2] = [Step::Objects, Step::Answer];
pub(super) const WORKERS: usize = 3;
/// Pairs are the numbers of one order: their ids are idempotency keys.
pub(super) const PAIRS: u64 = 24;
/// How many pairs may be held at once.
pub(super) const HELD_MAX: u64 = 6;
/// What a worker that is lost beside a job adds to its delivery count.
pub(super) const LOSS: u32 = 1000;

/// A `pick` counts back from the newest of what there is, so it often meets what is live, and at times what is
/// long over.
#[derive(Debug, Clone)]
pub(super) enum Op {
    Start {
        first: u64,
        count: u64,
        priority: Priority,
        marks: Option<(u64, u64)>,
    },
    Claim {
        worker: usize,
        pick: usize,
        count: usize,
    },
    Own {
        worker: usize,
        step: Step,
    },
    Apart {
        pick: usize,
    },
    Renew {
        worker: usize,
    },
    Commit {
        picks: Vec<usize>,
        ending: Ending,
    },
    Retry {
        pick: usize,
        later: bool,
    },
    Wait {
        pick: usize,
        later: bool,
    },
    /// The process of a job ends, and its worker sees that.
    Crashed {
        pick: usize,
        later: bool,
    },
    Bury {
        pick: usize,
    },
    Release {
        pick: usize,
    },
    /// A worker falls silent, and its leases lapse. It may be dead or only stopped: what it held stays to pick.
    Crash {
        worker: usize,
    },
    Reclaim {
        worker: usize,
        pick: usize,
        count: usize,
    },
    Promote,
    /// What was to wait for an hour is due.
    ClockJump,
    Replay {
        pick: usize,
    },
    Discard {
        pick: usize,
    },
    Take,
    Delivered {
        pick: usize,
    },
    PutBack {
        pick: usize,
    },
    /// The leases of all consumers lapse.
    HandoversLapse,
    Cancel {
        pick: usize,
    },
    FlushAll,
    ScriptFlush,
}

/// How a committing job wants to end its pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// What follows runs; the last answer makes the pair ready.
    Last,
    Ready,
    Rejected,
}

pub(super) fn any_op() -> impl Strategy<Value = Op> {
    let worker = || 0..WORKERS;
    let step = || proptest::sample::select(&STEPS[..]);
    let priority = proptest::sample::select(&Priority::ALL[..]);
    let pick = || 0..8_usize;
    let ending = prop_oneof![3 => Just(Ending::Last), 2 => Just(Ending::Ready), 1 => Just(Ending::Rejected)];
    let marks =
        proptest::option::weighted(0.2, (0..HELD_MAX, 0..3_u64).prop_map(|(low, more)| (low, low + more)));
    prop_oneof![
        12 => (0..PAIRS, 1..4_u64, priority, marks)
            .prop_map(|(first, count, priority, marks)| Op::Start { first, count, priority, marks }),
        30 => (worker(), pick(), 1..4_usize).prop_map(|(worker, pick, count)| Op::Claim { worker, pick, count }),
        2 => (worker(), step()).prop_map(|(worker, step)| Op::Own { worker, step }),
        4 => pick().prop_map(|pick| Op::Apart { pick }),
        4 => worker().prop_map(|worker| Op::Renew { worker }),
        30 => (proptest::collection::vec(pick(), 1..4), ending)
            .prop_map(|(picks, ending)| Op::Commit { picks, ending }),
        6 => (pick(), any::<bool>()).prop_map(|(pick, later)| Op::Retry { pick, later }),
        3 => (pick(), any::<bool>()).prop_map(|(pick, later)| Op::Wait { pick, later }),
        3 => (pick(), any::<bool>()).prop_map(|(pick, later)| Op::Crashed { pick, later }),
        6 => pick().prop_map(|pick| Op::Bury { pick }),
        3 => pick().prop_map(|pick| Op::Release { pick }),
        6 => worker().prop_map(|worker| Op::Crash { worker }),
        8 => (worker(), pick(), 1..4_usize)
            .prop_map(|(worker, pick, count)| Op::Reclaim { worker, pick, count }),
        6 => Just(Op::Promote),
        2 => Just(Op::ClockJump),
        4 => pick().prop_map(|pick| Op::Replay { pick }),
        3 => pick().prop_map(|pick| Op::Discard { pick }),
        14 => Just(Op::Take),
        4 => pick().prop_map(|pick| Op::Delivered { pick }),
        14 => (0..4_usize).prop_map(|pick| Op::PutBack { pick }),
        4 => Just(Op::HandoversLapse),
        4 => pick().prop_map(|pick| Op::Cancel { pick }),
        1 => Just(Op::FlushAll),
        2 => Just(Op::ScriptFlush),
    ]
}
