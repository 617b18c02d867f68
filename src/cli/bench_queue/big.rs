//! Very much at once: what it costs, how soon it is worked off, and whether other work waits for it.

use std::{
    fmt::Write as _,
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use mondo_jobs::{
    job::Step,
    queue::{Arrival, Delivery, Reader},
};
use mondo_workers::backend::Handler;
use serde::Serialize;
use tokio::time::{sleep, sleep_until};

use super::{
    super::output,
    load::{Bench, Timer, Workers, number},
    round,
};

/// Jobs of each pair.
const JOBS: usize = 100;
/// Pairs of the three floods: 100,000 jobs, 50,000, 1,000,000.
const DELAYED: usize = 1_000;
const STALLED: usize = 500;
const BACKLOG: usize = 10_000;
/// Ordinary jobs added a second meanwhile, of a step of their own.
const ORDINARY_PER_S: f64 = 500.0;
/// For how long a flood is watched, unless it is worked off sooner.
const WATCH_TIME_MAX: Duration = Duration::from_secs(20);
/// For how long ordinary jobs are watched without a flood.
const CALM_TIME: Duration = Duration::from_secs(4);
/// The consumer that nobody hears of again.
const GONE: &str = "gone";
/// When delayed jobs are due, after the first of them was delayed.
const DELAY: Duration = Duration::from_secs(20);
/// Calls on their way at once.
const CALLS: usize = 64;
/// How long a read waits for new jobs.
const BLOCK: Duration = Duration::from_secs(1);
/// What the slow log keeps, from so many microseconds on.
const SLOW_US: u32 = 500;
/// How many commands the slow log keeps.
const SLOW_MAX: u32 = 100_000;

/// What was there at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flood {
    Delayed,
    Stalled,
    Backlog,
}

/// What came of it.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Flooded {
    /// What there was.
    flood: &'static str,
    /// How many.
    jobs: usize,
    /// Bytes of Redis for each while it waits, its share of the pair's record included.
    bytes_per_job: f64,
    /// How many of them were started a second.
    started_per_s: f64,
    /// The longest that one command kept Redis from everything else, milliseconds, by its slow log.
    slowest_command_ms: f64,
    /// Which one that was.
    slowest_command: String,
    /// Ordinary jobs that were started a second meanwhile; as many were added.
    ordinary_per_s: f64,
    /// From adding an ordinary job to its start, exceeded by one in a hundred.
    ordinary_p99_ms: f64,
    /// The longest.
    ordinary_slowest_ms: f64,
    /// The same three without a flood.
    calm: [f64; 3],
}

/// Lets one flood after the other come.
pub(super) async fn measure(bench: &Bench) -> anyhow::Result<Vec<Flooded>> {
    let calm = {
        bench.reset().await?;
        let timer = Arc::new(Timer::new(None));
        let workers = Workers::start(&bench.queue, Arc::clone(&timer) as Arc<dyn Handler>);
        let calm = bench.open_loop(&timer, ORDINARY_PER_S, |time| time < CALM_TIME).await?;
        workers.stop().await?;
        [calm.jobs_per_s, calm.p99_ms, calm.slowest_ms]
    };
    let mut results = Vec::new();
    for flood in [Flood::Delayed, Flood::Stalled, Flood::Backlog] {
        results.push(meet(bench, flood, calm).await?);
    }
    Ok(results)
}

async fn meet(bench: &Bench, flood: Flood, calm: [f64; 3]) -> anyhow::Result<Flooded> {
    let (name, pairs) = match flood {
        Flood::Delayed => ("delayed jobs due at once", DELAYED),
        Flood::Stalled => ("jobs of a worker that is gone", STALLED),
        Flood::Backlog => ("waiting jobs", BACKLOG),
    };
    let jobs = pairs * JOBS;
    output::note(&format!("{jobs} {name}: adding them"));
    bench.reset().await?;
    watch_slow(bench).await?;
    let bytes_per_job = bench.fill(pairs, JOBS).await?;
    match flood {
        Flood::Delayed => delay(bench, jobs).await?,
        Flood::Stalled => _ = claim(bench, jobs).await?,
        Flood::Backlog => {}
    }
    if flood == Flood::Stalled {
        sleep(bench.queue.lease()).await;
    }

    output::note(&format!("{jobs} {name}: working on them"));
    let timer = Arc::new(Timer::new(None));
    // As two processes would be.
    let workers = [(); 2].map(|()| Workers::start(&bench.queue, Arc::clone(&timer) as Arc<dyn Handler>));
    let begun = Instant::now();
    let started = || timer.others.load(Ordering::Relaxed);
    let goes_on = |time: Duration| time < WATCH_TIME_MAX && started() < jobs;
    let ordinary = bench.open_loop(&timer, ORDINARY_PER_S, goes_on).await?;
    let started_per_s = number(started()) / begun.elapsed().as_secs_f64();
    for workers in workers {
        workers.stop().await?;
    }
    let (slowest, slowest_command) = slowest(bench).await?;
    Ok(Flooded {
        flood: name,
        jobs,
        bytes_per_job: round(bytes_per_job),
        started_per_s: round(started_per_s),
        slowest_command_ms: round(slowest.as_secs_f64() * 1e3),
        slowest_command,
        ordinary_per_s: round(ordinary.jobs_per_s),
        ordinary_p99_ms: round(ordinary.p99_ms),
        ordinary_slowest_ms: round(ordinary.slowest_ms),
        calm: calm.map(round),
    })
}

/// Claims so many jobs for the consumer that is gone.
async fn claim(bench: &Bench, jobs: usize) -> anyhow::Result<Vec<Delivery>> {
    let mut reader = Reader::connect(&bench.queue, 0, Step::Answer, GONE, BLOCK).await?;
    let mut deliveries = Vec::with_capacity(jobs);
    while deliveries.len() < jobs {
        for arrival in reader.read(100, BLOCK).await? {
            let Arrival::Job(delivery) = arrival else { anyhow::bail!("an entry cannot be read") };
            deliveries.push(delivery);
        }
    }
    Ok(deliveries)
}

/// Delays so many jobs, all to the same moment, and waits until it has come.
async fn delay(bench: &Bench, jobs: usize) -> anyhow::Result<()> {
    let due = tokio::time::Instant::now() + DELAY;
    let deliveries = claim(bench, jobs).await?;
    let waits = deliveries.iter().map(|delivery| {
        let left = due.saturating_duration_since(tokio::time::Instant::now());
        bench.queue.wait(delivery, GONE, left)
    });
    stream::iter(waits).buffer_unordered(CALLS).try_collect::<Vec<_>>().await?;
    sleep_until(due).await;
    Ok(())
}

/// Lets Redis remember, from now on, which commands took long.
async fn watch_slow(bench: &Bench) -> anyhow::Result<()> {
    let mut connection = bench.connection.clone();
    let mut pipe = redis::pipe();
    pipe.cmd("CONFIG").arg(&["SET", "slowlog-log-slower-than"]).arg(SLOW_US).ignore();
    pipe.cmd("CONFIG").arg(&["SET", "slowlog-max-len"]).arg(SLOW_MAX).ignore();
    Ok(pipe.cmd("SLOWLOG").arg("RESET").ignore().exec_async(&mut connection).await?)
}

/// The command that took longest, a script by its name.
async fn slowest(bench: &Bench) -> anyhow::Result<(Duration, String)> {
    type Slow = (u64, u64, u64, Vec<Vec<u8>>, String, String);
    let found: Vec<Slow> =
        redis::cmd("SLOWLOG").arg(&["GET", "-1"]).query_async(&mut bench.connection.clone()).await?;
    let Some((_, _, us, words, ..)) = found.into_iter().max_by_key(|slow| slow.2) else {
        return Ok((Duration::ZERO, format!("none took {SLOW_US} µs")));
    };
    let text = |word: &Vec<u8>| String::from_utf8_lossy(word).into_owned();
    let script = words.get(1).and_then(|hash| bench.queue.script_name(&text(hash)));
    let name =
        script.map_or_else(|| words.first().map(text).unwrap_or_default(), |name| format!("{name}.lua"));
    Ok((Duration::from_micros(us), name))
}

/// What people read of it.
pub(super) fn table(flooded: &[Flooded]) -> String {
    let mut text = String::new();
    for flood in flooded {
        let [calm_per_s, calm_p99, calm_slowest] = flood.calm;
        let _ = writeln!(text, "\n{} {}", flood.jobs, flood.flood);
        for (name, value, beside) in [
            ("  bytes of Redis for one", flood.bytes_per_job, String::new()),
            ("  started a second", flood.started_per_s, String::new()),
            (
                "  slowest command, ms",
                flood.slowest_command_ms,
                format!("aim: at most 5; {}", flood.slowest_command),
            ),
            (
                "  ordinary jobs a second meanwhile",
                flood.ordinary_per_s,
                format!("without the flood: {calm_per_s}"),
            ),
            ("    started after, 99 %, ms", flood.ordinary_p99_ms, format!("without the flood: {calm_p99}")),
            ("    the slowest, ms", flood.ordinary_slowest_ms, format!("without the flood: {calm_slowest}")),
        ] {
            let _ = writeln!(text, "{name:<46}{value:>16.1}   {beside}");
        }
    }
    text
}
