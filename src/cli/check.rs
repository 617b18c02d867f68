//! `mondo check`: what is wrong with these pages.

use std::{
    fmt::Write as _,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
};

use anyhow::{Context as _, bail};
use clap::Args;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use mondo_jobs::{
    finding::{Finding, Report, Severity},
    ports::{Execution, Sandbox as _, sandbox::PAGE_BYTES_MAX},
};
use mondo_workers::sandbox::{self, BrowserPool, SandboxConfig};
use serde::Serialize;

use super::{BAD, output};

/// The most characters of a source line that are shown.
const EXCERPT_CHARS_MAX: usize = 100;

/// Arguments of `mondo check`.
#[derive(Debug, Args)]
#[command(after_help = "Exit code: 0 no blocking finding, 1 some, 2 could not run.

Examples:
  mondo check page.html
  mondo check --json one.html two.html | jq '.[] | select(.verdict == \"fail\") | .file'")]
pub(super) struct CheckArgs {
    /// HTML pages, each self-contained and at most 1 MiB of UTF-8
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// JSON for programs: an object for one file, an array for several
    #[arg(long)]
    json: bool,
    /// Seed of the interaction and of the page's `Math.random`
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
}

/// A page that was read and the file it came from.
struct Page {
    file: String,
    source: String,
}

/// What `--json` prints of one page.
#[derive(Serialize)]
struct Checked<'a> {
    file: &'a str,
    verdict: &'static str,
    findings: &'a [Finding],
    #[serde(skip_serializing_if = "is_zero")]
    findings_left_out: u32,
    wall_ms: u64,
    page_ms: u64,
    seed: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the shape that serde asks for")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

pub(super) async fn run(args: CheckArgs, config: SandboxConfig) -> anyhow::Result<ExitCode> {
    // All of them first: a person who mistyped the last name learns it before the first page has run.
    let pages = args.files.iter().map(|file| read(file)).collect::<anyhow::Result<Vec<_>>>()?;
    let config = SandboxConfig { slots: config.slots.min(pages.len()), ..config };
    let pool = sandbox::open(config).await?;
    let reports = execute(&pool, &pages, args.seed).await;
    pool.close().await;
    let reports = reports?;
    if args.json {
        print_json(&pages, &reports)?;
    } else {
        for (page, report) in pages.iter().zip(&reports) {
            output::data(&for_people(page, report))?;
        }
    }
    let clean = reports.iter().all(Report::is_clean);
    Ok(if clean { ExitCode::SUCCESS } else { ExitCode::from(BAD) })
}

fn read(file: &Path) -> anyhow::Result<Page> {
    let name = file.display();
    let bytes = std::fs::read(file)
        .with_context(|| format!("cannot read `{name}`; give the path of an HTML file"))?;
    if bytes.len() > PAGE_BYTES_MAX {
        bail!(
            "`{name}` has {} bytes, more than the {PAGE_BYTES_MAX} that a page may have; make it smaller",
            bytes.len()
        );
    }
    let source = String::from_utf8(bytes)
        .map_err(|error| error.utf8_error())
        .with_context(|| format!("`{name}` is not UTF-8; convert it, for instance with iconv"))?;
    Ok(Page { file: name.to_string(), source })
}

async fn execute(pool: &Arc<BrowserPool>, pages: &[Page], seed: u64) -> anyhow::Result<Vec<Report>> {
    let executions = pages.iter().map(|page| async move {
        let execution = Execution::new(page.source.clone(), seed);
        pool.execute(&execution).await.with_context(|| format!("cannot check `{}`", page.file))
    });
    stream::iter(executions).buffered(pool.slots()).try_collect().await
}

fn print_json(pages: &[Page], reports: &[Report]) -> anyhow::Result<()> {
    let checked: Vec<_> = pages.iter().zip(reports).map(|(page, report)| checked(page, report)).collect();
    match checked.as_slice() {
        [one] => output::json(one),
        several => output::json(&several),
    }
}

fn checked<'a>(page: &'a Page, report: &'a Report) -> Checked<'a> {
    Checked {
        file: &page.file,
        verdict: if report.is_clean() { "pass" } else { "fail" },
        findings: &report.findings,
        findings_left_out: report.findings_left_out,
        wall_ms: report.wall_ms,
        page_ms: report.page_ms,
        seed: report.seed,
    }
}

fn for_people(page: &Page, report: &Report) -> String {
    let mut text = format!(
        "{}: {} ({} of page time in {}, {} inputs, seed {})",
        page.file,
        summary(report),
        seconds(report.page_ms),
        seconds(report.wall_ms),
        report.inputs,
        report.seed
    );
    for finding in &report.findings {
        describe(&mut text, finding, &page.source);
    }
    if report.findings_left_out > 0 {
        let _ = write!(text, "\n\n  and {} more that are not listed", report.findings_left_out);
    }
    if !report.findings.is_empty() {
        text.push('\n');
    }
    text
}

fn summary(report: &Report) -> String {
    let blocking = report.blocking().count();
    let advice = report.findings.len() - blocking;
    let verdict = if blocking == 0 { "pass" } else { "fail" };
    match (blocking, advice) {
        (0, 0) => format!("{verdict}, nothing found"),
        (_, 0) => format!("{verdict}, {blocking} blocking"),
        (0, _) => format!("{verdict}, {advice} advice"),
        _ => format!("{verdict}, {blocking} blocking, {advice} advice"),
    }
}

// Writing to a string cannot fail, so the results below say nothing.
fn describe(text: &mut String, finding: &Finding, source: &str) {
    let severity = match finding.severity {
        Severity::Blocking => "blocking",
        Severity::Advice => "advice",
    };
    let _ = write!(text, "\n\n  {severity} {}: {}", finding.class.name(), finding.message);
    let when = seconds(finding.page_ms);
    let _ = match &finding.input {
        Some(input) => write!(text, "\n    at {when}, after: {input}"),
        None => write!(text, "\n    at {when}, phase {}", finding.phase),
    };
    if let (Some(line), Some(column)) = (finding.line, finding.column)
        && let Some((excerpt, caret)) = excerpt(source, line, column)
    {
        let number = line.to_string();
        let margin = " ".repeat(number.len());
        let _ = write!(
            text,
            "\n    {number} | {excerpt}\n    {margin} | {}^ line {line}, column {column}",
            " ".repeat(caret)
        );
    }
}

/// A source line, cut around the column if it is long, and how many characters of it stand before the column.
/// Columns count UTF-16 units, as the browser does.
fn excerpt(source: &str, line: u32, column: u32) -> Option<(String, usize)> {
    let line = source.lines().nth(usize::try_from(line).ok()?.checked_sub(1)?)?;
    let mut units = usize::try_from(column).ok()?.checked_sub(1)?;
    let mut caret = 0_usize;
    for symbol in line.chars() {
        let Some(rest) = units.checked_sub(symbol.len_utf16()) else { break };
        units = rest;
        caret += 1;
    }
    let start = caret.saturating_sub(EXCERPT_CHARS_MAX / 2);
    // One column per character, whatever the terminal makes of tabs and control characters.
    let shown = line.chars().skip(start).take(EXCERPT_CHARS_MAX);
    let shown: String = shown.map(|symbol| if symbol.is_control() { ' ' } else { symbol }).collect();
    let indent = shown.chars().take_while(|symbol| *symbol == ' ').count().min(caret - start);
    Some((shown.chars().skip(indent).collect(), caret - start - indent))
}

fn seconds(ms: u64) -> String {
    format!("{}.{} s", ms / 1000, ms % 1000 / 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_caret_stands_under_the_column() {
        assert_eq!(excerpt("a\n  bcd", 2, 4), Some(("bcd".to_owned(), 1)));
        assert_eq!(excerpt("\u{1F41D} bee", 1, 4), Some(("\u{1F41D} bee".to_owned(), 2)));
    }

    #[test]
    fn a_long_line_is_cut_around_the_column() {
        let line = format!("{}X{}", "a".repeat(5000), "b".repeat(5000));
        let (excerpt, caret) = excerpt(&line, 1, 5001).unwrap();
        assert_eq!(excerpt.chars().count(), EXCERPT_CHARS_MAX);
        assert_eq!(excerpt.chars().nth(caret), Some('X'));
    }

    #[test]
    fn a_place_outside_the_source_has_no_excerpt() {
        assert_eq!(excerpt("a", 7, 1), None);
        assert_eq!(excerpt("a", 1, 9), Some(("a".to_owned(), 1)));
    }
}
