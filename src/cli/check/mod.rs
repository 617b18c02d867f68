//! `mondo check`: what is wrong with these pages.

mod excerpt;
mod html;
mod input;
mod people;

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use anyhow::Context as _;
use clap::Args;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use mondo_jobs::{
    finding::{Coverage, Finding, Report},
    ports::{Execution, Sandbox as _, sandbox::WATCH_MS},
};
use mondo_workers::sandbox::{self, BrowserPool, SandboxConfig};
use serde::Serialize;

use self::input::Page;
use super::{BAD, output, span};

/// The shortest and the longest page time for which a page is watched.
const WATCH: std::ops::RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_mins(2);

/// Arguments of `mondo check`.
#[derive(Debug, Args)]
#[command(after_help = "Exit code: 0 no blocking finding, 1 some, 2 could not run.

A directory must have an index.html; the scripts and style sheets that it names are put in their places, as they
are in an answer, and findings name the file they are in. Pictures and other files are not: a page that asks for
them is told so.

Examples:
  mondo check page.html
  mondo check game/ --html report.html
  curl -s https://example.com | mondo check -
  mondo check --json one.html two.html | jq '.[] | select(.verdict == \"fail\") | .file'")]
pub(super) struct CheckArgs {
    /// HTML pages of at most 1 MiB of UTF-8, directories with an index.html, or - for stdin
    #[arg(required = true, value_name = "FILE|DIR|-")]
    files: Vec<PathBuf>,
    /// JSON for programs: an object for one page, an array for several
    #[arg(long)]
    json: bool,
    /// Also write one self-contained HTML file with screenshots, excerpts and coverage
    #[arg(long, value_name = "REPORT")]
    html: Option<PathBuf>,
    /// Seed of the interaction and of the page's `Math.random`
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// Page time for which a page is watched at least, 1s to 2m; its use takes what it takes
    #[arg(long, value_name = "TIME", value_parser = watch_time)]
    time: Option<Duration>,
}

fn watch_time(text: &str) -> Result<Duration, String> {
    let accepted = "accepted is page time from 1s to 2m, such as 10s";
    let time = span::parse(text).map_err(|_| accepted.to_owned())?;
    if WATCH.contains(&time) { Ok(time) } else { Err(accepted.to_owned()) }
}

/// What `--json` prints of one page.
#[derive(Serialize)]
struct Checked<'a> {
    file: &'a str,
    verdict: &'static str,
    findings: &'a [Finding],
    #[serde(skip_serializing_if = "is_zero")]
    findings_left_out: u32,
    coverage: &'a Option<Coverage>,
    wall_ms: u64,
    page_ms: u64,
    frames: u32,
    inputs: u32,
    seed: u64,
    hash: &'a str,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the shape that serde asks for")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

pub(super) async fn run(args: CheckArgs, config: SandboxConfig) -> anyhow::Result<ExitCode> {
    // All of them first: a person who mistyped the last name learns it before the first page has run.
    let pages = input::read(&args.files)?;
    let config = SandboxConfig { slots: config.slots.min(pages.len()), ..config };
    let pool = sandbox::open(config).await?;
    let reports = execute(&pool, &pages, &args).await;
    pool.close().await;
    let checked: Vec<(Page, Report)> = pages.into_iter().zip(reports?).collect();
    if let Some(file) = &args.html {
        write(file, &html::render(&checked)?)?;
    }
    if args.json {
        print_json(&checked)?;
    } else {
        output::data(&people::of(&checked))?;
    }
    let clean = checked.iter().all(|(_, report)| report.is_clean());
    Ok(if clean { ExitCode::SUCCESS } else { ExitCode::from(BAD) })
}

fn write(file: &Path, text: &str) -> anyhow::Result<()> {
    std::fs::write(file, text).with_context(|| format!("cannot write `{}`", file.display()))?;
    output::note(&format!("wrote {}", file.display()));
    Ok(())
}

async fn execute(pool: &Arc<BrowserPool>, pages: &[Page], args: &CheckArgs) -> anyhow::Result<Vec<Report>> {
    let watch_ms = args.time.map_or(Ok(WATCH_MS), |time| u64::try_from(time.as_millis()))?;
    let executions = pages.iter().map(|page| async move {
        let views = args.html.is_some();
        let execution = Execution { watch_ms, views, ..Execution::new(page.source.clone(), args.seed) };
        let report = pool.execute(&execution).await;
        report.map(|report| page.name_files(report)).with_context(|| format!("cannot check `{}`", page.file))
    });
    stream::iter(executions).buffered(pool.slots()).try_collect().await
}

fn print_json(pages: &[(Page, Report)]) -> anyhow::Result<()> {
    let checked: Vec<_> = pages.iter().map(|(page, report)| checked(page, report)).collect();
    match checked.as_slice() {
        [one] => output::json(one),
        several => output::json(&several),
    }
}

fn checked<'a>(page: &'a Page, report: &'a Report) -> Checked<'a> {
    Checked {
        file: &page.file,
        verdict: verdict(report),
        findings: &report.findings,
        findings_left_out: report.findings_left_out,
        coverage: &report.coverage,
        wall_ms: report.wall_ms,
        page_ms: report.page_ms,
        frames: report.frames,
        inputs: report.inputs,
        seed: report.seed,
        hash: &report.hash,
    }
}

fn verdict(report: &Report) -> &'static str {
    if report.is_clean() { "pass" } else { "fail" }
}

/// The verdict and what led to it, in words.
fn summary(report: &Report) -> String {
    let blocking = report.blocking().count();
    let advice = report.findings.len() - blocking;
    let verdict = verdict(report);
    match (blocking, advice) {
        (0, 0) => format!("{verdict}, nothing found"),
        (_, 0) => format!("{verdict}, {blocking} blocking"),
        (0, _) => format!("{verdict}, {advice} advice"),
        _ => format!("{verdict}, {blocking} blocking, {advice} advice"),
    }
}

/// When, and what led to it.
fn moment(finding: &Finding) -> String {
    let when = seconds(finding.page_ms);
    match &finding.input {
        Some(input) => format!("at {when}, after: {input}"),
        None => format!("at {when}, phase {}", finding.phase),
    }
}

fn seconds(ms: u64) -> String {
    format!("{}.{} s", ms / 1000, ms % 1000 / 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn page_time_is_read_with_its_unit_and_within_bounds() {
        assert_eq!(watch_time("10s"), Ok(Duration::from_secs(10)));
        assert_eq!(watch_time("2m"), Ok(Duration::from_mins(2)));
        for wrong in ["10", "3m", "0s", "1h", "soon"] {
            assert!(watch_time(wrong).unwrap_err().contains("such as 10s"), "{wrong}");
        }
    }
}
