//! `mondo bench queue`: what the queue costs, on a private Redis of its own, alone and through the whole backend.

mod big;
mod load;

use std::fmt::Write as _;

use anyhow::Context as _;
use mondo_jobs::job::Step;
use mondo_workers::backend::COMMITS_AT_ONCE;
use serde::Serialize;

use self::{
    big::Flooded,
    load::{Bench, Dispatch, Round},
};
use super::output;
use crate::private_redis::PrivateRedis;

/// Each pair walks through all six steps, so the jobs of a round are six times as many.
const PAIRS: usize = 6_000;
/// Rounds of each part; the median is reported.
const ROUNDS: usize = 3;
/// What each commit stores in the pair's record.
const PAYLOAD_BYTES: usize = 512;
/// What each job carries.
const ENVELOPE_BYTES: usize = 100;

/// What was measured.
#[derive(Debug, Clone, Serialize)]
struct Figures {
    /// A step's commit alone (fenced, a result stored, the next job added), in batches: a second.
    commits_per_s: f64,
    /// CPU time of Redis for one of them, microseconds.
    commit_cpu_us: f64,
    /// Redis commands for one of them, those inside scripts included.
    commit_commands: f64,
    /// CPU time of Redis for a commit that comes by itself, microseconds.
    single_commit_cpu_us: f64,
    /// Redis commands for it.
    single_commit_commands: f64,
    /// Steps that went through the workers a second: claimed, record read, committed.
    steps_per_s: f64,
    /// The slowest and the fastest round.
    steps_per_s_range: [f64; 2],
    /// CPU time of Redis for each step's whole way, microseconds.
    redis_cpu_us_per_step: f64,
    /// Redis commands for each step's whole way, those inside scripts included.
    redis_commands_per_step: f64,
    /// From handing a job in, by itself or as the next of one that is done, to the start of its handler: the median.
    /// Pairs walk through all steps, at half the speed of above in an open loop.
    dispatch_p50_ms: f64,
    /// The same, exceeded by one in a hundred.
    dispatch_p99_ms: f64,
    /// Jobs added a second in that loop.
    dispatch_jobs_per_s: f64,
    /// Redis commands a second of an idle worker with all six steps.
    idle_commands_per_s: f64,
    /// Bytes of Redis for a waiting job.
    bytes_per_waiting_job: f64,
    /// Very much at once, where that was asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    floods: Vec<Flooded>,
    /// What that job carries.
    envelope_bytes: usize,
    /// A bare pipelined loop of XADD, XREADGROUP, XACK and XDEL without any guarantee, on the same server.
    baseline_jobs_per_s: f64,
    /// `steps_per_s` divided by that.
    ratio_to_baseline: f64,
    /// Steps of one round.
    steps: usize,
    /// Bytes that each commit stores.
    payload_bytes: usize,
    /// The version of Redis.
    redis_version: String,
}

/// Measures and prints, as one JSON object or as a table for people.
pub(super) async fn run(json: bool, big: bool) -> anyhow::Result<()> {
    let minutes = if big { "two to three minutes" } else { "half a minute or more" };
    output::note(&format!("measuring on a private redis-server; this takes {minutes}"));
    let figures = Box::pin(measure(big)).await?;
    if json { output::json(&figures) } else { Ok(output::data(table(&figures).trim_end())?) }
}

async fn measure(big: bool) -> anyhow::Result<Figures> {
    let dir = tempfile::tempdir().context("making a directory for a private redis-server")?;
    let redis = PrivateRedis::start(dir.path()).await?;
    let bench = Bench::connect(redis.url()).await?;

    let (mut batched, mut single, mut rounds, mut baselines) = (vec![], vec![], vec![], vec![]);
    for _ in 0..ROUNDS {
        batched.push(bench.commits_alone(COMMITS_AT_ONCE).await?);
        single.push(bench.commits_alone(1).await?);
        baselines.push(bench.baseline().await?);
        rounds.push(bench.commits().await?);
    }
    baselines.sort_by(f64::total_cmp);
    let (batched, single) = (middle(&mut batched), middle(&mut single));
    let (steps, baseline) = (middle(&mut rounds), baselines[ROUNDS / 2]);
    let mut dispatches = vec![];
    for _ in 0..ROUNDS {
        bench.reset().await?;
        dispatches.push(bench.dispatch(steps.commits_per_s / 2.0).await?);
    }
    dispatches.sort_by(|a: &Dispatch, b| a.p99_ms.total_cmp(&b.p99_ms));
    let dispatch = &dispatches[ROUNDS / 2];
    let idle_commands_per_s = bench.idle().await?;
    let figures = Figures {
        commits_per_s: round(batched.commits_per_s),
        commit_cpu_us: round(batched.redis_cpu_us_per_job),
        commit_commands: round(batched.redis_commands_per_job),
        single_commit_cpu_us: round(single.redis_cpu_us_per_job),
        single_commit_commands: round(single.redis_commands_per_job),
        steps_per_s: round(steps.commits_per_s),
        steps_per_s_range: [round(rounds[0].commits_per_s), round(rounds[ROUNDS - 1].commits_per_s)],
        redis_cpu_us_per_step: round(steps.redis_cpu_us_per_job),
        redis_commands_per_step: round(steps.redis_commands_per_job),
        dispatch_p50_ms: round(dispatch.p50_ms),
        dispatch_p99_ms: round(dispatch.p99_ms),
        dispatch_jobs_per_s: round(dispatch.jobs_per_s),
        idle_commands_per_s: round(idle_commands_per_s),
        bytes_per_waiting_job: round(bench.bytes_per_job().await?),
        floods: if big { big::measure(&bench).await? } else { Vec::new() },
        envelope_bytes: ENVELOPE_BYTES,
        baseline_jobs_per_s: round(baseline),
        ratio_to_baseline: round(steps.commits_per_s / baseline),
        steps: PAIRS * Step::ALL.len(),
        payload_bytes: PAYLOAD_BYTES,
        redis_version: bench.info().await?.get("redis_version").unwrap_or_default(),
    };
    redis.stop().await;
    Ok(figures)
}

/// Sorts by speed and gives the median.
fn middle(rounds: &mut [Round]) -> Round {
    rounds.sort_by(|a, b| a.commits_per_s.total_cmp(&b.commits_per_s));
    rounds[rounds.len() / 2]
}

fn table(figures: &Figures) -> String {
    let Figures { steps_per_s_range: [slowest, fastest], envelope_bytes, .. } = figures;
    let bytes_aim = format!(
        "aim: at most {} (1.2 × the {envelope_bytes} it carries + 400)",
        envelope_bytes * 12 / 10 + 400
    );
    let mut text = String::new();
    let mut line = |name: &str, value: String, aim: &str| {
        let _ = writeln!(text, "{name:<46}{value:>16}   {aim}");
    };
    line(
        "commits a second, next job added, batched",
        format!("{:.0}", figures.commits_per_s),
        "aim: at least 20000",
    );
    line("  Redis CPU for one, µs", format!("{:.1}", figures.commit_cpu_us), "aim: at most 15");
    line("  Redis commands for one", format!("{:.1}", figures.commit_commands), "");
    line("a commit by itself: Redis CPU, µs", format!("{:.1}", figures.single_commit_cpu_us), "");
    line("  Redis commands", format!("{:.1}", figures.single_commit_commands), "");
    line("steps a second: claim, read record, commit", format!("{:.0}", figures.steps_per_s), "");
    line("  slowest and fastest round", format!("{slowest:.0} to {fastest:.0}"), "");
    line("  Redis CPU for one, µs", format!("{:.1}", figures.redis_cpu_us_per_step), "");
    line("  Redis commands for one", format!("{:.1}", figures.redis_commands_per_step), "aim: at most 7");
    line("dispatch at half load, median, ms", format!("{:.2}", figures.dispatch_p50_ms), "");
    line("dispatch at half load, 99 %, ms", format!("{:.2}", figures.dispatch_p99_ms), "aim: at most 5");
    line("  jobs a second meanwhile", format!("{:.0}", figures.dispatch_jobs_per_s), "");
    line("Redis commands a second, idle", format!("{:.1}", figures.idle_commands_per_s), "aim: at most 5");
    line("bytes of Redis for a waiting job", format!("{:.0}", figures.bytes_per_waiting_job), &bytes_aim);
    line("bare stream loop, jobs a second", format!("{:.0}", figures.baseline_jobs_per_s), "");
    line("  steps to that", format!("{:.2}", figures.ratio_to_baseline), "");
    let Figures { steps, payload_bytes, redis_version, .. } = figures;
    let _ =
        writeln!(text, "{steps} steps a round, {payload_bytes} bytes stored by each, Redis {redis_version}");
    text.push_str(&big::table(&figures.floods));
    text
}

fn round(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}
