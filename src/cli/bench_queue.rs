//! `mondo bench queue`: what the queue costs, on a private Redis of its own, through the whole backend.

use std::{
    fmt::Write as _,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::Context as _;
use async_trait::async_trait;
use mondo_jobs::{
    job::{Job, Step},
    pair::PairId,
    queue::{Bounds, Commit, Delivery, End, NewJob, NewPair, Priority, Queue, QueueConfig, Retention},
};
use mondo_workers::backend::{
    Failure, FlowOptions, Handler, Pulse, WorkerOptions, WorkersError, run_workers,
};
use redis::{InfoDict, aio::MultiplexedConnection};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Serialize;
use tokio::{task::JoinSet, time::sleep};
use tokio_util::sync::CancellationToken;

use super::output;
use crate::private_redis::PrivateRedis;

/// Each pair walks through all six steps, so the jobs of a round are six times as many.
const PAIRS: usize = 6_000;
/// Rounds of the throughput part; the median is reported.
const ROUNDS: usize = 3;
/// Slots for each step; the jobs do nothing, so this is how many results a batch may have.
const SLOTS: usize = 100;
/// What each commit stores in the pair's record.
const PAYLOAD_BYTES: usize = 512;
/// How long jobs are dispatched in the open loop.
const DISPATCH_TIME: Duration = Duration::from_secs(4);
/// How often the open loop adds jobs.
const DISPATCH_TICK: Duration = Duration::from_millis(1);
/// How long idle workers are watched.
const IDLE_TIME: Duration = Duration::from_secs(10);
/// Items of one pipeline of the baseline.
const BASELINE_BATCH: usize = 100;

/// What was measured.
#[derive(Debug, Clone, Serialize)]
struct Figures {
    /// Steps committed a second, each with its next job added: the median round.
    commits_per_s: f64,
    /// The slowest and the fastest round.
    commits_per_s_range: [f64; 2],
    /// CPU time of Redis for each job, microseconds.
    redis_cpu_us_per_job: f64,
    /// Redis commands for each job, those inside scripts included.
    redis_commands_per_job: f64,
    /// From adding a job to the start of its handler, at half load in an open loop: the median.
    dispatch_p50_ms: f64,
    /// The same, exceeded by one in a hundred.
    dispatch_p99_ms: f64,
    /// Jobs added a second in that loop.
    dispatch_jobs_per_s: f64,
    /// Redis commands a second of an idle worker with all six steps.
    idle_commands_per_s: f64,
    /// A bare pipelined loop of XADD, XREADGROUP, XACK and XDEL without any guarantee, on the same server.
    baseline_jobs_per_s: f64,
    /// `commits_per_s` divided by that.
    ratio_to_baseline: f64,
    /// Jobs of one round.
    jobs: usize,
    /// Bytes that each commit stores.
    payload_bytes: usize,
    /// The version of Redis.
    redis_version: String,
}

/// Measures and prints, as one JSON object or as a table for people.
pub(super) async fn run(json: bool) -> anyhow::Result<()> {
    output::note("measuring on a private redis-server; this takes half a minute");
    let figures = Box::pin(measure()).await?;
    if json { output::json(&figures) } else { Ok(output::data(table(&figures).trim_end())?) }
}

async fn measure() -> anyhow::Result<Figures> {
    let dir = tempfile::tempdir().context("making a directory for a private redis-server")?;
    let redis = PrivateRedis::start(dir.path()).await?;
    let bench = Bench::connect(redis.url()).await?;

    let mut rounds = Vec::with_capacity(ROUNDS);
    let mut baselines = Vec::with_capacity(ROUNDS);
    for _ in 0..ROUNDS {
        baselines.push(bench.baseline().await?);
        rounds.push(bench.commits().await?);
    }
    rounds.sort_by(|a, b| a.commits_per_s.total_cmp(&b.commits_per_s));
    baselines.sort_by(f64::total_cmp);
    let (middle, baseline) = (&rounds[ROUNDS / 2], baselines[ROUNDS / 2]);
    let dispatch = bench.dispatch(middle.commits_per_s / 2.0).await?;
    let idle_commands_per_s = bench.idle().await?;
    let figures = Figures {
        commits_per_s: round(middle.commits_per_s),
        commits_per_s_range: [round(rounds[0].commits_per_s), round(rounds[ROUNDS - 1].commits_per_s)],
        redis_cpu_us_per_job: round(middle.redis_cpu_us_per_job),
        redis_commands_per_job: round(middle.redis_commands_per_job),
        dispatch_p50_ms: round(dispatch.p50_ms),
        dispatch_p99_ms: round(dispatch.p99_ms),
        dispatch_jobs_per_s: round(dispatch.jobs_per_s),
        idle_commands_per_s: round(idle_commands_per_s),
        baseline_jobs_per_s: round(baseline),
        ratio_to_baseline: round(middle.commits_per_s / baseline),
        jobs: PAIRS * Step::ALL.len(),
        payload_bytes: PAYLOAD_BYTES,
        redis_version: bench.info().await?.get("redis_version").unwrap_or_default(),
    };
    redis.stop().await;
    Ok(figures)
}

struct Round {
    commits_per_s: f64,
    redis_cpu_us_per_job: f64,
    redis_commands_per_job: f64,
}

struct Dispatch {
    p50_ms: f64,
    p99_ms: f64,
    jobs_per_s: f64,
}

struct Bench {
    queue: Queue,
    connection: MultiplexedConnection,
}

impl Bench {
    async fn connect(url: SecretString) -> anyhow::Result<Self> {
        let client = redis::Client::open(url.expose_secret())?;
        let connection = client.get_multiplexed_async_connection().await?;
        let queue = Queue::connect(QueueConfig {
            url,
            prefix: "bench".to_owned(),
            lease: Duration::from_secs(12),
            shards: 1,
            retention: Retention::default(),
            bounds: Bounds::default(),
            connect_time_max: Duration::from_secs(30),
        })
        .await?;
        Ok(Self { queue, connection })
    }

    /// Lets pairs walk through all six steps.
    async fn commits(&self) -> anyhow::Result<Round> {
        let pairs: Vec<NewPair> = std::iter::repeat_with(|| new_pair(String::new())).take(PAIRS).collect();
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
        let jobs = number(jobs);
        Ok(Round {
            commits_per_s: jobs / seconds,
            redis_cpu_us_per_job: used.cpu_secs * 1e6 / jobs,
            redis_commands_per_job: used.commands / jobs,
        })
    }

    /// Adds jobs at a fixed rate, whether or not they are taken, and looks when each is started.
    async fn dispatch(&self, per_s: f64) -> anyhow::Result<Dispatch> {
        let base = Instant::now();
        let timer = Arc::new(Timer { base, delays_us: Mutex::default(), done: AtomicU64::new(0) });
        let workers = Workers::start(&self.queue, Arc::clone(&timer) as Arc<dyn Handler>);
        sleep(Duration::from_millis(500)).await;

        let begun = Instant::now();
        let mut ticks = tokio::time::interval(DISPATCH_TICK);
        let (mut added, mut adding) = (0_u64, JoinSet::new());
        while begun.elapsed() < DISPATCH_TIME {
            ticks.tick().await;
            let due = whole(begun.elapsed().as_secs_f64() * per_s);
            let pairs: Vec<NewPair> =
                (added..due).take(500).map(|_| new_pair(base.elapsed().as_micros().to_string())).collect();
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
        while timer.done.load(Ordering::Relaxed) < added {
            sleep(Duration::from_millis(10)).await;
        }
        workers.stop().await?;
        let mut delays = timer.delays_us.lock().unwrap_or_else(PoisonError::into_inner).clone();
        delays.sort_unstable();
        let at = |percent: usize| delays.get(delays.len() * percent / 100).copied().unwrap_or_default();
        Ok(Dispatch {
            p50_ms: Duration::from_micros(at(50)).as_secs_f64() * 1e3,
            p99_ms: Duration::from_micros(at(99)).as_secs_f64() * 1e3,
            jobs_per_s: number(delays.len()) / seconds,
        })
    }

    /// Commands a second of workers that have nothing to do.
    async fn idle(&self) -> anyhow::Result<f64> {
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
    async fn baseline(&self) -> anyhow::Result<f64> {
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

    async fn info(&self) -> anyhow::Result<InfoDict> {
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
}

struct Workers {
    shutdown: CancellationToken,
    running: JoinSet<Result<(), WorkersError>>,
}

impl Workers {
    fn start(queue: &Queue, handler: Arc<dyn Handler>) -> Self {
        let options = WorkerOptions {
            steps: Step::ALL.map(|step| (step, SLOTS)).to_vec(),
            grace: Duration::from_secs(5),
            progress_max: Duration::from_mins(5),
            pulse: Pulse::default(),
            flow: FlowOptions { responder: Some("bench/none".to_owned()), ready_high: Some(u64::MAX) },
        };
        let (shutdown, mut running) = (CancellationToken::new(), JoinSet::new());
        running.spawn(run_workers(queue.clone(), options, handler, shutdown.clone()));
        Self { shutdown, running }
    }

    async fn stop(mut self) -> anyhow::Result<()> {
        self.shutdown.cancel();
        while let Some(ended) = self.running.join_next().await {
            ended??;
        }
        Ok(())
    }
}

/// Reads the pair's record, as every step does, and passes the pair on to the next step.
struct Walker {
    queue: Queue,
    body: Vec<u8>,
}

#[async_trait]
impl Handler for Walker {
    async fn handle(&self, delivery: &Delivery) -> Result<Commit, Failure> {
        // A failed read only means that the round takes longer.
        let _ = self.queue.record(delivery.pair).await;
        let next = Step::ALL.into_iter().skip_while(|step| *step != delivery.step).nth(1);
        Ok(Commit {
            record: b"{}".to_vec(),
            fields: vec![("page".to_owned(), self.body.clone())],
            end: next.is_none().then(|| End::Rejected { reason: String::new() }),
            next: next.map(|step| new_job(delivery.pair, step, String::new())).into_iter().collect(),
            ..Commit::default()
        })
    }
}

/// Notes how long after it was added a job is started; the envelope says when that was.
struct Timer {
    base: Instant,
    delays_us: Mutex<Vec<u64>>,
    done: AtomicU64,
}

#[async_trait]
impl Handler for Timer {
    async fn handle(&self, delivery: &Delivery) -> Result<Commit, Failure> {
        let now = u64::try_from(self.base.elapsed().as_micros()).unwrap_or(u64::MAX);
        let added = delivery.envelope.parse().unwrap_or(now);
        self.delays_us.lock().unwrap_or_else(PoisonError::into_inner).push(now.saturating_sub(added));
        self.done.fetch_add(1, Ordering::Relaxed);
        Ok(Commit { end: Some(End::Rejected { reason: String::new() }), ..Commit::default() })
    }
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

fn new_job(pair: PairId, step: Step, envelope: String) -> NewJob {
    let id = Job { pair, step, candidate: None, round: 0 }.id();
    NewJob { id, pair, step, envelope }
}

fn table(figures: &Figures) -> String {
    let Figures { commits_per_s_range: [slowest, fastest], .. } = figures;
    let mut text = String::new();
    let mut line = |name: &str, value: String, aim: &str| {
        let _ = writeln!(text, "{name:<42}{value:>16}   {aim}");
    };
    line("commits a second, next job added", format!("{:.0}", figures.commits_per_s), "aim: at least 20000");
    line("  slowest and fastest round", format!("{slowest:.0} to {fastest:.0}"), "");
    line("Redis CPU for each job, µs", format!("{:.1}", figures.redis_cpu_us_per_job), "aim: at most 15");
    line("Redis commands for each job", format!("{:.1}", figures.redis_commands_per_job), "aim: at most 7");
    line("dispatch at half load, median, ms", format!("{:.2}", figures.dispatch_p50_ms), "");
    line("dispatch at half load, 99 %, ms", format!("{:.2}", figures.dispatch_p99_ms), "aim: at most 5");
    line("  jobs a second meanwhile", format!("{:.0}", figures.dispatch_jobs_per_s), "");
    line("Redis commands a second, idle", format!("{:.1}", figures.idle_commands_per_s), "aim: at most 5");
    line("bare stream loop, jobs a second", format!("{:.0}", figures.baseline_jobs_per_s), "");
    line("  commits to that", format!("{:.2}", figures.ratio_to_baseline), "");
    let Figures { jobs, payload_bytes, redis_version, .. } = figures;
    let _ =
        writeln!(text, "{jobs} jobs a round, {payload_bytes} bytes stored by each, Redis {redis_version}");
    text
}

fn round(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

#[expect(clippy::cast_precision_loss, reason = "counts here are far below 2^52")]
fn number(count: usize) -> f64 {
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
