//! `mondo bench sandbox`: what a check costs, beside the old way: the same pages only loaded, in a fresh browser each,
//! until nothing has been on its way for half a second.

use std::{
    fmt::Write as _,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::ensure;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use mondo_jobs::{
    finding::FindingClass,
    ports::{Execution, Sandbox as _},
};
use mondo_workers::sandbox::{self, BrowserPool, SandboxConfig};
use serde::Serialize;

use super::output;

/// Clean pages of four kinds: a game on a canvas, a game of buttons, an SVG that moves, a form.
const PAGES: [&str; 4] = [
    include_str!("bench_pages/rowing.html"),
    include_str!("bench_pages/pairs.html"),
    include_str!("bench_pages/pendulum.html"),
    include_str!("bench_pages/packing.html"),
];

/// A page that never answers again once its button is pressed.
const HANG: &str = include_str!("bench_pages/hang.html");

/// The ways are measured in turns, so that what else the machine does meets all of them.
const ROUNDS: usize = 4;

/// Checks of each page in a round, on all slots.
const CHECKS_PER_PAGE: usize = 8;

/// Checks of each page in a round, one after the other.
const ALONE_PER_PAGE: usize = 3;

/// Loads of each page in a round the old way, as many at once as there are slots.
const OLD_PER_PAGE: usize = 2;

/// Loads of each page in a round the old way, one after the other, as the old service did.
const OLD_ALONE_PER_PAGE: usize = 1;

/// Checks of the hanging page in a round, one after the other.
const HANGS: usize = 3;

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
    /// Memory of an idle slot, MiB, what its processes share counted once; 0 where we may not look.
    memory_mb_per_slot: f64,
    /// Page time that each check covers.
    page_ms: u64,
    /// A page that hangs, from its start to its report: the median.
    hang_p50_ms: f64,
    /// The longest of them.
    hang_max_ms: f64,
    /// The old way, one load at a time as the old service did: loads a second.
    old_alone_per_s: f64,
    /// One such load, browser started and ended: the median.
    old_alone_p50_ms: f64,
    /// Whole checks for each such load, in the same time.
    checks_per_old_alone: f64,
    /// The old way, as many loads at once as there are slots: loads a second.
    old_busy_per_s: f64,
    /// Whole checks for each such load, in the same time.
    checks_per_old_busy: f64,
    backend: &'static str,
    slots: usize,
    cores: usize,
    checks: usize,
    hangs: usize,
    old_loads: usize,
}

/// Durations of one way in milliseconds, and how long they took together.
#[derive(Default)]
struct Way {
    each_ms: Vec<f64>,
    time: Duration,
}

impl Way {
    fn per_s(&self) -> f64 {
        ratio(self.each_ms.len()) / self.time.as_secs_f64()
    }

    fn extend(&mut self, started: Instant, each_ms: impl IntoIterator<Item = f64>) {
        self.time += started.elapsed();
        self.each_ms.extend(each_ms);
    }
}

#[derive(Default)]
struct Samples {
    busy: Way,
    alone: Way,
    old_alone: Way,
    old_busy: Way,
    hang: Way,
    cpu_secs: f64,
    page_ms: u64,
}

/// Measures and prints, as one JSON object or as a table for people.
pub(super) async fn run(json: bool, config: SandboxConfig) -> anyhow::Result<()> {
    let pool = sandbox::open(config).await?;
    output::note("measuring in real browsers; this takes two minutes or less");
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
    let memory_bytes = pool.usage().await.memory_bytes;
    figures(pool, samples, usize::try_from(memory_bytes >> 20)?)
}

fn figures(pool: &BrowserPool, samples: Samples, memory_mb: usize) -> anyhow::Result<Figures> {
    let Samples { mut busy, mut alone, mut old_alone, old_busy, mut hang, cpu_secs, page_ms } = samples;
    let (slots, cores) = (pool.slots(), std::thread::available_parallelism()?.get());
    let checks = busy.each_ms.len();
    Ok(Figures {
        checks_per_s: rounded(busy.per_s()),
        checks_per_s_per_core: rounded(busy.per_s() / ratio(cores)),
        p50_ms: rounded(quantile(&mut busy.each_ms, 0.5)),
        p99_ms: rounded(quantile(&mut busy.each_ms, 0.99)),
        p50_alone_ms: rounded(quantile(&mut alone.each_ms, 0.5)),
        cpu_s_per_check: rounded(cpu_secs / ratio(checks)),
        memory_mb_per_slot: rounded(ratio(memory_mb) / ratio(slots)),
        page_ms,
        hang_p50_ms: rounded(quantile(&mut hang.each_ms, 0.5)),
        hang_max_ms: rounded(quantile(&mut hang.each_ms, 1.0)),
        old_alone_per_s: rounded(old_alone.per_s()),
        old_alone_p50_ms: rounded(quantile(&mut old_alone.each_ms, 0.5)),
        checks_per_old_alone: rounded(busy.per_s() / old_alone.per_s()),
        old_busy_per_s: rounded(old_busy.per_s()),
        checks_per_old_busy: rounded(busy.per_s() / old_busy.per_s()),
        backend: pool.backend(),
        slots,
        cores,
        checks,
        hangs: hang.each_ms.len(),
        old_loads: old_alone.each_ms.len() + old_busy.each_ms.len(),
    })
}

async fn round(pool: &Arc<BrowserPool>, samples: &mut Samples) -> anyhow::Result<()> {
    loads(pool, OLD_ALONE_PER_PAGE, 1, &mut samples.old_alone).await?;
    loads(pool, OLD_PER_PAGE, pool.slots(), &mut samples.old_busy).await?;

    let started = Instant::now();
    for index in 0..ALONE_PER_PAGE * PAGES.len() {
        samples.alone.each_ms.push(check(pool, &execution(index)).await?.0);
    }
    samples.alone.time += started.elapsed();

    let (cpu_before, started) = (cpu_secs(pool).await, Instant::now());
    let done = checks(pool, CHECKS_PER_PAGE * PAGES.len()).await?;
    samples.busy.extend(started, done.iter().map(|(duration_ms, _)| *duration_ms));
    samples.cpu_secs += cpu_secs(pool).await - cpu_before;
    samples.page_ms = done.iter().map(|(_, page_ms)| *page_ms).min().unwrap_or_default();

    let started = Instant::now();
    for _ in 0..HANGS {
        samples.hang.each_ms.push(hang(pool).await?);
    }
    samples.hang.time += started.elapsed();
    Ok(())
}

fn execution(index: usize) -> Execution {
    let page = PAGES.get(index % PAGES.len()).copied().unwrap_or_default();
    Execution::new(page, 1)
}

/// Loads each page so often the old way, so many at once.
async fn loads(
    pool: &Arc<BrowserPool>,
    per_page: usize,
    at_once: usize,
    way: &mut Way,
) -> anyhow::Result<()> {
    let started = Instant::now();
    let loads = (0..per_page * PAGES.len()).map(|index| load(pool, index));
    let loads: Vec<f64> = stream::iter(loads).buffer_unordered(at_once).try_collect().await?;
    way.extend(started, loads);
    Ok(())
}

/// One load the old way: its duration in milliseconds.
async fn load(pool: &Arc<BrowserPool>, index: usize) -> anyhow::Result<f64> {
    let started = Instant::now();
    pool.load_in_fresh_browser(&execution(index)).await?;
    Ok(millis(started))
}

/// Checks the pages in turn until `count` checks are done, on all slots.
async fn checks(pool: &Arc<BrowserPool>, count: usize) -> anyhow::Result<Vec<(f64, u64)>> {
    let checks = (0..count).map(|index| async move { check(pool, &execution(index)).await });
    stream::iter(checks).buffer_unordered(pool.slots()).try_collect().await
}

/// One check: its duration in milliseconds, and the page time that it covered.
async fn check(pool: &Arc<BrowserPool>, execution: &Execution) -> anyhow::Result<(f64, u64)> {
    let started = Instant::now();
    let report = pool.execute(execution).await?;
    ensure!(report.is_clean(), "a clean page was found to fail: {:?}", report.findings);
    Ok((millis(started), report.page_ms))
}

/// One check of the page that hangs: its duration in milliseconds.
async fn hang(pool: &Arc<BrowserPool>) -> anyhow::Result<f64> {
    let started = Instant::now();
    let report = pool.execute(&Execution::new(HANG, 1)).await?;
    let hung = report.blocking().any(|finding| finding.class == FindingClass::Hang);
    ensure!(hung, "the hanging page was not found to hang: {:?}", report.findings);
    Ok(millis(started))
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
    let fresh = match figures.backend {
        "docker" => "fresh container and browser",
        _ => "fresh bubblewrap and browser",
    };
    let page_s = figures.page_ms / 1000;
    let mut text = String::new();
    let rows = [
        ("a check", format!("load, use, {page_s} s of page time, two viewports, screenshot, in a warm slot")),
        ("  a second", format!("{} on {} slots", figures.checks_per_s, figures.slots)),
        ("  a second and core", format!("{} of {} cores", figures.checks_per_s_per_core, figures.cores)),
        ("  all slots busy", format!("p50 {} ms, p99 {} ms", figures.p50_ms, figures.p99_ms)),
        ("  alone", format!("p50 {} ms", figures.p50_alone_ms)),
        ("  processor time", format!("{} s", figures.cpu_s_per_check)),
        ("the old way", format!("{fresh} for each page, load, 500 ms without requests, end")),
        (
            "  one at a time",
            format!("{} a second, p50 {} ms", figures.old_alone_per_s, figures.old_alone_p50_ms),
        ),
        ("  as many as slots", format!("{} a second", figures.old_busy_per_s)),
        (
            "checks for each such load",
            format!(
                "{} of one at a time, {} of as many as slots, in the same time",
                figures.checks_per_old_alone, figures.checks_per_old_busy
            ),
        ),
        (
            "a page that hangs",
            format!("ended p50 {} ms, max {} ms", figures.hang_p50_ms, figures.hang_max_ms),
        ),
        ("memory of an idle slot", format!("{} MiB", figures.memory_mb_per_slot)),
        (
            "measured",
            format!(
                "{}, {} checks, {} loads, {} hangs, in turns",
                figures.backend, figures.checks, figures.old_loads, figures.hangs
            ),
        ),
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
        assert!((quantile(&mut samples, 1.0) - 100.0).abs() < f64::EPSILON);
        assert!(quantile(&mut [], 0.5).abs() < f64::EPSILON);
    }
}
