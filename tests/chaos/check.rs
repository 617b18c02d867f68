//! Compares what Redis holds with what workers, responder and consumer saw for themselves.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    fs,
    time::Duration,
};

use mondo_jobs::queue::{DONE_PREFIX, DeadFilter, STATE_FIELD};
use serde_json::Value;

use crate::{
    books::Call,
    controller::{Chaos, Kill},
    history::{self, Event, What},
    report::{Calls, Recovery, Report},
};

/// How long after a kill work is to have been resumed.
const RECOVERY_MAX: Duration = Duration::from_secs(15);
/// Leases shorter than a real worker's are for tests, which measure no time.
const REAL_LEASE: Duration = Duration::from_secs(10);
/// A reply that a worker held for so long must survive its death.
const HELD_US: u64 = 1_000_000;

/// The start of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Start {
    at_us: u64,
    run: u64,
    /// How many workers were lost beside its job before.
    losses: u32,
}

/// What the workers wrote, by job.
struct History {
    runs: usize,
    starts: HashMap<String, Vec<Start>>,
    /// What runs asked to be committed.
    records: HashMap<String, HashSet<String>>,
}

impl History {
    fn read(chaos: &Chaos) -> Self {
        let mut all = Self { runs: 0, starts: HashMap::new(), records: HashMap::new() };
        let files = fs::read_dir(&chaos.dir).expect("the directory of the run");
        for path in files.map(|file| file.expect("a file").path()) {
            if path.extension().is_some_and(|ending| ending == "history") {
                for event in history::read(&path) {
                    all.add(event);
                }
            }
        }
        for starts in all.starts.values_mut() {
            starts.sort_unstable();
        }
        all
    }

    fn add(&mut self, event: Event) {
        match event.what {
            What::Start { losses, .. } => {
                self.runs += 1;
                self.starts.entry(event.job).or_default().push(Start {
                    at_us: event.at_us,
                    run: event.run,
                    losses,
                });
            }
            What::Commit { record } => drop(self.records.entry(event.job).or_default().insert(record)),
            What::Fail { .. } | What::Drop => {}
        }
    }

    /// The first run of this job that began after that time.
    fn start_after(&self, job: &str, at_us: u64) -> Option<Start> {
        let starts = self.starts.get(job)?;
        starts.get(starts.partition_point(|start| start.at_us <= at_us)).copied()
    }

    /// The run of this job that was going on at that time.
    fn start_before(&self, job: &str, at_us: u64) -> Option<Start> {
        let starts = self.starts.get(job)?;
        starts[..starts.partition_point(|start| start.at_us <= at_us)].last().copied()
    }
}

/// What Redis holds of all pairs.
#[derive(Default)]
struct Stored {
    states: HashMap<String, String>,
    commits: usize,
    llm_calls: i64,
    /// Commits that no worker asked for.
    strange: Vec<String>,
}

pub(crate) async fn check(
    chaos: &Chaos,
    rested: bool,
    drained: bool,
    api_runs: bool,
    seconds: u64,
) -> Report {
    let history = History::read(chaos);
    let stored = stored(chaos, &history).await;
    let delivered = chaos.ledger.delivered.lock().unwrap().clone();
    let unique: BTreeSet<&String> = delivered.iter().collect();
    let counters = chaos.queue.stats().await.expect("redis answers").counters;
    let counter = |name: &str| counters.get(name).copied().unwrap_or(0);
    let in_state = |state: &str| stored.states.values().filter(|it| *it == state).count();
    let (recovery, recovery_over_outages) = recovery(chaos, &history);
    let doctor = chaos.queue.doctor().await.expect("redis answers");

    let mut report = Report {
        seed: chaos.seed,
        seconds,
        lease_secs: chaos.queue.lease().as_secs(),
        broke: chaos.tally.clone(),
        pairs_started: stored.states.len(),
        pairs_delivered: unique.len(),
        pairs_rejected: in_state("rejected"),
        runs: history.runs,
        commits: stored.commits,
        lost: lost(chaos, &stored, &unique),
        doubled_commits: counter("committed") - i64::try_from(stored.commits).expect("few"),
        delivered_twice: delivered.len() - unique.len(),
        calls: calls(chaos, &history),
        recovery,
        recovery_over_outages,
        doctor_violations: doctor.iter().map(|it| format!("{}: {}", it.invariant, it.detail)).collect(),
        broken: Vec::new(),
    };
    let mut broken = broken(&report);
    let mut expect = |holds: bool, text: String| {
        if !holds {
            broken.push(text);
        }
    };
    expect(rested, "the queue did not come to rest".to_owned());
    expect(drained, "a worker did not end within a minute of SIGTERM".to_owned());
    expect(api_runs, "the API ended by itself".to_owned());
    expect(chaos.tally.gave_up == 0, format!("{} workers ended by themselves", chaos.tally.gave_up));
    expect(stored.strange.is_empty(), format!("commits that no worker asked for: {:?}", stored.strange));
    let (raised, said) = (counter("llm_calls"), stored.llm_calls);
    expect(raised == said, format!("commits say {said} calls, the counter {raised}"));
    let ready = i64::try_from(in_state("ready") + in_state("delivered")).expect("few");
    expect(counter("ready") == ready, format!("{ready} pairs became ready, {} times", counter("ready")));
    let dead = chaos.queue.dead(&DeadFilter::default(), 100).await.expect("redis answers");
    let dead: Vec<String> =
        dead.iter().map(|it| format!("{} ({}): {}", it.job, it.class, it.chain.join(": "))).collect();
    expect(dead.is_empty(), format!("dead letters, though nothing failed but processes and links: {dead:?}"));
    report.broken = broken;
    report
}

fn broken(report: &Report) -> Vec<String> {
    let mut broken = Vec::new();
    let mut none = |count: usize, what: &str| {
        if count > 0 {
            broken.push(format!("{count} {what}"));
        }
    };
    none(report.lost, "pairs are lost");
    none(
        report.doubled_commits.unsigned_abs().try_into().unwrap_or(usize::MAX),
        "commits are doubled or lost",
    );
    none(report.delivered_twice, "pairs were delivered twice");
    none(report.calls.paid_twice, "calls were paid twice");
    none(report.calls.held_and_lost, "paid replies were lost with the worker that held them");
    none(report.doctor_violations.len(), "violations of invariants; see doctor_violations of --json");
    if report.lease_secs >= REAL_LEASE.as_secs() && report.recovery.p99_secs > RECOVERY_MAX.as_secs_f64() {
        broken.push(format!("work was resumed after {:.1} s (p99), not 15", report.recovery.p99_secs));
    }
    broken
}

async fn stored(chaos: &Chaos, history: &History) -> Stored {
    let mut stored = Stored::default();
    let mut pairs = chaos.ledger.started.lock().unwrap().clone();
    pairs.extend(chaos.ledger.asked.lock().unwrap().iter().cloned());
    for pair in pairs {
        let record = chaos.queue.record(pair.parse().expect("an id")).await.expect("redis answers");
        let Some(state) = record.get(STATE_FIELD) else { continue };
        stored.states.insert(pair, String::from_utf8_lossy(state).into_owned());
        for (field, value) in &record {
            let Some(job) = field.strip_prefix(DONE_PREFIX) else { continue };
            let value = String::from_utf8_lossy(value).into_owned();
            stored.commits += 1;
            let did: Value = serde_json::from_str(&value).unwrap_or_default();
            stored.llm_calls += did["llm_calls"].as_i64().unwrap_or(0);
            if !history.records.get(job).is_some_and(|records| records.contains(&value)) {
                stored.strange.push(job.to_owned());
            }
        }
    }
    stored
}

/// Pairs that were started, by Redis's own word, and neither reached a consumer nor were rejected.
fn lost(chaos: &Chaos, stored: &Stored, delivered: &BTreeSet<&String>) -> usize {
    let mut pairs: BTreeSet<String> = chaos.ledger.started.lock().unwrap().clone();
    pairs.extend(stored.states.keys().cloned());
    let ended = |pair: &String| match stored.states.get(pair).map(String::as_str) {
        Some("rejected") => true,
        Some("delivered") => delivered.contains(pair),
        _ => false,
    };
    pairs.iter().filter(|pair| !ended(pair)).count()
}

/// Sorts the calls that were paid for more than once by whether that could have been helped.
fn calls(chaos: &Chaos, history: &History) -> Calls {
    let books = &chaos.responder.books;
    let mut calls = Calls { paid: books.all().len(), ..Calls::default() };
    for repeated in books.repeated() {
        for again in 1..repeated.len() {
            let (earlier, call) = (&repeated[..again], &repeated[again]);
            let began =
                history.start_before(&call.job, call.asked_us).map_or(call.asked_us, |start| start.at_us);
            if earlier.iter().any(|it| it.journaled_us.is_some_and(|at| at < began)) {
                calls.paid_twice += 1;
            } else if let Some(lost) = earlier.iter().find_map(|it| was_held(it, history, &chaos.kills)) {
                calls.held_and_lost += 1;
                calls.lost.push(lost);
            } else {
                calls.cut_off += 1;
            }
        }
    }
    calls
}

/// The job, and when it was paid and killed, of a reply that the run which paid for it held for a second or more until
/// its process was killed.
fn was_held(call: &Call, history: &History, kills: &[Kill]) -> Option<(String, u64, u64)> {
    let run = history.start_before(&call.job, call.asked_us)?.run;
    let mut killed = kills.iter().filter(|kill| kill.jobs.iter().any(|it| *it == (call.job.clone(), run)));
    let kill = killed.next()?;
    let until = kill.stopped_us.unwrap_or(kill.at_us);
    let was_held = call.journaled_us.is_none() && until > call.paid_us + HELD_US;
    was_held.then(|| (call.job.clone(), call.paid_us, until))
}

/// From each kill of a worker to the next start of the jobs that it hit: with Redis there all the time, and without.
/// Where whoever took a job over was lost before it could start it, the time is shared out among the two.
fn recovery(chaos: &Chaos, history: &History) -> (Recovery, Recovery) {
    let (mut calm, mut disturbed) = (Vec::new(), Vec::new());
    for kill in chaos.kills.iter().filter(|kill| kill.of_worker) {
        for (job, _) in &kill.jobs {
            let Some(Start { at_us: start, losses, .. }) = history.start_after(job, kill.at_us) else {
                continue;
            };
            let before = history.start_before(job, kill.at_us).map_or(0, |start| start.losses);
            let is_disturbed =
                chaos.outages.iter().any(|(from, to)| *from < start && kill.at_us < to + lease_us(chaos));
            let samples = if is_disturbed { &mut disturbed } else { &mut calm };
            let workers = 1 + losses.saturating_sub(before);
            samples.push(Duration::from_micros(start - kill.at_us).as_secs_f64() / f64::from(workers));
        }
    }
    (quantiles(calm), quantiles(disturbed))
}

/// After an outage, nobody takes over what its owner may still renew.
fn lease_us(chaos: &Chaos) -> u64 {
    u64::try_from(chaos.queue.lease().as_micros()).unwrap_or(u64::MAX)
}

fn quantiles(mut samples: Vec<f64>) -> Recovery {
    samples.sort_unstable_by(f64::total_cmp);
    let at = |percent: usize| samples.get(samples.len() * percent / 100).copied().unwrap_or_default();
    Recovery {
        jobs: samples.len(),
        p50_secs: at(50),
        p99_secs: at(99),
        max_secs: samples.last().copied().unwrap_or_default(),
    }
}
