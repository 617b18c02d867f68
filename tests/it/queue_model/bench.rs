//! The real queue: asks it what the model says, and reads from Redis what is where.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use mondo_jobs::{
    job::Step,
    pair::PairId,
    queue::{Admission, Arrival, Cursor, Delivery, Leases, Priority, Queue, Reader},
    ready::HANDOVER_LEASE,
};
use redis::{FromRedisValue, Value, aio::MultiplexedConnection, from_redis_value};

use super::{
    call::{Admitted, Answer, Call, Claimed, Why},
    model::{FAR, lane_name, pair_id, worker_name},
    ops::{PAIRS, STEPS},
    view::{Claim, Delayed, Queued, Record, View},
};
use crate::support::queue::{death, job};

/// What waits "until later" waits for so long.
const LATER: Duration = Duration::from_hours(1);
/// Longer than any lease and the doctor's margin.
const SILENT_MS: u64 = 24 * 3_600_000;

pub(super) struct Bench {
    queue: Queue,
    connection: MultiplexedConnection,
    leases: Leases,
    readers: BTreeMap<(usize, Step), Reader>,
    deliveries: Vec<(String, Delivery)>,
}

impl Bench {
    /// An empty queue.
    pub(super) async fn new(queue: &Queue, connection: &MultiplexedConnection) -> Self {
        let leases = Leases::new(queue, Duration::from_secs(10));
        let (queue, connection) = (queue.clone(), connection.clone());
        let mut bench = Self { queue, connection, leases, readers: BTreeMap::new(), deliveries: Vec::new() };
        bench.flush_all().await;
        bench
    }

    /// What the doctor finds at one look.
    pub(super) async fn violations(&self) -> BTreeSet<String> {
        let found = self.queue.violations().await.unwrap();
        found.into_iter().map(|violation| violation.detail).collect()
    }

    pub(super) async fn ask(&mut self, call: &Call) -> Answer {
        let queue = self.queue.clone();
        match call {
            Call::Nothing => Answer::Nothing,
            Call::Start { pairs, marks } => {
                let admissions = match marks {
                    None => queue.start(pairs).await,
                    Some(marks) => queue.refill(*marks, pairs).await,
                };
                Answer::Admitted(admissions.unwrap().into_iter().map(admitted).collect())
            }
            Call::Claim { worker, step, count } => self.claim(*worker, *step, *count).await,
            Call::Own { worker, step } => self.own(*worker, *step).await,
            Call::Apart { delivery } => {
                let (worker, delivery) = &self.deliveries[*delivery];
                Answer::Done(queue.apart(delivery, worker).await.unwrap())
            }
            Call::Renew { worker, deliveries } => {
                let held: Vec<&Delivery> =
                    deliveries.iter().map(|place| &self.deliveries[*place].1).collect();
                Answer::Lost(self.leases.renew(&worker_name(*worker), &held).await.unwrap())
            }
            Call::Commit(commits) => {
                let commits: Vec<_> =
                    commits.iter().map(|(place, commit)| (&self.deliveries[*place].1, commit)).collect();
                Answer::Committed(queue.commit_all(&commits).await.unwrap())
            }
            Call::Delay { delivery, why, due } => self.delay(*delivery, *why, *due).await,
            Call::Bury { delivery, attempts } => {
                let (worker, delivery) = &self.deliveries[*delivery];
                Answer::Done(queue.bury(delivery, worker, &death(*attempts, "test", &["no"])).await.unwrap())
            }
            Call::Release { delivery } => {
                let (worker, delivery) = &self.deliveries[*delivery];
                Answer::Done(queue.release(delivery, worker).await.unwrap())
            }
            Call::Crash { worker } => {
                self.silence(&worker_name(*worker)).await;
                Answer::Nothing
            }
            Call::Reclaim { worker, step, count } => {
                let found = queue.reclaim(0, *step, &worker_name(*worker), *count).await.unwrap();
                self.claimed(*worker, found)
            }
            Call::Promote => Answer::Moved(queue.promote().await.unwrap().moved),
            Call::ClockJump => {
                self.bring_near("delayed").await;
                Answer::Nothing
            }
            Call::Replay(job) => Answer::Done(queue.replay(job).await.unwrap().is_some()),
            Call::Discard(job) => Answer::Done(queue.discard(job).await.unwrap()),
            Call::Take { lapses } => self.take(*lapses).await,
            Call::Delivered(pair) => {
                queue.delivered(*pair).await.unwrap();
                Answer::Nothing
            }
            Call::PutBack { pair, lapses } => {
                queue.put_back(*pair, *lapses).await.unwrap();
                Answer::Nothing
            }
            Call::HandoversLapse => {
                self.bring_near("taken").await;
                Answer::Nothing
            }
            Call::Cancel(pair) => Answer::Cancelled(queue.cancel(*pair, "not wanted").await.unwrap()),
            Call::FlushAll => {
                self.flush_all().await;
                Answer::Nothing
            }
            Call::ScriptFlush => {
                let _: Value = self.command(&["SCRIPT", "FLUSH"]).await;
                Answer::Nothing
            }
        }
    }

    async fn command<T: FromRedisValue>(&mut self, words: &[&str]) -> T {
        redis::cmd(words[0]).arg(&words[1..]).query_async(&mut self.connection).await.unwrap()
    }

    async fn flush_all(&mut self) {
        let _: Value = self.command(&["FLUSHALL"]).await;
        // No entry of the new streams has the id of an old one.
        tokio::time::sleep(Duration::from_millis(2)).await;
        self.queue.make_groups().await.unwrap();
    }

    async fn now_ms(&mut self) -> u64 {
        let (secs, micros): (u64, u64) = self.command(&["TIME"]).await;
        secs * 1000 + micros / 1000
    }

    async fn reader(&mut self, worker: usize, step: Step) -> &mut Reader {
        if !self.readers.contains_key(&(worker, step)) {
            let block = Duration::from_millis(1);
            let reader = Reader::connect(&self.queue, 0, step, &worker_name(worker), block).await.unwrap();
            self.readers.insert((worker, step), reader);
        }
        self.readers.get_mut(&(worker, step)).unwrap()
    }

    async fn claim(&mut self, worker: usize, step: Step, count: usize) -> Answer {
        let found = self.reader(worker, step).await.read(count, Duration::from_millis(1)).await.unwrap();
        if found.is_empty() {
            // The next one starts afresh, as after a connection was lost: a read that waits takes as much of
            // each lane as there is, which depends on timing.
            self.readers.remove(&(worker, step));
        }
        self.claimed(worker, found)
    }

    async fn own(&mut self, worker: usize, step: Step) -> Answer {
        let (mut next, mut all) = (Some(Cursor::default()), Vec::new());
        while let Some(cursor) = next {
            let (further, found) = self.reader(worker, step).await.own(&cursor, 2).await.unwrap();
            all.extend(found);
            next = further;
        }
        self.claimed(worker, all)
    }

    fn claimed(&mut self, worker: usize, found: Vec<Arrival>) -> Answer {
        let deliveries: Vec<Delivery> = found.into_iter().map(job).collect();
        let claimed = deliveries.iter().map(|delivery| Claimed {
            job: delivery.job.clone(),
            attempts: delivery.attempts,
            crashes: delivery.crashes,
        });
        let answer = Answer::Claimed(claimed.collect());
        self.deliveries.extend(deliveries.into_iter().map(|delivery| (worker_name(worker), delivery)));
        answer
    }

    /// Checks the time that the queue chose and replaces it by that of the model.
    async fn settle_time(&mut self, set: &str, member: &str, from: u64, wait: Duration, time: u64) {
        let until = self.now_ms().await;
        let chosen: f64 = self.command(&["ZSCORE", &key(set), member]).await;
        let wait = u64::try_from(wait.as_millis()).unwrap();
        #[expect(clippy::cast_precision_loss, reason = "milliseconds are far below 2^53")]
        let bounds = (from + wait) as f64..=(until + wait) as f64;
        assert!(bounds.contains(&chosen), "{member} in {set}: {chosen} is not within {bounds:?}");
        let _: Value = self.command(&["ZADD", &key(set), "XX", &time.to_string(), member]).await;
    }

    async fn delay(&mut self, delivery: usize, why: Why, due: u64) -> Answer {
        let from = self.now_ms().await;
        let wait = if due >= FAR { LATER } else { Duration::ZERO };
        let (worker, delivery) = self.deliveries[delivery].clone();
        let done = match why {
            Why::Retry => self.queue.retry(&delivery, &worker, wait).await,
            Why::Wait => self.queue.wait(&delivery, &worker, wait).await,
            Why::Crashed => self.queue.crashed(&delivery, &worker, wait).await,
        };
        let done = done.unwrap();
        if done {
            let number = delivery.priority as usize * Step::ALL.len() + delivery.step as usize + 1;
            self.settle_time("delayed", &format!("{number}:{}", delivery.job), from, wait, due).await;
        }
        Answer::Done(done)
    }

    async fn take(&mut self, lapses: u64) -> Answer {
        let from = self.now_ms().await;
        let taken = self.queue.take().await.unwrap();
        if let Some(taken) = &taken {
            self.settle_time("taken", &taken.pair.to_string(), from, HANDOVER_LEASE, lapses).await;
        }
        Answer::Taken(taken.map(|taken| (taken.pair, String::from_utf8(taken.body).unwrap())))
    }

    /// Makes the leases of a worker lapse.
    async fn silence(&mut self, worker: &str) {
        for (step, priority) in lanes() {
            let stream = stream(step, priority);
            let pending: Vec<(String, String, u64, u64)> =
                self.command(&["XPENDING", &stream, "workers", "-", "+", "1000", worker]).await;
            let idle = SILENT_MS.to_string();
            for (entry, ..) in pending {
                let words = ["XCLAIM", &stream, "workers", worker, "0", &entry, "IDLE", &idle, "JUSTID"];
                let _: Value = self.command(&words).await;
            }
        }
    }

    /// What lay in the future is in the past.
    async fn bring_near(&mut self, set: &str) {
        let times: Vec<(String, u64)> = self.command(&["ZRANGE", &key(set), "0", "-1", "WITHSCORES"]).await;
        for (member, time) in times {
            let _: Value = self.command(&["ZADD", &key(set), "XX", &(time % FAR).to_string(), &member]).await;
        }
    }
}

impl Bench {
    /// What is where, read at one moment and without the queue's own code.
    pub(super) async fn view(&mut self) -> View {
        let pairs: Vec<PairId> = (0..PAIRS + 3).map(pair_id).collect();
        let mut pipe = redis::pipe();
        pipe.atomic();
        for (step, priority) in lanes() {
            pipe.xrange_all(stream(step, priority));
            pipe.cmd("XPENDING").arg(&[&stream(step, priority), "workers", "-", "+", "1000"]);
        }
        for step in STEPS {
            pipe.hgetall(key(&format!("delayed:{step}")));
        }
        pipe.zrange_withscores(key("delayed"), 0, -1);
        pipe.hgetall(key("dead:letters")).zrange(key("dead"), 0, -1);
        pipe.zrange(key("open"), 0, -1).lrange(key("ready"), 0, -1).zrange_withscores(key("taken"), 0, -1);
        pipe.hgetall(key("ready:bodies")).zrange(key("ended:rejected"), 0, -1);
        pipe.zrange(key("ended:finished"), 0, -1).hgetall(key("counters"));
        for pair in &pairs {
            pipe.hgetall(key(&format!("pair:{pair}")));
        }
        let replies: Vec<Value> = pipe.query_async(&mut self.connection).await.unwrap();
        let mut replies = Replies(replies.into_iter());

        let mut view = View::default();
        for (step, priority) in lanes() {
            let queued = queued(replies.next(), replies.next());
            view.lanes.insert(lane_name(step, priority), queued);
        }
        let mut entries: BTreeMap<String, String> = BTreeMap::new();
        for _ in STEPS {
            entries.extend(replies.next::<BTreeMap<_, _>>());
        }
        view.delayed = delayed(&entries, replies.next());
        let letters: BTreeMap<String, String> = replies.next();
        let dead: BTreeSet<String> = replies.next();
        assert!(letters.keys().eq(&dead), "each dead letter has its time: {letters:?} {dead:?}");
        view.dead = letters.iter().map(|(job, letter)| (job.clone(), counts(&parse(letter)))).collect();
        view.open = replies.next();
        view.ready = replies.next();
        let taken: Vec<(String, u64)> = replies.next();
        view.taken = taken.into_iter().map(|(pair, lapses)| (lapses, pair)).collect();
        view.bodies = replies.next();
        view.rejected = replies.next();
        view.delivered = replies.next();
        let mut counters: BTreeMap<String, i64> = replies.next();
        let mut bytes: BTreeMap<&str, i64> = BTreeMap::new();
        for pair in &pairs {
            let fields: BTreeMap<String, String> = replies.next();
            if fields.is_empty() {
                continue;
            }
            let (class, size) = size(&fields, view.bodies.get(&pair.to_string()));
            *bytes.entry(class).or_default() += size;
            view.records.insert(pair.to_string(), record(&fields));
        }
        for class in ["held_bytes", "rejected_bytes", "finished_bytes"] {
            let counted = counters.remove(class).unwrap_or(0);
            assert_eq!(counted, bytes.get(class).copied().unwrap_or(0), "{class}");
        }
        counters.retain(|_, value| *value != 0);
        view.counters = counters;
        view
    }
}

struct Replies(std::vec::IntoIter<Value>);

impl Replies {
    fn next<T: FromRedisValue>(&mut self) -> T {
        from_redis_value(self.0.next().unwrap()).unwrap()
    }
}

fn key(name: &str) -> String {
    format!("{{test:0}}:{name}")
}

fn stream(step: Step, priority: Priority) -> String {
    key(&format!("stream:{}", lane_name(step, priority)))
}

fn lanes() -> impl Iterator<Item = (Step, Priority)> {
    STEPS.into_iter().flat_map(|step| Priority::ALL.map(|priority| (step, priority)))
}

fn admitted(admission: Admission) -> Admitted {
    match admission {
        Admission::Accepted => Admitted::Accepted,
        Admission::Duplicate => Admitted::Duplicate,
        Admission::Full { .. } => Admitted::Full,
    }
}

fn parse(json: &str) -> serde_json::Value {
    serde_json::from_str(json).unwrap()
}

/// Failed runs and crashes; what is not stored is 0.
fn counts(entry: &serde_json::Value) -> (u64, u64) {
    let count = |name: &str| entry.get(name).map_or(0, |count| count.as_u64().unwrap());
    (count("attempts"), count("crashes"))
}

fn queued(
    entries: Vec<(String, Vec<(String, String)>)>,
    pending: Vec<(String, String, u64, u64)>,
) -> Vec<Queued> {
    let mut pending: BTreeMap<String, Claim> = pending
        .into_iter()
        .map(|(entry, worker, idle, count)| (entry, Claim { worker, count, lapsed: idle >= SILENT_MS }))
        .collect();
    let queued = entries.into_iter().map(|(id, fields)| {
        let entry = parse(&fields[0].1);
        let (attempts, crashes) = counts(&entry);
        let job = entry["id"].as_str().unwrap().to_owned();
        Queued { job, attempts, crashes, claim: pending.remove(&id) }
    });
    let queued = queued.collect();
    assert!(pending.is_empty(), "pending without an entry: {pending:?}");
    queued
}

fn delayed(entries: &BTreeMap<String, String>, times: Vec<(String, u64)>) -> BTreeMap<String, Delayed> {
    let times: BTreeMap<String, u64> = times.into_iter().collect();
    assert!(entries.keys().eq(times.keys()), "each delayed job has its time: {entries:?} {times:?}");
    let delayed = entries.iter().map(|(member, json)| {
        let (number, job) = member.split_once(':').unwrap();
        let number = number.parse::<usize>().unwrap() - 1;
        let step = Step::ALL[number % Step::ALL.len()];
        let lane = lane_name(step, Priority::ALL[number / Step::ALL.len()]);
        let (attempts, crashes) = counts(&parse(json));
        (job.to_owned(), Delayed { lane, due: times[member], attempts, crashes })
    });
    delayed.collect()
}

fn record(fields: &BTreeMap<String, String>) -> Record {
    let of = |prefix: &str| -> BTreeMap<String, String> {
        let of = fields.iter().filter_map(|(name, value)| Some((name.strip_prefix(prefix)?, value)));
        of.map(|(job, token)| (job.to_owned(), token.clone())).collect()
    };
    let mut done = of("done:");
    for mark in done.values_mut() {
        // What follows the line break are the jobs that the commit added; Q4 holds them against the streams.
        mark.truncate(mark.rfind('\n').expect("a line break"));
    }
    assert_eq!(done, of("out:"), "each commit stored all of itself");
    Record { state: fields["state"].clone(), done }
}

/// In which class the bytes of a record count, and how many it and its body should have.
fn size(fields: &BTreeMap<String, String>, body: Option<&String>) -> (&'static str, i64) {
    let mut size = body.map_or(0, String::len);
    for (name, value) in fields {
        size += match name.as_str() {
            "reason" if value == "no good" => value.len(),
            "state" | "bytes" | "reason" => 0,
            name if name.starts_with("done:") => value.len(),
            name => name.len() + value.len(),
        };
    }
    assert_eq!(fields["bytes"], size.to_string(), "{fields:?}");
    let class = match fields["state"].as_str() {
        "open" | "ready" => "held_bytes",
        "rejected" => "rejected_bytes",
        _ => "finished_bytes",
    };
    (class, i64::try_from(size).unwrap())
}
