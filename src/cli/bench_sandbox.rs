//! `mondo bench sandbox`: what a check costs, beside loading the same pages in a fresh browser each.

use std::{
    fmt::Write as _,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::ensure;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use mondo_jobs::ports::{Execution, Sandbox as _};
use mondo_workers::sandbox::{self, BrowserPool, SandboxConfig};
use serde::Serialize;

use super::output;

/// Clean pages of three kinds: a canvas that moves, a game of buttons, an SVG with a slider.
const PAGES: [&str; 3] = [
    include_str!("bench_pages/lanterns.html"),
    include_str!("bench_pages/pairs.html"),
    include_str!("bench_pages/pendulum.html"),
];

/// The ways are measured in turns, so that what else the machine does meets all of them.
const ROUNDS: usize = 4;

/// Checks of each page in a round, on all slots.
const CHECKS_PER_PAGE: usize = 8;

/// Checks of each page in a round, one after the other.
const ALONE_PER_PAGE: usize = 3;

/// Loads of each page in a round in a fresh browser.
const FRESH_PER_PAGE: usize = 2;

/// What was measured.
#[derive(Debug, Serialize)]
struct Figures {
    /// Whole checks a second with all slots busy.
    checks_per_s: f64,
    /// The same for each core of this machine.
    checks_per_s_per_core: f64,
    /// A check with all slots busy: the median.
    p50_ms: f64,
    /// The same, exceeded by one in a hundred.
    p99_ms: f64,
    /// A check while nothing else is checked: the median.
    p50_alone_ms: f64,
    /// Processor seconds of a check: browser and driver.
    cpu_s_per_check: f64,
    /// Memory of an idle slot, MiB; 0 where we may not look.
    memory_mb_per_slot: f64,
    /// Only loading a page in a browser started for it: the median.
    fresh_load_p50_ms: f64,
    /// That divided by `p50_alone_ms`, though a check does far more than load.
    fresh_load_to_check: f64,
    /// Page time that each check covers.
    page_ms: u64,
    backend: &'static str,
    slots: usize,
    cores: usize,
    checks: usize,
}

/// Durations of the three ways, in milliseconds.
#[derive(Default)]
struct Samples {
    busy: Vec<f64>,
    alone: Vec<f64>,
    fresh: Vec<f64>,
    busy_time: Duration,
    cpu_secs: f64,
    page_ms: u64,
}

/// Measures and prints, as one JSON object or as a table for people.
pub(super) async fn run(json: bool, config: SandboxConfig) -> anyhow::Result<()> {
    let pool = sandbox::open(config).await?;
    output::note("measuring in real browsers; this takes a minute or less");
    let figures = measure(&pool).await;
    pool.close().await;
    let figures = figures?;
    if json { output::json(&figures) } else { Ok(output::data(table(&figures).trim_end())?) }
}

async fn measure(pool: &Arc<BrowserPool>) -> anyhow::Result<Figures> {
    // Starts the browser of every slot.
    checks(pool, pool.slots()).await?;
    let mut samples = Samples::default();
    for _ in 0..ROUNDS {
        round(pool, &mut samples).await?;
    }
    let usage = pool.usage().await;
    let (slots, cores) = (pool.slots(), std::thread::available_parallelism().map_or(1, usize::from));
    let checks = samples.busy.len();
    let checks_per_s = ratio(checks) / samples.busy_time.as_secs_f64();
    let p50_alone_ms = quantile(&mut samples.alone, 0.5);
    let fresh_load_p50_ms = quantile(&mut samples.fresh, 0.5);
    Ok(Figures {
        checks_per_s: rounded(checks_per_s),
        checks_per_s_per_core: rounded(checks_per_s / ratio(cores)),
        p50_ms: rounded(quantile(&mut samples.busy, 0.5)),
        p99_ms: rounded(quantile(&mut samples.busy, 0.99)),
        p50_alone_ms: rounded(p50_alone_ms),
        cpu_s_per_check: rounded(samples.cpu_secs / ratio(checks)),
        memory_mb_per_slot: rounded(ratio(usize::try_from(usage.memory_bytes >> 20)?) / ratio(slots)),
        fresh_load_p50_ms: rounded(fresh_load_p50_ms),
        fresh_load_to_check: rounded(fresh_load_p50_ms / p50_alone_ms),
        page_ms: samples.page_ms,
        backend: pool.backend(),
        slots,
        cores,
        checks,
    })
}

async fn round(pool: &Arc<BrowserPool>, samples: &mut Samples) -> anyhow::Result<()> {
    for page in PAGES {
        let execution = Execution { page: page.to_owned(), seed: 1 };
        for _ in 0..FRESH_PER_PAGE {
            let started = Instant::now();
            pool.load_in_fresh_browser(&execution).await?;
            samples.fresh.push(millis(started));
        }
        for _ in 0..ALONE_PER_PAGE {
            samples.alone.push(check(pool, &execution).await?.0);
        }
    }
    let (cpu_before, started) = (cpu_secs(pool).await, Instant::now());
    let done = checks(pool, CHECKS_PER_PAGE * PAGES.len()).await?;
    samples.busy_time += started.elapsed();
    samples.cpu_secs += cpu_secs(pool).await - cpu_before;
    samples.page_ms = done.iter().map(|(_, page_ms)| *page_ms).min().unwrap_or_default();
    samples.busy.extend(done.iter().map(|(duration_ms, _)| *duration_ms));
    Ok(())
}

/// Checks the pages in turn until `count` checks are done, on all slots.
async fn checks(pool: &Arc<BrowserPool>, count: usize) -> anyhow::Result<Vec<(f64, u64)>> {
    let checks = (0..count).map(|index| async move {
        let page = PAGES.get(index % PAGES.len()).copied().unwrap_or_default();
        check(pool, &Execution { page: page.to_owned(), seed: 1 }).await
    });
    stream::iter(checks).buffer_unordered(pool.slots()).try_collect().await
}

/// One check: its duration in milliseconds, and the page time that it covered.
async fn check(pool: &Arc<BrowserPool>, execution: &Execution) -> anyhow::Result<(f64, u64)> {
    let started = Instant::now();
    let report = pool.execute(execution).await?;
    ensure!(report.is_clean(), "a clean page was found to fail: {:?}", report.findings);
    Ok((millis(started), report.page_ms))
}

/// Processor seconds of the browsers and of this process.
async fn cpu_secs(pool: &Arc<BrowserPool>) -> f64 {
    pool.usage().await.cpu_secs + sandbox::own_cpu_secs()
}

fn millis(started: Instant) -> f64 {
    started.elapsed().as_secs_f64() * 1000.0
}

#[expect(clippy::cast_precision_loss, reason = "counts are small")]
fn ratio(count: usize) -> f64 {
    count as f64
}

fn rounded(figure: f64) -> f64 {
    (figure * 100.0).round() / 100.0
}

/// The sample that this share of samples does not exceed.
fn quantile(samples: &mut [f64], share: f64) -> f64 {
    samples.sort_by(f64::total_cmp);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an index")]
    let index = (ratio(samples.len()) * share).ceil() as usize;
    samples.get(index.saturating_sub(1)).copied().unwrap_or_default()
}

fn table(figures: &Figures) -> String {
    let mut text = String::new();
    let rows = [
        ("checks a second", format!("{}", figures.checks_per_s)),
        ("  per core", format!("{} of {} cores", figures.checks_per_s_per_core, figures.cores)),
        ("one check, all slots busy", format!("p50 {} ms, p99 {} ms", figures.p50_ms, figures.p99_ms)),
        (
            "one check alone",
            format!("p50 {} ms for {} ms of page time", figures.p50_alone_ms, figures.page_ms),
        ),
        ("processor time", format!("{} s a check", figures.cpu_s_per_check)),
        ("memory", format!("{} MiB an idle slot", figures.memory_mb_per_slot)),
        (
            "fresh browser, load only",
            format!("p50 {} ms, {} of a check", figures.fresh_load_p50_ms, figures.fresh_load_to_check),
        ),
        ("back-end", format!("{}, {} slots", figures.backend, figures.slots)),
    ];
    for (name, value) in rows {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{name:<28}{value}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_samples() {
        let mut samples: Vec<f64> = (1..=100).rev().map(f64::from).collect();
        assert!((quantile(&mut samples, 0.5) - 50.0).abs() < f64::EPSILON);
        assert!((quantile(&mut samples, 0.99) - 99.0).abs() < f64::EPSILON);
        assert!(quantile(&mut [], 0.5).abs() < f64::EPSILON);
    }
}
