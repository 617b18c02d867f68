//! What must hold on any queue at any time, written once as pure functions: `mondo doctor` and the tests ask
//! the same questions.

use std::collections::{BTreeSet, HashMap, HashSet};

use serde::Serialize;

use crate::job::Step;

/// One broken invariant, found on the live queue.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Violation {
    /// The invariant: `Q1`, `Q2`, …
    pub invariant: String,
    /// What breaks it, in words, with the job or pair named.
    pub detail: String,
}

/// What was found where; see the fields.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    /// Jobs that are not finished.
    pub jobs: Vec<Sighting>,
    /// Pairs under way.
    pub open: BTreeSet<String>,
    /// The ready list, in order.
    pub ready: Vec<String>,
    /// Pairs that are being handed over.
    pub taken: Vec<String>,
    /// Pairs that have a body for their consumer.
    pub bodies: HashSet<String>,
    /// The state of each pair that is open, ready or taken; absent where the record is.
    pub states: HashMap<String, String>,
}

/// One job in one place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sighting {
    /// The job.
    pub job: String,
    /// Its pair; absent for an entry that was set aside.
    pub pair: Option<String>,
    /// Its step.
    pub step: Step,
    /// Where it is.
    pub place: Place,
    /// Runs that ended with an error.
    pub attempts: u32,
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
    let mut note = |invariant: &str, detail: String| {
        violations.insert(Violation { invariant: invariant.to_owned(), detail });
    };
    one_place_per_job(snapshot, &mut note);
    attempts_within_bounds(snapshot, &mut note);
    ready_pairs_are_whole(snapshot, &mut note);
    open_pairs_have_a_job(snapshot, &mut note);
    no_lapsed_lease_is_left(snapshot, &mut note);
    one_state_per_pair(snapshot, &mut note);
    violations
}

type Note<'a> = &'a mut dyn FnMut(&str, String);

/// Q1: every unfinished job is in exactly one place.
fn one_place_per_job(snapshot: &Snapshot, note: Note<'_>) {
    let mut places: HashMap<&str, Vec<Place>> = HashMap::new();
    for sighting in &snapshot.jobs {
        places.entry(&sighting.job).or_default().push(sighting.place);
    }
    for (job, mut places) in places {
        if places.len() > 1 {
            places.sort_unstable();
            let places: Vec<&str> = places.into_iter().map(Place::name).collect();
            note("Q1", format!("job {job} is in {} places: {}", places.len(), places.join(", ")));
        }
    }
}

/// Q2: no job has more failed runs than its step allows.
fn attempts_within_bounds(snapshot: &Snapshot, note: Note<'_>) {
    for Sighting { job, step, attempts, .. } in &snapshot.jobs {
        let max = step.attempts_max();
        if *attempts > max {
            note("Q2", format!("job {job} has {attempts} failed runs, more than the {max} of step {step}"));
        }
    }
}

/// Q3: every ready or taken pair has a body and a record that says it is ready.
fn ready_pairs_are_whole(snapshot: &Snapshot, note: Note<'_>) {
    for pair in snapshot.ready.iter().chain(&snapshot.taken) {
        if !snapshot.bodies.contains(pair) {
            note("Q3", format!("ready pair {pair} has no body"));
        }
        match snapshot.states.get(pair).map(String::as_str) {
            Some("ready") => {}
            Some(state) => note("Q3", format!("ready pair {pair} has a record that says {state}")),
            None => note("Q3", format!("ready pair {pair} has no record")),
        }
    }
}

/// Q4: every pair under way has a job somewhere, and a record that says it is open.
fn open_pairs_have_a_job(snapshot: &Snapshot, note: Note<'_>) {
    let busy: HashSet<&str> = snapshot.jobs.iter().filter_map(|job| job.pair.as_deref()).collect();
    for pair in &snapshot.open {
        if !busy.contains(pair.as_str()) {
            note("Q4", format!("open pair {pair} has no job"));
        }
        match snapshot.states.get(pair).map(String::as_str) {
            Some("open") => {}
            Some(state) => note("Q4", format!("open pair {pair} has a record that says {state}")),
            None => note("Q4", format!("open pair {pair} has no record")),
        }
    }
}

/// Q5: no claimed job stays silent for longer than its lease and a margin: somebody must take it over.
fn no_lapsed_lease_is_left(snapshot: &Snapshot, note: Note<'_>) {
    for sighting in snapshot.jobs.iter().filter(|sighting| sighting.place == Place::Silent) {
        note(
            "Q5",
            format!("job {} is claimed and silent: is a worker for {} running?", sighting.job, sighting.step),
        );
    }
}

/// Q6: a pair is open, ready or taken, and only one of them, once.
fn one_state_per_pair(snapshot: &Snapshot, note: Note<'_>) {
    let mut places: HashMap<&str, Vec<&str>> = HashMap::new();
    for pair in &snapshot.open {
        places.entry(pair).or_default().push("open");
    }
    for pair in &snapshot.ready {
        places.entry(pair).or_default().push("ready");
    }
    for pair in &snapshot.taken {
        places.entry(pair).or_default().push("taken");
    }
    for pair in &snapshot.bodies {
        if !places.get(pair.as_str()).is_some_and(|places| places.iter().any(|place| *place != "open")) {
            note("Q6", format!("pair {pair} has a body but is neither ready nor taken"));
        }
    }
    for (pair, places) in places {
        if places.len() > 1 {
            note("Q6", format!("pair {pair} is in {} places: {}", places.len(), places.join(", ")));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
