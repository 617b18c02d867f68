//! What must hold on any queue at any time, written once as pure functions: `mondo doctor` and the tests ask
//! the same questions.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use serde::Serialize;

use super::super::{Lane, keys::delayed_member};
use crate::{job::Step, pair::PairId};

/// One broken invariant, found on the live queue.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Violation {
    /// The invariant: `Q1`, `Q2`, …
    pub invariant: String,
    /// What breaks it, in words, with the job or pair named.
    pub detail: String,
    /// What mending does, or what an operator can do.
    pub remedy: String,
    /// How it is mended; absent where there is nothing to move.
    #[serde(skip)]
    pub repair: Option<Repair>,
}

/// How a violation is mended.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Repair {
    /// The job is put back into its stream.
    Restore {
        /// Its pair.
        pair: PairId,
        /// The job.
        job: String,
    },
    /// The job is left in one place.
    Settle {
        /// Its shard.
        shard: u32,
        /// Its step.
        step: Step,
        /// What stands for it among the delayed jobs.
        member: String,
        /// The job.
        job: String,
        /// Whether it is in its stream, where it stays then.
        in_stream: bool,
    },
    /// The pair is put where its record says.
    Place {
        /// The pair.
        pair: PairId,
    },
    /// The bytes that are held are what was counted.
    Recount {
        /// The shard.
        shard: u32,
        /// What the counter said, 0 where there was none.
        said: String,
        /// What it should say.
        held: i64,
    },
}

/// What was found where; see the fields.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    /// Jobs that are not finished.
    pub jobs: Vec<Sighting>,
    /// Delayed jobs of which a half is missing.
    pub halves: Vec<Half>,
    /// Pairs under way.
    pub open: BTreeSet<String>,
    /// The jobs that open pairs wait for, by their records.
    pub promises: HashMap<String, Vec<String>>,
    /// The ready list, in order.
    pub ready: Vec<String>,
    /// Pairs that are being handed over.
    pub taken: Vec<String>,
    /// Pairs that have a body for their consumer.
    pub bodies: HashSet<String>,
    /// The state of each pair that is open, ready or taken; absent where the record is.
    pub states: HashMap<String, String>,
    /// The counters of each shard.
    pub counts: Vec<Counts>,
    /// Steps whose jobs nobody claims for now.
    pub paused: BTreeSet<Step>,
    /// Keys of another type than ours; while there are some, nothing else is looked at.
    pub foreign: Vec<Foreign>,
}

/// A key that holds something else than the queue keeps there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Foreign {
    /// The key.
    pub key: String,
    /// The type of what it holds, as Redis names it.
    pub holds: String,
    /// The type of what belongs there.
    pub should: &'static str,
}

/// What the counters of a shard say, and what they should.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    /// The shard.
    pub shard: u32,
    /// The key of its counters.
    pub key: String,
    /// The counters as they are.
    pub counters: BTreeMap<String, String>,
    /// The bytes that its open, ready and taken pairs hold, by their records; none when something moved meanwhile.
    pub held: Option<i64>,
}

/// One job in one place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sighting {
    /// Its stream, or the one it came from.
    pub lane: Lane,
    /// Where it is.
    pub place: Place,
    /// The job.
    pub job: String,
    /// Its pair; absent for an entry that was set aside.
    pub pair: Option<String>,
    /// Runs that ended with an error.
    pub attempts: u32,
}

/// A delayed job of which a half is missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Half {
    /// The job.
    pub sighting: Sighting,
    /// What stands for it among the delayed jobs.
    pub member: String,
    /// The half that is missing.
    pub lacks: &'static str,
}

/// Where a job can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// In its stream, unclaimed or claimed.
    Stream,
    /// Claimed, and nobody renewed the lease for longer than it lasts, with a margin.
    Silent,
    /// Waiting for its time.
    Delayed,
    /// Dead.
    Dead,
}

impl Place {
    fn name(self) -> &'static str {
        match self {
            Self::Stream => "its stream",
            Self::Silent => "its stream, silent",
            Self::Delayed => "the delayed jobs",
            Self::Dead => "the dead letters",
        }
    }
}

/// Everything that does not hold.
pub fn check(snapshot: &Snapshot) -> BTreeSet<Violation> {
    let mut violations = BTreeSet::new();
    for invariant in [
        one_place_per_job,
        attempts_within_bounds,
        ready_pairs_are_whole,
        open_pairs_have_their_jobs,
        no_lapsed_lease_is_left,
        one_state_per_pair,
        delayed_jobs_are_whole,
        keys_are_ours,
    ] {
        invariant(snapshot, &mut noting(&mut violations));
    }
    // What is not where it should be is not counted as it should be, and is mended first.
    if violations.is_empty() {
        held_is_what_pairs_hold(snapshot, &mut noting(&mut violations));
    }
    counters_are_numbers(snapshot, &mut noting(&mut violations));
    violations
}

fn noting(violations: &mut BTreeSet<Violation>) -> impl FnMut(&str, String, &str, Option<Repair>) {
    |invariant, detail, remedy, repair| {
        let (invariant, remedy) = (invariant.to_owned(), remedy.to_owned());
        violations.insert(Violation { invariant, detail, remedy, repair });
    }
}

type Note<'a> = &'a mut dyn FnMut(&str, String, &str, Option<Repair>);

fn settle(sighting: &Sighting, member: String, in_stream: bool) -> Repair {
    let Lane { shard, step, .. } = sighting.lane;
    Repair::Settle { shard, step, member, job: sighting.job.clone(), in_stream }
}

/// Puts a pair where its record says; an id that is no pair stays for somebody to look at.
fn place(pair: &str) -> Option<Repair> {
    Some(Repair::Place { pair: pair.parse().ok()? })
}

/// Q1: every unfinished job is in exactly one place.
fn one_place_per_job(snapshot: &Snapshot, note: Note<'_>) {
    let mut places: HashMap<&str, Vec<&Sighting>> = HashMap::new();
    for sighting in &snapshot.jobs {
        places.entry(&sighting.job).or_default().push(sighting);
    }
    for (job, mut places) in places.into_iter().filter(|(_, places)| places.len() > 1) {
        places.sort_unstable_by_key(|sighting| sighting.place);
        let names: Vec<&str> = places.iter().map(|sighting| sighting.place.name()).collect();
        let detail = format!("job {job} is in {} places: {}", names.len(), names.join(", "));
        let in_stream = |sighting: &&&Sighting| matches!(sighting.place, Place::Stream | Place::Silent);
        let streams = places.iter().filter(in_stream).count();
        if streams == places.len() {
            note("Q1", detail, "none needed: its second commit is refused", None);
        } else {
            let last = places[places.len() - 1];
            let member = delayed_member(last.lane.step, last.lane.priority, job);
            note("Q1", detail, "leave it in the first of them", Some(settle(last, member, streams > 0)));
        }
    }
}

/// Q2: no job has more failed runs than its step allows.
fn attempts_within_bounds(snapshot: &Snapshot, note: Note<'_>) {
    for Sighting { job, lane, attempts, .. } in &snapshot.jobs {
        let max = lane.step.attempts_max();
        if *attempts > max {
            let step = lane.step;
            let detail = format!("job {job} has {attempts} failed runs, more than the {max} of step {step}");
            note("Q2", detail, "none needed: its next failure makes it a dead letter", None);
        }
    }
}

/// Q3: every ready or taken pair has a body and a record that says it is ready.
fn ready_pairs_are_whole(snapshot: &Snapshot, note: Note<'_>) {
    let remedy = "put it where its record says; without a body it ends as rejected";
    for pair in snapshot.ready.iter().chain(&snapshot.taken) {
        if !snapshot.bodies.contains(pair) {
            note("Q3", format!("ready pair {pair} has no body"), remedy, place(pair));
        }
        match snapshot.states.get(pair).map(String::as_str) {
            Some("ready") => {}
            Some(state) => {
                let detail = format!("ready pair {pair} has a record that says {state}");
                note("Q3", detail, remedy, place(pair));
            }
            None => note("Q3", format!("ready pair {pair} has no record"), remedy, place(pair)),
        }
    }
}

/// Q4: every job that an open pair waits for is somewhere, it waits for at least one, and its record says that
/// it is open.
fn open_pairs_have_their_jobs(snapshot: &Snapshot, note: Note<'_>) {
    let jobs: HashSet<&str> = snapshot.jobs.iter().map(|sighting| sighting.job.as_str()).collect();
    let busy: HashSet<&str> = snapshot.jobs.iter().filter_map(|job| job.pair.as_deref()).collect();
    for pair in &snapshot.open {
        match snapshot.states.get(pair).map(String::as_str) {
            Some("open") => {}
            Some(state) => {
                let detail = format!("open pair {pair} has a record that says {state}");
                note("Q4", detail, "put it where its record says", place(pair));
                continue;
            }
            None => {
                let detail = format!("open pair {pair} has no record");
                note("Q4", detail, "take it off the open pairs: nothing is left of it", place(pair));
                continue;
            }
        }
        let promised = snapshot.promises.get(pair).map(Vec::as_slice).unwrap_or_default();
        for job in promised.iter().filter(|job| !jobs.contains(job.as_str())) {
            let repair = pair.parse().ok().map(|pair| Repair::Restore { pair, job: job.clone() });
            let detail = format!("job {job} is nowhere, and its pair waits for it");
            note(
                "Q4",
                detail,
                "put it back into its stream; it reads what was paid from the journal",
                repair,
            );
        }
        if promised.is_empty() && !busy.contains(pair.as_str()) {
            note("Q4", format!("open pair {pair} has no job"), "cancel it: nothing can go on", None);
        }
    }
}

/// Q5: no claimed job stays silent for longer than its lease and a margin: somebody must take it over, unless its
/// step is paused.
fn no_lapsed_lease_is_left(snapshot: &Snapshot, note: Note<'_>) {
    let is_left = |job: &&Sighting| job.place == Place::Silent && !snapshot.paused.contains(&job.lane.step);
    for Sighting { job, lane, .. } in snapshot.jobs.iter().filter(is_left) {
        let detail = format!("job {job} is claimed and silent");
        let remedy = format!("start a worker for {}: it takes the job over", lane.step);
        note("Q5", detail, &remedy, None);
    }
}

/// Q6: a pair is open, ready or taken, and only one of them, once; only ready and taken pairs have a body.
fn one_state_per_pair(snapshot: &Snapshot, note: Note<'_>) {
    let mut places: HashMap<&str, Vec<&str>> = HashMap::new();
    let open = snapshot.open.iter().map(|pair| (pair, "open"));
    let ready = snapshot.ready.iter().map(|pair| (pair, "ready"));
    let taken = snapshot.taken.iter().map(|pair| (pair, "taken"));
    for (pair, name) in open.chain(ready).chain(taken) {
        places.entry(pair).or_default().push(name);
    }
    let remedy = "put it where its record says";
    for pair in &snapshot.bodies {
        if !places.get(pair.as_str()).is_some_and(|places| places.iter().any(|place| *place != "open")) {
            let detail = format!("pair {pair} has a body but is neither ready nor taken");
            note("Q6", detail, remedy, place(pair));
        }
    }
    for (pair, places) in places {
        if places.len() > 1 {
            let detail = format!("pair {pair} is in {} places: {}", places.len(), places.join(", "));
            note("Q6", detail, remedy, place(pair));
        }
    }
}

/// Q7: every delayed job has its time and its entry.
fn delayed_jobs_are_whole(snapshot: &Snapshot, note: Note<'_>) {
    for Half { sighting, member, lacks } in &snapshot.halves {
        let detail = format!("delayed job {} lacks {lacks}", sighting.job);
        let remedy = "make it due now, or drop the time of an entry that is gone";
        note("Q7", detail, remedy, Some(settle(sighting, member.clone(), false)));
    }
}

/// Q8: every key holds what the queue keeps there.
fn keys_are_ours(snapshot: &Snapshot, note: Note<'_>) {
    for Foreign { key, holds, should } in &snapshot.foreign {
        let detail = format!("`{key}` holds a {holds}, and a {should} belongs there");
        let remedy = "find out who wrote it: the prefix is mondo's alone. RENAME the key out of the way, and look again with --fix; \
                      nothing else was looked at";
        note("Q8", detail, remedy, None);
    }
}

/// The counter of the bytes of open, ready and taken pairs; the admission of pairs goes by it.
const HELD: &str = "held_bytes";

/// The most characters of a counter's value that are shown.
const VALUE_CHARS_MAX: usize = 20;

/// Q9: counters are whole numbers, for Redis raises nothing else; and …
fn counters_are_numbers(snapshot: &Snapshot, note: Note<'_>) {
    for Counts { key, counters, .. } in &snapshot.counts {
        for (name, value) in counters.iter().filter(|(name, value)| *name != HELD && number(value).is_none())
        {
            let detail = format!("counter {name} of `{key}` is `{}`, which is no whole number", shown(value));
            note("Q9", detail, "HSET it to one: what it counted is not known any more", None);
        }
    }
}

/// … as many bytes are held as the pairs hold.
fn held_is_what_pairs_hold(snapshot: &Snapshot, note: Note<'_>) {
    for Counts { shard, key, counters, held } in &snapshot.counts {
        let said = counters.get(HELD).map_or("0", String::as_str);
        let Some(held) = held.filter(|held| number(said) != Some(*held)) else { continue };
        let detail =
            format!("counter {HELD} of `{key}` is `{}`, and its pairs hold {held} bytes", shown(said));
        let repair = Repair::Recount { shard: *shard, said: said.to_owned(), held };
        note("Q9", detail, "set it to what the pairs hold", Some(repair));
    }
}

/// A number as Redis writes one, which takes no other.
fn number(value: &str) -> Option<i64> {
    value.parse().ok().filter(|number: &i64| number.to_string() == value)
}

fn shown(value: &str) -> String {
    value.chars().take(VALUE_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::queue::Priority;

    #[test]
    fn what_is_held_is_counted_once_everything_is_in_its_place() {
        let counters = BTreeMap::from([(HELD.to_owned(), "7".to_owned())]);
        let counts = Counts { shard: 1, key: "counters".to_owned(), counters, held: Some(12) };
        let mut snapshot = Snapshot { counts: vec![counts], ..Snapshot::default() };
        let repairs =
            |snapshot: &Snapshot| check(snapshot).into_iter().map(|found| found.repair).collect::<Vec<_>>();
        let recount = Repair::Recount { shard: 1, said: "7".to_owned(), held: 12 };
        assert_eq!(repairs(&snapshot), [Some(recount)]);
        snapshot.bodies.insert("a pair".to_owned());
        assert_eq!(repairs(&snapshot), [None], "only that a body is nowhere");
    }

    #[test]
    fn a_silent_job_of_a_paused_step_is_left_in_peace() {
        let lane = Lane { shard: 0, step: Step::Answer, priority: Priority::Normal };
        let silent = Sighting { job: "job".to_owned(), pair: None, lane, place: Place::Silent, attempts: 0 };
        let mut snapshot = Snapshot { jobs: vec![silent], ..Snapshot::default() };
        let found = |snapshot: &Snapshot| check(snapshot).iter().any(|violation| violation.invariant == "Q5");
        assert!(found(&snapshot));
        snapshot.paused.insert(Step::Answer);
        assert!(!found(&snapshot));
    }

    #[test]
    fn a_list_of_any_length_is_checked_in_one_pass() {
        let ready: Vec<String> = (0..200_000).map(|pair| format!("0195f3a2-7c11-7000-{pair:017}")).collect();
        let snapshot = Snapshot {
            bodies: ready.iter().cloned().collect(),
            states: ready.iter().map(|pair| (pair.clone(), "ready".to_owned())).collect(),
            ready,
            ..Snapshot::default()
        };
        assert_eq!(check(&snapshot), BTreeSet::new());
    }
}
