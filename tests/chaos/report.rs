//! What a run came to, for people and for programs.

use std::fmt;

use serde::Serialize;

use crate::proxy::Mode;

/// What was broken.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Tally {
    pub(crate) kills: u32,
    /// Processes that a worker had started for one job.
    pub(crate) lone_kills: u32,
    pub(crate) stops: u32,
    pub(crate) redis_kills: u32,
    pub(crate) redis_shutdowns: u32,
    pub(crate) cuts: u32,
    pub(crate) slow_links: u32,
    pub(crate) stalled_links: u32,
    pub(crate) blackholes: u32,
    pub(crate) refused_links: u32,
    pub(crate) links_that_lost_replies: u32,
    /// Jobs that chance hit three times: dead letters that say so, put back.
    pub(crate) crashed_letters: u32,
    /// Worker processes that ended without having been told to.
    pub(crate) gave_up: u32,
}

impl Tally {
    pub(crate) fn note_link(&mut self, mode: Mode) {
        *match mode {
            Mode::Pass | Mode::Delay(..) | Mode::Trickle(_) => &mut self.slow_links,
            Mode::Stall => &mut self.stalled_links,
            Mode::Blackhole => &mut self.blackholes,
            Mode::Refuse => &mut self.refused_links,
            Mode::LoseReplies(_) => &mut self.links_that_lost_replies,
        } += 1;
    }
}

/// Calls to the responder.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Calls {
    pub(crate) paid: usize,
    /// Paid for though the reply was in the journal when the run began that asked again.
    pub(crate) paid_twice: usize,
    /// Replies that a worker held for a second or longer and that were lost with it.
    pub(crate) held_and_lost: usize,
    /// Each of these: job, when it was paid for, when the worker was killed; microseconds since the Unix epoch.
    pub(crate) lost: Vec<(String, u64, u64)>,
    /// Paid for again because the worker was killed, stopped or cut off between asking and storing.
    pub(crate) cut_off: usize,
}

#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Recovery {
    pub(crate) jobs: usize,
    pub(crate) p50_secs: f64,
    pub(crate) p99_secs: f64,
    pub(crate) max_secs: f64,
}

#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Report {
    pub(crate) seed: u64,
    pub(crate) seconds: u64,
    pub(crate) lease_secs: u64,
    pub(crate) broke: Tally,
    pub(crate) pairs_started: usize,
    pub(crate) pairs_delivered: usize,
    pub(crate) pairs_rejected: usize,
    pub(crate) runs: usize,
    pub(crate) commits: usize,
    pub(crate) lost: usize,
    pub(crate) doubled_commits: i64,
    pub(crate) delivered_twice: usize,
    pub(crate) calls: Calls,
    /// From the kill of a worker to the start elsewhere of each job that it was in the middle of; where whoever took
    /// the job over was lost before that start, for each of these workers.
    pub(crate) recovery: Recovery,
    /// The same where Redis was away meanwhile.
    pub(crate) recovery_over_outages: Recovery,
    pub(crate) doctor_violations: Vec<String>,
    /// Each broken promise in words.
    pub(crate) broken: Vec<String>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut line = |name: &str, value: String| writeln!(f, "{name:<34}{value:>12}");
        let Tally { redis_kills, redis_shutdowns, .. } = self.broke;
        line("workers killed", self.broke.kills.to_string())?;
        line("processes of one job killed", self.broke.lone_kills.to_string())?;
        line("stops past the lease", self.broke.stops.to_string())?;
        line("Redis killed, shut down", format!("{redis_kills}, {redis_shutdowns}"))?;
        line("links cut", self.broke.cuts.to_string())?;
        line("links slow, stalled, refused", {
            let Tally { slow_links, stalled_links, refused_links, .. } = self.broke;
            format!("{slow_links}, {stalled_links}, {refused_links}")
        })?;
        line("black holes, links losing replies", {
            let Tally { blackholes, links_that_lost_replies, .. } = self.broke;
            format!("{blackholes}, {links_that_lost_replies}")
        })?;
        line("jobs hit three times, put back", self.broke.crashed_letters.to_string())?;
        line("pairs started", self.pairs_started.to_string())?;
        line("pairs delivered, rejected", format!("{}, {}", self.pairs_delivered, self.pairs_rejected))?;
        line("runs of handlers, commits", format!("{}, {}", self.runs, self.commits))?;
        line("lost", self.lost.to_string())?;
        line("doubled commits", self.doubled_commits.to_string())?;
        line("delivered twice", self.delivered_twice.to_string())?;
        line("calls paid", self.calls.paid.to_string())?;
        line("calls paid twice", self.calls.paid_twice.to_string())?;
        line("replies held for 1 s and lost", self.calls.held_and_lost.to_string())?;
        line("calls cut off and asked again", self.calls.cut_off.to_string())?;
        for (name, recovery) in
            [("recovery", &self.recovery), ("recovery while Redis was away", &self.recovery_over_outages)]
        {
            let Recovery { jobs, p50_secs, p99_secs, max_secs } = recovery;
            let text = format!("p50 {p50_secs:.1} s, p99 {p99_secs:.1} s, max {max_secs:.1} s, {jobs} jobs");
            writeln!(f, "{name:<34}{text}")?;
        }
        writeln!(f, "{:<34}{:>12}", "doctor violations", self.doctor_violations.len())?;
        for broken in &self.broken {
            writeln!(f, "BROKEN: {broken}")?;
        }
        let Self { seconds, seed, lease_secs, .. } = self;
        write!(
            f,
            "{seconds} s, lease {lease_secs} s, Redis with appendfsync always; again with --seed {seed}"
        )
    }
}
