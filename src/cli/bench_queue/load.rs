//! The loads that `mondo bench queue` puts on a private Redis, and what they took.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::Context as _;
use async_trait::async_trait;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use mondo_jobs::{
    job::{Job, Step},
    pair::{CandidateName, PairId},
    queue::{
        Arrival, Bounds, Commit, Delivery, End, NewJob, NewPair, Priority, Queue, QueueConfig, Reader,
        Retention,
    },
};
use mondo_workers::backend::{Failure, FlowOptions, Handler, WorkerOptions, WorkersError, run_workers};
use redis::{AsyncConnectionConfig, InfoDict, aio::MultiplexedConnection};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::{task::JoinSet, time::sleep};
use tokio_util::sync::CancellationToken;

use super::{ENVELOPE_BYTES, PAIRS, PAYLOAD_BYTES};

/// Slots for each step.
const SLOTS: usize = 100;
/// Commits that are added without workers to see what the commit itself costs.
const COMMITS: usize = 6_000;
/// Calls on their way at once in that part.
const CALLS: usize = 32;
/// Pairs and jobs of each whose memory is measured.
const WAITING: (usize, usize) = (1_000, 100);
/// A reply may take so long: the machine may be busy with something else.
const RESPONSE_TIME_MAX: Duration = Duration::from_secs(10);
/// How long Redis is left alone before its memory is read.
const SETTLE_TIME: Duration = Duration::from_millis(200);
/// How long jobs are dispatched in the open loop.
const DISPATCH_TIME: Duration = Duration::from_secs(4);
/// How often the open loop adds jobs.
const DISPATCH_TICK: Duration = Duration::from_millis(1);
/// How long idle workers are watched.
const IDLE_TIME: Duration = Duration::from_secs(10);
/// How long a read waits for new jobs.
const BLOCK: Duration = Duration::from_secs(1);
/// Items of one pipeline of the baseline.
const BASELINE_BATCH: usize = 100;

/// What a load took.
#[derive(Debug, Clone, Copy)]
pub(super) struct Round {
    pub(super) commits_per_s: f64,
    pub(super) redis_cpu_us_per_job: f64,
    pub(super) redis_commands_per_job: f64,
}

/// How soon jobs were started.
pub(super) struct Dispatch {
    pub(super) p50_ms: f64,
    pub(super) p99_ms: f64,
    pub(super) slowest_ms: f64,
    pub(super) jobs_per_s: f64,
}

/// A queue on a Redis of its own.
pub(super) struct Bench {
    pub(super) queue: Queue,
    pub(super) connection: MultiplexedConnection,
}

impl Bench {
    pub(super) async fn connect(url: SecretString) -> anyhow::Result<Self> {
        let client = redis::Client::open(url.expose_secret())?;
        let config = AsyncConnectionConfig::new().set_response_timeout(Some(RESPONSE_TIME_MAX));
        let mut connection = client.get_multiplexed_async_connection_with_config(&config).await?;
        // A rewrite of the append-only file would fall to whichever part happens to run.
        redis::cmd("CONFIG")
            .arg(&["SET", "auto-aof-rewrite-percentage", "0"])
            .exec_async(&mut connection)
            .await?;
        let queue = Queue::connect(QueueConfig {
            url,
            prefix: "bench".to_owned(),
            lease: Duration::from_secs(12),
            shards: 1,
            retention: Retention::default(),
            bounds: Bounds { pairs: 1_000_000, ..Bounds::default() },
            replicas_min: 0,
            connect_time_max: Duration::from_secs(30),
        })
        .await?;
        Ok(Self { queue, connection })
    }

    /// Lets pairs walk through all six steps.
    pub(super) async fn commits(&self) -> anyhow::Result<Round> {
        let pairs: Vec<NewPair> = std::iter::repeat_with(|| new_pair(envelope())).take(PAIRS).collect();
        for chunk in pairs.chunks(500) {
            self.queue.start(chunk).await?;
        }
        let jobs = PAIRS * Step::ALL.len();
        let done_before = self.committed().await?;
        let before = Usage::of(&self.info().await?);
        let started = Instant::now();
        let walker = Walker { queue: self.queue.clone(), body: vec![b'x'; PAYLOAD_BYTES] };
        let workers = Workers::start(&self.queue, Arc::new(walker));
        // Looking more often would be work for Redis that is not the queue's.
        while self.committed().await? - done_before < i64::try_from(jobs)? {
            sleep(Duration::from_millis(10)).await;
        }
        let seconds = started.elapsed().as_secs_f64();
        let used = Usage::of(&self.info().await?).since(&before);
        workers.stop().await?;
        Ok(used.round(jobs, seconds))
    }

    /// Commits that come so many in a call, with nothing else going on.
    pub(super) async fn commits_alone(&self, batch: usize) -> anyhow::Result<Round> {
        self.reset().await?;
        let deliveries = self.claimed(COMMITS).await?;
        let commit = |delivery: &Delivery| step_commit(delivery, vec![b'x'; PAYLOAD_BYTES]);
        let commits: Vec<(Delivery, Commit)> =
            deliveries.into_iter().map(|delivery| (delivery.clone(), commit(&delivery))).collect();

        let before = Usage::of(&self.info().await?);
        let started = Instant::now();
        let calls = commits.chunks(batch).map(|chunk| async {
            let items: Vec<_> = chunk.iter().map(|(delivery, commit)| (delivery, commit)).collect();
            self.queue.commit_all(&items).await
        });
        stream::iter(calls).buffer_unordered(CALLS).try_collect::<Vec<_>>().await?;
        let seconds = started.elapsed().as_secs_f64();
        let used = Usage::of(&self.info().await?).since(&before);
        self.reset().await?;
        Ok(used.round(COMMITS, seconds))
    }

    /// Bytes of Redis for each waiting job.
    pub(super) async fn bytes_per_job(&self) -> anyhow::Result<f64> {
        self.reset().await?;
        let (pairs, jobs) = WAITING;
        let bytes = self.fill(pairs, jobs).await?;
        self.reset().await?;
        Ok(bytes)
    }

    /// Lets so many jobs of each of so many pairs wait for `answer`; gives the bytes of Redis for each.
    pub(super) async fn fill(&self, pairs: usize, jobs: usize) -> anyhow::Result<f64> {
        let deliveries = self.claimed(pairs).await?;
        sleep(SETTLE_TIME).await;
        let before = self.memory().await?;
        for delivery in &deliveries {
            let next =
                (0..jobs).map(|number| waiting_job(delivery.pair, number)).collect::<Result<_, _>>()?;
            self.queue.commit(delivery, &Commit { next, ..Commit::default() }).await?;
        }
        sleep(SETTLE_TIME).await;
        Ok((self.memory().await? - before) / number(pairs * jobs))
    }

    async fn memory(&self) -> anyhow::Result<f64> {
        self.info().await?.get("used_memory").context("reading used_memory")
    }

    /// Pairs whose first job is claimed.
    async fn claimed(&self, count: usize) -> anyhow::Result<Vec<Delivery>> {
        let pairs: Vec<NewPair> = std::iter::repeat_with(|| new_pair(envelope())).take(count).collect();
        for chunk in pairs.chunks(500) {
            self.queue.start(chunk).await?;
        }
        let mut reader = Reader::connect(&self.queue, 0, Step::Objects, "bench", BLOCK).await?;
        let mut deliveries = Vec::with_capacity(count);
        while deliveries.len() < count {
            for arrival in reader.read(SLOTS, BLOCK).await? {
                let Arrival::Job(delivery) = arrival else { anyhow::bail!("an entry cannot be read") };
                deliveries.push(delivery);
            }
        }
        Ok(deliveries)
    }

    /// Empties Redis.
    pub(super) async fn reset(&self) -> anyhow::Result<()> {
        redis::cmd("FLUSHALL").exec_async(&mut self.connection.clone()).await?;
        Ok(self.queue.make_groups().await?)
    }

    /// Starts workers, and adds pairs that walk through all six steps, at a fixed rate of steps for a while.
    pub(super) async fn dispatch(&self, steps_per_s: f64) -> anyhow::Result<Dispatch> {
        let walker = Walker { queue: self.queue.clone(), body: vec![b'x'; PAYLOAD_BYTES] };
        let timer = Arc::new(Timer::new(Some(walker)));
        let workers = Workers::start(&self.queue, Arc::clone(&timer) as Arc<dyn Handler>);
        sleep(Duration::from_millis(500)).await;
        let pairs_per_s = steps_per_s / number(Step::ALL.len());
        let dispatch = self.open_loop(&timer, pairs_per_s, |time| time < DISPATCH_TIME).await?;
        workers.stop().await?;
        Ok(dispatch)
    }

    /// Adds pairs at a fixed rate, whether or not they are taken, and looks when each job of theirs is started.
    pub(super) async fn open_loop(
        &self,
        timer: &Timer,
        pairs_per_s: f64,
        goes_on: impl Fn(Duration) -> bool,
    ) -> anyhow::Result<Dispatch> {
        let begun = Instant::now();
        let mut ticks = tokio::time::interval(DISPATCH_TICK);
        let (mut added, mut adding) = (0_u64, JoinSet::new());
        while goes_on(begun.elapsed()) {
            ticks.tick().await;
            let due = whole(begun.elapsed().as_secs_f64() * pairs_per_s);
            let pairs: Vec<NewPair> = (added..due).take(500).map(|_| new_pair(timer.stamp())).collect();
            added += u64::try_from(pairs.len())?;
            let queue = self.queue.clone();
            adding.spawn(async move { queue.start(&pairs).await });
            while let Some(result) = adding.try_join_next() {
                result??;
            }
        }
        let seconds = begun.elapsed().as_secs_f64();
        while let Some(result) = adding.join_next().await {
            result??;
        }
        while timer.ended.load(Ordering::Relaxed) < added {
            sleep(Duration::from_millis(10)).await;
        }
        let mut delays = timer.delays_us.lock().unwrap_or_else(PoisonError::into_inner).clone();
        delays.sort_unstable();
        let at =
            |percent: usize| delays.get((delays.len() * percent / 100).min(delays.len().saturating_sub(1)));
        let ms =
            |percent| Duration::from_micros(at(percent).copied().unwrap_or_default()).as_secs_f64() * 1e3;
        Ok(Dispatch {
            p50_ms: ms(50),
            p99_ms: ms(99),
            slowest_ms: ms(100),
            jobs_per_s: number(delays.len()) / seconds,
        })
    }

    /// Commands a second of workers that have nothing to do.
    pub(super) async fn idle(&self) -> anyhow::Result<f64> {
        let walker = Walker { queue: self.queue.clone(), body: Vec::new() };
        let workers = Workers::start(&self.queue, Arc::new(walker));
        sleep(Duration::from_secs(2)).await;
        let before = Usage::of(&self.info().await?);
        sleep(IDLE_TIME).await;
        let used = Usage::of(&self.info().await?).since(&before);
        workers.stop().await?;
        // One of them is our own look.
        Ok((used.commands - 1.0) / IDLE_TIME.as_secs_f64())
    }

    /// The least that any stream queue does: no lease, no record, no next job, nothing in one transaction.
    pub(super) async fn baseline(&self) -> anyhow::Result<f64> {
        let (stream, group) = ("bench-baseline", "workers");
        let mut connection = self.connection.clone();
        redis::cmd("DEL").arg(stream).exec_async(&mut connection).await?;
        redis::cmd("XGROUP")
            .arg(&["CREATE", stream, group, "0", "MKSTREAM"])
            .exec_async(&mut connection)
            .await?;
        let payload = vec![b'x'; PAYLOAD_BYTES];
        let jobs = PAIRS * Step::ALL.len();
        let started = Instant::now();
        let mut done: Vec<String> = Vec::new();
        for _ in 0..jobs / BASELINE_BATCH {
            let mut pipe = redis::pipe();
            for _ in 0..BASELINE_BATCH {
                pipe.cmd("XADD").arg(stream).arg("*").arg("job").arg(&payload).ignore();
            }
            if !done.is_empty() {
                pipe.cmd("XACK").arg(stream).arg(group).arg(&done).ignore();
                pipe.cmd("XDEL").arg(stream).arg(&done).ignore();
            }
            pipe.cmd("XREADGROUP").arg(&["GROUP", group, "one", "COUNT"]).arg(BASELINE_BATCH);
            pipe.arg("STREAMS").arg(stream).arg(">");
            let (read,): (redis::streams::StreamReadReply,) = pipe.query_async(&mut connection).await?;
            done = read.keys.into_iter().flat_map(|key| key.ids).map(|entry| entry.id).collect();
        }
        Ok(number(jobs) / started.elapsed().as_secs_f64())
    }

    async fn committed(&self) -> anyhow::Result<i64> {
        Ok(self.queue.stats().await?.counters.get("committed").copied().unwrap_or(0))
    }

    pub(super) async fn info(&self) -> anyhow::Result<InfoDict> {
        Ok(redis::cmd("INFO").query_async(&mut self.connection.clone()).await?)
    }
}

/// What Redis has used since it was started.
struct Usage {
    commands: f64,
    cpu_secs: f64,
}

impl Usage {
    fn of(info: &InfoDict) -> Self {
        let get = |name: &str| info.get::<f64>(name).unwrap_or(0.0);
        Self {
            commands: get("total_commands_processed"),
            cpu_secs: get("used_cpu_user") + get("used_cpu_sys"),
        }
    }

    fn since(&self, before: &Self) -> Self {
        Self { commands: self.commands - before.commands, cpu_secs: self.cpu_secs - before.cpu_secs }
    }

    fn round(&self, jobs: usize, seconds: f64) -> Round {
        let jobs = number(jobs);
        Round {
            commits_per_s: jobs / seconds,
            redis_cpu_us_per_job: self.cpu_secs * 1e6 / jobs,
            redis_commands_per_job: self.commands / jobs,
        }
    }
}

pub(super) struct Workers {
    shutdown: CancellationToken,
    running: JoinSet<Result<(), WorkersError>>,
}

impl Workers {
    pub(super) fn start(queue: &Queue, handler: Arc<dyn Handler>) -> Self {
        let options = WorkerOptions {
            steps: Step::ALL.map(|step| (step, SLOTS)).to_vec(),
            flow: FlowOptions { responder: Some("bench/none".to_owned()), ready_high: Some(u64::MAX) },
            ..WorkerOptions::default()
        };
        let (shutdown, mut running) = (CancellationToken::new(), JoinSet::new());
        running.spawn(run_workers(queue.clone(), options, handler, shutdown.clone()));
        Self { shutdown, running }
    }

    pub(super) async fn stop(mut self) -> anyhow::Result<()> {
        self.shutdown.cancel();
        while let Some(ended) = self.running.join_next().await {
            ended??;
        }
        Ok(())
    }
}

/// Reads the pair's record, as every step does, and passes the pair on to the next step.
pub(super) struct Walker {
    queue: Queue,
    body: Vec<u8>,
}

#[async_trait]
impl Handler for Walker {
    async fn handle(&self, delivery: &Delivery) -> Result<Commit, Failure> {
        // A failed read only means that the round takes longer.
        let _ = self.queue.record(delivery.pair).await;
        Ok(step_commit(delivery, self.body.clone()))
    }
}

/// Notes how long after it was added a job is started; the envelope says when that was. Jobs that say nothing of the
/// kind are counted apart.
pub(super) struct Timer {
    base: Instant,
    delays_us: Mutex<Vec<u64>>,
    /// Pairs that have come to their end.
    ended: AtomicU64,
    pub(super) others: AtomicUsize,
    /// Passes pairs on; without it they end with their first job.
    walker: Option<Walker>,
}

impl Timer {
    pub(super) fn new(walker: Option<Walker>) -> Self {
        let (ended, others) = (AtomicU64::new(0), AtomicUsize::new(0));
        Self { base: Instant::now(), delays_us: Mutex::default(), ended, others, walker }
    }

    /// Says when a job is added, and carries as much as others do.
    fn stamp(&self) -> String {
        format!("{:0>ENVELOPE_BYTES$}", self.base.elapsed().as_micros())
    }
}

#[async_trait]
impl Handler for Timer {
    async fn handle(&self, delivery: &Delivery) -> Result<Commit, Failure> {
        let now = u64::try_from(self.base.elapsed().as_micros()).unwrap_or(u64::MAX);
        let Ok(added) = delivery.envelope.parse::<u64>() else {
            self.others.fetch_add(1, Ordering::Relaxed);
            return Ok(Commit { record: b"{}".to_vec(), ..Commit::default() });
        };
        self.delays_us.lock().unwrap_or_else(PoisonError::into_inner).push(now.saturating_sub(added));
        let mut commit = match &self.walker {
            Some(walker) => walker.handle(delivery).await?,
            None => Commit { end: Some(End::Rejected { reason: String::new() }), ..Commit::default() },
        };
        for next in &mut commit.next {
            next.envelope = self.stamp();
        }
        if commit.end.is_some() {
            self.ended.fetch_add(1, Ordering::Relaxed);
        }
        Ok(commit)
    }
}

/// A result stored, and the next job, or the end of the pair.
fn step_commit(delivery: &Delivery, body: Vec<u8>) -> Commit {
    let next = Step::ALL.into_iter().skip_while(|step| *step != delivery.step).nth(1);
    Commit {
        record: b"{}".to_vec(),
        fields: vec![("page".to_owned(), body)],
        end: next.is_none().then(|| End::Rejected { reason: String::new() }),
        next: next.map(|step| new_job(delivery.pair, step, envelope())).into_iter().collect(),
        ..Commit::default()
    }
}

fn envelope() -> String {
    "e".repeat(ENVELOPE_BYTES)
}

fn new_pair(envelope: String) -> NewPair {
    let id = PairId::fresh();
    NewPair {
        id,
        priority: Priority::Normal,
        fields: Vec::new(),
        first: new_job(id, Step::Objects, envelope),
    }
}

/// One of many jobs of a pair.
fn waiting_job(pair: PairId, number: usize) -> anyhow::Result<NewJob> {
    let candidate = Some(CandidateName::Base);
    let id = Job { pair, step: Step::Answer, candidate, round: u32::try_from(number)? }.id();
    Ok(NewJob { id, pair, step: Step::Answer, envelope: envelope() })
}

fn new_job(pair: PairId, step: Step, envelope: String) -> NewJob {
    let id = Job { pair, step, candidate: None, round: 0 }.id();
    NewJob { id, pair, step, envelope }
}

#[expect(clippy::cast_precision_loss, reason = "counts here are far below 2^52")]
pub(super) fn number(count: usize) -> f64 {
    count as f64
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a count of jobs, never negative"
)]
fn whole(value: f64) -> u64 {
    value as u64
}
