//! Every key that the queue uses, spelled once.
//!
//! All keys of a shard share one hash tag, so every script stays within one slot of a Redis Cluster. A pair and
//! everything about it is in the shard that its id chooses.

use super::{Priority, Target};
use crate::{job::Step, pair::PairId, ports::RecentList};

/// The version of this layout. A release that names or fills keys in another way counts on, and reads what those
/// before it have left.
pub(super) const LAYOUT: u32 = 3;
/// The consumer group of every step's stream.
pub(super) const GROUP: &str = "workers";
/// The only field of a stream entry: the job as JSON.
pub(super) const JOB_FIELD: &str = "job";
/// What the fields of a pair's record that hold the marks of its finished jobs begin with; the job's id follows.
pub const DONE_PREFIX: &str = "done:";
/// What the field of a pair's record that holds its first job begins with; `start` follows. Releases before layout 3
/// kept there what each commit had added as well, by the job that was committed.
pub(super) const NEXT_PREFIX: &str = "next:";
/// The field of a pair's record that says where the pair is: `open`, `ready`, `delivered` or `rejected`.
pub const STATE_FIELD: &str = "state";
/// The field that says how many bytes the record holds, the body of a pair that is ready included.
pub(super) const BYTES_FIELD: &str = "bytes";
/// What the state is while the pair is under way.
pub const STATE_OPEN: &[u8] = b"open";

/// How a pair can have ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    Finished,
    Rejected,
}

/// The keys of one shard.
#[derive(Debug, Clone)]
pub(super) struct Keys {
    shard: u32,
    tag: String,
}

impl Keys {
    pub(super) fn new(prefix: &str, shard: u32) -> Self {
        Self { shard, tag: format!("{prefix}:{shard}") }
    }

    /// The number of the shard.
    pub(super) fn shard(&self) -> u32 {
        self.shard
    }

    /// The hash tag that all keys of the shard have.
    pub(super) fn tag(&self) -> &str {
        &self.tag
    }

    /// Hash that says how the keys are laid out; of the first shard, for all.
    pub(super) fn layout(&self) -> String {
        self.key("layout")
    }

    /// Stream of a lane: a step's jobs of one priority.
    pub(super) fn stream(&self, step: Step, priority: Priority) -> String {
        match priority {
            Priority::Normal => self.key(&format!("stream:{step}")),
            Priority::High => self.key(&format!("stream:{step}:high")),
        }
    }

    /// The streams of all lanes by their number.
    pub(super) fn streams(&self) -> Vec<String> {
        lanes().map(|(step, priority)| self.stream(step, priority)).collect()
    }

    /// Sorted set of delayed jobs, `<number of the lane>:<job>`, by the millisecond they are due.
    pub(super) fn delayed(&self) -> String {
        self.key("delayed")
    }

    /// Hash of a step's delayed entries by that same member.
    pub(super) fn delayed_entries(&self, step: Step) -> String {
        self.key(&format!("delayed:{step}"))
    }

    /// Sorted set of dead jobs by the millisecond of their death.
    pub(super) fn dead(&self) -> String {
        self.key("dead")
    }

    /// Hash of dead letters by job.
    pub(super) fn dead_letters(&self) -> String {
        self.key("dead:letters")
    }

    /// Sorted set of the pairs under way by the millisecond of their start.
    pub(super) fn open(&self) -> String {
        self.key("open")
    }

    /// Hash of everything that a pair's finished steps stored.
    pub(super) fn record(&self, pair: PairId) -> String {
        self.key(&format!("pair:{pair}"))
    }

    /// Hash of the replies that a pair has paid for.
    pub(super) fn journal(&self, pair: PairId) -> String {
        self.key(&format!("pair:{pair}:journal"))
    }

    /// Sorted set of the ended pairs of a class by the millisecond of their end.
    pub(super) fn ended(&self, class: Ended) -> String {
        self.key(match class {
            Ended::Finished => "ended:finished",
            Ended::Rejected => "ended:rejected",
        })
    }

    /// Sorted set of the ended pairs that still have a journal, by the millisecond of their end.
    pub(super) fn journals(&self) -> String {
        self.key("ended:journals")
    }

    /// List of finished pairs, the next one first.
    pub(super) fn ready(&self) -> String {
        self.key("ready")
    }

    /// Hash of what consumers get, by pair.
    pub(super) fn ready_bodies(&self) -> String {
        self.key("ready:bodies")
    }

    /// Sorted set of the pairs being handed over by the millisecond at which that lapses.
    pub(super) fn taken(&self) -> String {
        self.key("taken")
    }

    /// List of what recent pairs used, the newest first.
    pub(super) fn recent(&self, list: RecentList) -> String {
        self.key(match list {
            RecentList::Objects => "recent:objects",
            RecentList::Questions => "recent:questions",
        })
    }

    /// Stream of what happened to pairs and jobs; the oldest events go.
    pub(super) fn events(&self) -> String {
        self.key("events")
    }

    /// String that stands for a moment where there was memory enough to start a pair.
    pub(super) fn memory_enough(&self) -> String {
        self.key("memory")
    }

    /// Hash of counters by name.
    pub(super) fn counters(&self) -> String {
        self.key("counters")
    }

    /// The pause of a step or a responder, a string that may expire; in the first shard.
    pub(super) fn paused(&self, target: &Target) -> String {
        self.key(&format!("paused:{target}"))
    }

    /// Sorted set of the responders that workers have named, by the millisecond of the last time; in the first
    /// shard.
    pub(super) fn responders(&self) -> String {
        self.key("responders")
    }

    /// The keys that are not of one pair, each with the type that Redis has for what it holds.
    pub(super) fn types(&self) -> Vec<(String, &'static str)> {
        let mut types: Vec<_> = self.streams().into_iter().map(|stream| (stream, "stream")).collect();
        types.extend(Step::ALL.map(|step| (self.delayed_entries(step), "hash")));
        types.extend(Step::ALL.map(|step| (self.paused(&Target::Step(step)), "string")));
        types.extend([RecentList::Objects, RecentList::Questions].map(|list| (self.recent(list), "list")));
        types.extend([Ended::Finished, Ended::Rejected].map(|class| (self.ended(class), "zset")));
        types.extend([
            (self.layout(), "hash"),
            (self.delayed(), "zset"),
            (self.dead(), "zset"),
            (self.dead_letters(), "hash"),
            (self.open(), "zset"),
            (self.journals(), "zset"),
            (self.ready(), "list"),
            (self.ready_bodies(), "hash"),
            (self.taken(), "zset"),
            (self.events(), "stream"),
            (self.memory_enough(), "string"),
            (self.counters(), "hash"),
            (self.responders(), "zset"),
        ]);
        types
    }

    fn key(&self, name: &str) -> String {
        format!("{{{}}}:{name}", self.tag)
    }
}

/// The lanes in the order of their numbers: the six steps at normal priority, then at high.
pub(super) fn lanes() -> impl Iterator<Item = (Step, Priority)> {
    Priority::ALL.into_iter().flat_map(|priority| Step::ALL.map(|step| (step, priority)))
}

/// The number by which scripts know a lane, 1 to 12.
pub(super) fn number(step: Step, priority: Priority) -> usize {
    priority as usize * Step::ALL.len() + step as usize + 1
}

/// The member that stands for a delayed job.
pub(super) fn delayed_member(step: Step, priority: Priority, job: &str) -> String {
    format!("{}:{job}", number(step, priority))
}
