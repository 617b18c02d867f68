//! The queue as a few maps: what each call must answer, and what must be where after it.

use std::collections::{BTreeMap, VecDeque};

use mondo_jobs::{
    job::{Job, JobId, Step},
    pair::{CandidateName, PairId},
    queue::{Commit, Committed, End, Marks, NewPair, Priority},
};

use super::{
    call::{Admitted, Answer, Call, Claimed, Why},
    ops::{Ending, HELD_MAX, LOSS, Op, STEPS},
};
use crate::support::queue::new_job;

/// Times from here on lie in the future. Scores in Redis are replaced by those of the model's clock, so no case
/// waits for anything or depends on how fast it runs.
pub(super) const FAR: u64 = 1_000_000_000_000_000;

#[derive(Default)]
pub(super) struct Model {
    pub(super) clock: u64,
    pub(super) pairs: BTreeMap<PairId, Pair>,
    pub(super) jobs: BTreeMap<JobId, Unfinished>,
    pub(super) ready: VecDeque<PairId>,
    pub(super) bodies: BTreeMap<PairId, String>,
    pub(super) taken: BTreeMap<u64, PairId>,
    pub(super) counters: BTreeMap<&'static str, i64>,
    /// How many claims in a row found something.
    pub(super) turns: BTreeMap<(usize, Step), u64>,
    pub(super) deliveries: Vec<Delivery>,
    pub(super) handovers: Vec<(PairId, u64)>,
}

pub(super) struct Pair {
    pub(super) state: &'static str,
    pub(super) done: BTreeMap<JobId, String>,
}

pub(super) struct Unfinished {
    pub(super) job: Job,
    pub(super) priority: Priority,
    pub(super) attempts: u32,
    pub(super) crashes: u32,
    pub(super) place: Place,
}

pub(super) enum Place {
    Stream { entry: u64, lease: Option<Lease> },
    Delayed { due: u64 },
    Dead,
}

#[derive(Clone, Copy)]
pub(super) struct Lease {
    pub(super) worker: usize,
    pub(super) count: u32,
    pub(super) lapsed: bool,
}

#[derive(Clone)]
pub(super) struct Delivery {
    pub(super) job: Job,
    pub(super) priority: Priority,
    pub(super) entry: u64,
    pub(super) worker: usize,
    pub(super) attempts: u32,
    pub(super) crashes: u32,
}

pub(super) fn pair_id(number: u64) -> PairId {
    PairId::of_order("test", "model", number)
}

pub(super) fn worker_name(worker: usize) -> String {
    format!("worker-{worker}")
}

pub(super) fn lane_name(step: Step, priority: Priority) -> String {
    if priority == Priority::High { format!("{step}:high") } else { step.to_string() }
}

impl Model {
    /// What an operation asks of the queue now, and what the queue must answer.
    pub(super) fn apply(&mut self, op: &Op) -> (Call, Answer) {
        match *op {
            Op::Start { first, count, priority, marks } => self.start(first, count, priority, marks),
            Op::Claim { worker, pick, count } => {
                let step = self.pick_step(pick, |lease| lease.is_none());
                self.claim(worker, step, count)
            }
            Op::Own { worker, step } => self.own(worker, step),
            Op::Renew { worker } => self.renew(worker),
            Op::Commit { ref picks, ending } => self.commit_all(picks, ending),
            Op::Apart { pick, .. }
            | Op::Retry { pick, .. }
            | Op::Wait { pick, .. }
            | Op::Crashed { pick, .. }
            | Op::Bury { pick }
            | Op::Release { pick } => match self.pick(pick) {
                Some(delivery) => self.end_run(op, delivery),
                None => (Call::Nothing, Answer::Nothing),
            },
            Op::Crash { worker } => {
                self.leases().filter(|lease| lease.worker == worker).for_each(|lease| lease.lapsed = true);
                (Call::Crash { worker }, Answer::Nothing)
            }
            Op::Reclaim { worker, pick, count } => {
                let step = self.pick_step(pick, |lease| lease.is_some_and(|lease| lease.lapsed));
                self.reclaim(worker, step, count)
            }
            Op::Promote => self.promote(),
            Op::ClockJump => {
                for unfinished in self.jobs.values_mut() {
                    if let Place::Delayed { due } = &mut unfinished.place {
                        *due %= FAR;
                    }
                }
                (Call::ClockJump, Answer::Nothing)
            }
            Op::Replay { pick } => self.replay(pick),
            Op::Discard { pick } => self.discard(pick),
            Op::Take => self.take(),
            Op::Delivered { pick } => self.delivered(pick),
            Op::PutBack { pick } => self.put_back(pick),
            Op::HandoversLapse => {
                self.taken = self.taken.iter().map(|(lapses, pair)| (lapses % FAR, *pair)).collect();
                (Call::HandoversLapse, Answer::Nothing)
            }
            Op::Cancel { pick } => self.cancel(pick),
            Op::FlushAll => {
                let Self { clock, turns, deliveries, handovers, .. } = std::mem::take(self);
                *self = Self { clock, turns, deliveries, handovers, ..Self::default() };
                (Call::FlushAll, Answer::Nothing)
            }
            Op::ScriptFlush => (Call::ScriptFlush, Answer::Nothing),
        }
    }

    /// Jobs that are claimed and whose lease has lapsed.
    pub(super) fn silent(&self) -> Vec<&JobId> {
        let lapsed = |unfinished: &Unfinished| matches!(unfinished.place, Place::Stream { lease: Some(lease), .. } if lease.lapsed);
        self.jobs.iter().filter(|(_, unfinished)| lapsed(unfinished)).map(|(id, _)| id).collect()
    }

    /// A step in whose stream such a job is, or else the first.
    fn pick_step(&self, pick: usize, such: impl Fn(Option<Lease>) -> bool) -> Step {
        let here = |step: &Step| {
            let mut queued = Priority::ALL.into_iter().flat_map(|priority| self.lane(*step, priority));
            queued.any(|(_, lease, _)| such(lease))
        };
        let steps: Vec<Step> = STEPS.into_iter().filter(here).collect();
        steps.get(pick % steps.len().max(1)).copied().unwrap_or(STEPS[0])
    }

    pub(super) fn tick(&mut self) -> u64 {
        self.clock += 1;
        self.clock
    }

    pub(super) fn raise(&mut self, counter: &'static str, by: i64) {
        *self.counters.entry(counter).or_default() += by;
    }

    fn leases(&mut self) -> impl Iterator<Item = &mut Lease> {
        self.jobs.values_mut().filter_map(|unfinished| match &mut unfinished.place {
            Place::Stream { lease, .. } => lease.as_mut(),
            Place::Delayed { .. } | Place::Dead => None,
        })
    }

    fn open(&self) -> impl Iterator<Item = &PairId> {
        self.pairs.iter().filter(|(_, pair)| pair.state == "open").map(|(id, _)| id)
    }

    fn is_open(&self, pair: PairId) -> bool {
        self.pairs.get(&pair).is_some_and(|pair| pair.state == "open")
    }

    /// A delivery, counted back from the newest.
    fn pick(&self, pick: usize) -> Option<usize> {
        let count = self.deliveries.len();
        (count > 0).then(|| count - 1 - pick % count)
    }

    fn add_job(&mut self, job: Job, priority: Priority) {
        let place = Place::Stream { entry: self.tick(), lease: None };
        self.jobs.insert(job.id(), Unfinished { job, priority, attempts: 0, crashes: 0, place });
    }

    fn start(
        &mut self,
        first: u64,
        count: u64,
        priority: Priority,
        marks: Option<(u64, u64)>,
    ) -> (Call, Answer) {
        let total = (self.open().count() + self.ready.len() + self.taken.len()) as u64;
        let wanted = match marks {
            None => count,
            Some((low, high)) if total < low => high - total,
            Some(_) => 0,
        };
        let (mut pairs, mut answers, mut started) = (Vec::new(), Vec::new(), 0);
        for id in (first..first + count).map(pair_id) {
            let job = Job::first(id);
            let fields = vec![("head".to_owned(), b"{}".to_vec())];
            pairs.push(NewPair { id, priority, fields, first: new_job(&job) });
            if started >= wanted {
                continue;
            }
            if self.pairs.contains_key(&id) {
                answers.push(Admitted::Duplicate);
            } else if total + started >= HELD_MAX {
                answers.push(Admitted::Full);
            } else {
                answers.push(Admitted::Accepted);
                started += 1;
                self.start_pair(id, job, priority);
            }
        }
        let marks = marks.map(|(low, high)| Marks { low, high });
        (Call::Start { pairs, marks }, Answer::Admitted(answers))
    }

    fn start_pair(&mut self, id: PairId, job: Job, priority: Priority) {
        self.pairs.insert(id, Pair { state: "open", done: BTreeMap::new() });
        self.add_job(job, priority);
        self.raise("started", 1);
    }

    /// What a lane holds, in order.
    pub(super) fn lane(&self, step: Step, priority: Priority) -> Vec<(u64, Option<Lease>, JobId)> {
        let here = self.jobs.values().filter(|found| found.job.step == step && found.priority == priority);
        let queued = here.filter_map(|found| match found.place {
            Place::Stream { entry, lease } => Some((entry, lease, found.job.id())),
            Place::Delayed { .. } | Place::Dead => None,
        });
        let queued: BTreeMap<u64, _> = queued.map(|found| (found.0, found)).collect();
        queued.into_values().collect()
    }

    /// Hands a job over under this lease.
    fn deliver(&mut self, id: &JobId, lease: Lease) -> Claimed {
        let found = self.jobs.get_mut(id).unwrap();
        let Place::Stream { entry, lease: held } = &mut found.place else { panic!("{id} is in its stream") };
        *held = Some(lease);
        let (attempts, crashes) = (found.attempts, found.crashes + lease.count % LOSS / 2);
        let (job, priority, entry, worker) = (found.job.clone(), found.priority, *entry, lease.worker);
        self.deliveries.push(Delivery { job, priority, entry, worker, attempts, crashes });
        Claimed { job: id.clone(), attempts, crashes }
    }

    fn claim(&mut self, worker: usize, step: Step, count: usize) -> (Call, Answer) {
        let turn = self.turns.entry((worker, step)).or_default();
        let normal_first = *turn % 5 == 4;
        let order = if normal_first {
            [Priority::Normal, Priority::High]
        } else {
            [Priority::High, Priority::Normal]
        };
        let queued: Vec<_> = order.into_iter().flat_map(|priority| self.lane(step, priority)).collect();
        let waiting = queued.into_iter().filter(|(_, lease, _)| lease.is_none()).take(count);
        let lease = Lease { worker, count: 1, lapsed: false };
        let claimed: Vec<Claimed> = waiting.map(|(.., id)| self.deliver(&id, lease)).collect();
        let turn = self.turns.entry((worker, step)).or_default();
        *turn = if claimed.is_empty() { 0 } else { *turn + 1 };
        (Call::Claim { worker, step, count }, Answer::Claimed(claimed))
    }

    fn own(&mut self, worker: usize, step: Step) -> (Call, Answer) {
        let mut claimed = Vec::new();
        for priority in [Priority::High, Priority::Normal] {
            for (_, lease, id) in self.lane(step, priority) {
                if let Some(lease) = lease.filter(|lease| lease.worker == worker) {
                    claimed.push(self.deliver(&id, lease));
                }
            }
        }
        (Call::Own { worker, step }, Answer::Claimed(claimed))
    }

    fn reclaim(&mut self, worker: usize, step: Step, count: usize) -> (Call, Answer) {
        let order = [Priority::High, Priority::Normal];
        let queued: Vec<_> = order.into_iter().flat_map(|priority| self.lane(step, priority)).collect();
        let lapsed =
            queued.into_iter().filter_map(|(_, lease, id)| Some((lease.filter(|lease| lease.lapsed)?, id)));
        let claimed: Vec<Claimed> = lapsed
            .take(count)
            .map(|(old, id)| {
                let count = old.count + if old.count % 2 == 1 { 1 } else { LOSS };
                self.deliver(&id, Lease { worker, count, lapsed: false })
            })
            .collect();
        self.raise("reclaimed", i64::try_from(claimed.len()).unwrap());
        (Call::Reclaim { worker, step, count }, Answer::Claimed(claimed))
    }

    fn renew(&mut self, worker: usize) -> (Call, Answer) {
        let held = (0..self.deliveries.len()).rev().filter(|place| self.deliveries[*place].worker == worker);
        let deliveries: Vec<usize> = held.take(20).collect();
        let mut lost = Vec::new();
        for place in &deliveries {
            let delivery = self.deliveries[*place].clone();
            let open = self.is_open(delivery.job.pair);
            match self.owned(&delivery) {
                Some((_, lease)) if open => lease.lapsed = false,
                _ => lost.push(delivery.job.id()),
            }
        }
        (Call::Renew { worker, deliveries }, Answer::Lost(lost))
    }

    /// The job of a delivery with its lease, if the delivery's worker still holds it.
    fn owned(&mut self, delivery: &Delivery) -> Option<(u64, &mut Lease)> {
        match &mut self.jobs.get_mut(&delivery.job.id())?.place {
            Place::Stream { entry, lease: Some(lease) }
                if *entry == delivery.entry && lease.worker == delivery.worker =>
            {
                Some((*entry, lease))
            }
            _ => None,
        }
    }

    /// What only the owner may do.
    fn end_run(&mut self, op: &Op, place: usize) -> (Call, Answer) {
        let delivery = self.deliveries[place].clone();
        let now = self.tick();
        let owned = self.owned(&delivery);
        let done = Answer::Done(owned.is_some());
        let delay = |later, why| {
            let due = if later { now + FAR } else { now };
            (Call::Delay { delivery: place, why, due }, Place::Delayed { due })
        };
        let (mut attempts, mut crashes) = (delivery.attempts, delivery.crashes);
        let ((call, to), counter) = match *op {
            Op::Apart { .. } => {
                if let Some((_, lease)) = owned {
                    *lease = Lease { count: lease.count - lease.count % 2, lapsed: false, ..*lease };
                }
                return (Call::Apart { delivery: place }, done);
            }
            Op::Retry { later, .. } if attempts + 1 < delivery.job.step.attempts_max() => {
                attempts += 1;
                (delay(later, Why::Retry), "retried")
            }
            Op::Wait { later, .. } => (delay(later, Why::Wait), "waited"),
            Op::Crashed { later, .. } => {
                crashes += 1;
                (delay(later, Why::Crashed), "crashed")
            }
            Op::Release { .. } => {
                let to = Place::Stream { entry: now, lease: None };
                ((Call::Release { delivery: place }, to), "released")
            }
            _ => {
                attempts += 1;
                ((Call::Bury { delivery: place, attempts }, Place::Dead), "buried")
            }
        };
        if owned.is_some() {
            let found = self.jobs.get_mut(&delivery.job.id()).unwrap();
            (found.attempts, found.crashes, found.place) = (attempts, crashes, to);
            self.raise(counter, 1);
        }
        (call, done)
    }

    fn commit_all(&mut self, picks: &[usize], ending: Ending) -> (Call, Answer) {
        let (mut commits, mut answers) = (Vec::new(), Vec::new());
        for place in picks.iter().filter_map(|pick| self.pick(*pick)).collect::<Vec<_>>() {
            let delivery = self.deliveries[place].clone();
            let (next, end) = self.what_follows(&delivery.job, ending);
            let token = self.tick().to_string();
            let commit = Commit {
                record: token.clone().into_bytes(),
                fields: vec![(format!("out:{}", delivery.job.id()), token.clone().into_bytes())],
                next: next.iter().map(new_job).collect(),
                end: end.map(|ready| end_of(ready, &token)),
                counters: vec![("llm_calls".to_owned(), 1)],
                ..Commit::default()
            };
            commits.push((place, commit));
            answers.push(self.commit(&delivery, &token, next, end));
        }
        if commits.is_empty() {
            (Call::Nothing, Answer::Nothing)
        } else {
            (Call::Commit(commits), Answer::Committed(answers))
        }
    }

    /// Next jobs, and whether the pair ends ready.
    fn what_follows(&self, job: &Job, ending: Ending) -> (Vec<Job>, Option<bool>) {
        let of = |step, round| {
            let candidate = (step == Step::Answer).then_some(CandidateName::Base);
            Job { pair: job.pair, step, candidate, round }
        };
        let others = self.jobs.values().any(|other| other.job.pair == job.pair && other.job != *job);
        match (ending, job.step) {
            (Ending::Ready, _) => (Vec::new(), Some(true)),
            (Ending::Rejected, _) => (Vec::new(), Some(false)),
            (Ending::Last, Step::Objects) => (vec![of(Step::Answer, 0), of(Step::Answer, 1)], None),
            (Ending::Last, _) => (Vec::new(), (!others).then_some(true)),
        }
    }

    fn commit(&mut self, delivery: &Delivery, token: &str, next: Vec<Job>, end: Option<bool>) -> Committed {
        let (id, pair_id) = (delivery.job.id(), delivery.job.pair);
        let pending = self.jobs.get(&id).is_some_and(
            |found| matches!(found.place, Place::Stream { entry, lease: Some(_) } if entry == delivery.entry),
        );
        let done = self.pairs.get(&pair_id).is_some_and(|pair| pair.done.contains_key(&id));
        if pending {
            self.jobs.remove(&id);
        }
        match (done, pending) {
            (true, _) => return Committed::Already,
            (false, false) => return Committed::Late,
            (false, true) => self.raise("llm_calls", 1),
        }
        let Some(pair) = self.pairs.get_mut(&pair_id).filter(|pair| pair.state == "open") else {
            return Committed::Ended;
        };
        pair.done.insert(id, token.to_owned());
        match end {
            None => {}
            Some(true) => {
                pair.state = "ready";
                self.ready.push_back(pair_id);
                self.bodies.insert(pair_id, token.to_owned());
                self.raise("ready", 1);
            }
            Some(false) => {
                pair.state = "rejected";
                self.raise("rejected", 1);
            }
        }
        self.raise("committed", 1);
        for job in next {
            self.add_job(job, delivery.priority);
        }
        Committed::Stored
    }

    fn promote(&mut self) -> (Call, Answer) {
        let due = self.jobs.iter().filter_map(|(id, found)| match found.place {
            Place::Delayed { due } if due < FAR => Some((due, id.clone())),
            _ => None,
        });
        let mut due: Vec<_> = due.collect();
        due.sort_unstable();
        for (_, id) in &due {
            let entry = self.tick();
            self.jobs.get_mut(id).unwrap().place = Place::Stream { entry, lease: None };
        }
        (Call::Promote, Answer::Moved(due.len() as u64))
    }

    /// A dead job, if there is one.
    fn dead(&self, pick: usize) -> Option<JobId> {
        let dead = self.jobs.iter().filter(|(_, found)| matches!(found.place, Place::Dead));
        let dead: Vec<&JobId> = dead.map(|(id, _)| id).collect();
        dead.get(pick % dead.len().max(1)).copied().cloned()
    }

    fn replay(&mut self, pick: usize) -> (Call, Answer) {
        let Some(id) = self.dead(pick) else {
            return (Call::Replay("nobody".to_owned()), Answer::Done(false));
        };
        let found = self.jobs.remove(&id).unwrap();
        self.add_job(found.job, found.priority);
        self.raise("replayed", 1);
        (Call::Replay(id.to_string()), Answer::Done(true))
    }

    fn discard(&mut self, pick: usize) -> (Call, Answer) {
        let Some(id) = self.dead(pick) else {
            return (Call::Discard("nobody".to_owned()), Answer::Done(false));
        };
        let found = self.jobs.remove(&id).unwrap();
        self.raise("discarded", 1);
        if let Some(pair) = self.pairs.get_mut(&found.job.pair).filter(|pair| pair.state == "open") {
            pair.state = "rejected";
            self.raise("rejected", 1);
        }
        (Call::Discard(id.to_string()), Answer::Done(true))
    }
}

fn end_of(ready: bool, body: &str) -> End {
    if ready {
        End::Ready { body: body.as_bytes().to_vec() }
    } else {
        End::Rejected { reason: "no good".to_owned() }
    }
}
