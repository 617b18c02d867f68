//! How well the sandbox does on the corpus: what it catches, what it misses, where it is wrong, and whether it says
//! the same each time. `scripts/scoreboard` runs it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a measurement ends by panicking")]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program whose output is a table")]

#[path = "mod.rs"]
mod corpus;
mod table;

use std::{path::PathBuf, process::ExitCode, sync::Arc};

use clap::{Parser, ValueEnum};
use corpus::{Fault, Verdict};
use futures_util::{StreamExt as _, stream};
use mondo_jobs::{
    finding::Report,
    ports::{Execution, Sandbox as _},
};
use mondo_workers::sandbox::{BackendChoice, BrowserPool, SandboxConfig, open};
use serde::Serialize;

/// The share of clean pages with a false alarm above which the score is bad.
const FALSE_ALARMS_MAX: f64 = 0.01;

/// Pages that are executed again and again.
const REPEATED_PAGES: usize = 20;

/// Runs the corpus through the sandbox and prints the score. Exit code: 0 good, 1 not.
#[derive(Parser)]
struct Arguments {
    /// A folder with pages in `faults` and `clean`, to be used instead of the corpus
    #[arg(long, value_name = "FOLDER")]
    pages: Option<PathBuf>,
    /// Which browsers
    #[arg(long, value_enum, default_value = "both")]
    backend: Backends,
    /// How many mutants are made of the clean pages
    #[arg(long, default_value_t = 100, value_name = "N")]
    mutants: usize,
    /// How often each of 20 pages is executed again, to see that nothing changes
    #[arg(long, default_value_t = 3, value_name = "N")]
    repeats: usize,
    /// Seed of the mutants and of the executions
    #[arg(long, default_value_t = 7, value_name = "N")]
    seed: u64,
    /// Pages at once; browsers beyond the number of cores only add waiting
    #[arg(long, default_value_t = 2, value_name = "N")]
    slots: usize,
    /// Only pages whose name contains this
    #[arg(long, default_value = "", value_name = "WORDS")]
    only: String,
    /// One JSON object per back-end instead of tables
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Backends {
    Local,
    Docker,
    Both,
}

impl Backends {
    fn list(self) -> &'static [BackendChoice] {
        match self {
            Self::Local => &[BackendChoice::Local],
            Self::Docker => &[BackendChoice::Docker],
            Self::Both => &[BackendChoice::Local, BackendChoice::Docker],
        }
    }
}

/// The score of one back-end.
#[derive(Serialize)]
struct Score {
    backend: &'static str,
    seed: u64,
    faults: Vec<Judged>,
    mutants: Vec<Judged>,
    clean_pages: usize,
    /// Clean pages with a blocking finding.
    false_alarms: Vec<Alarm>,
    /// Clean pages with nothing but advice.
    advised: Vec<Alarm>,
    repeats: usize,
    /// Pages whose reports were not all the same.
    unsteady: Vec<String>,
}

/// One page with a fault and what became of it.
#[derive(Serialize)]
struct Judged {
    name: String,
    row: u8,
    letter: char,
    verdict: &'static str,
    /// What was found instead, where it was not caught.
    found: Vec<String>,
    lines: Vec<u32>,
}

/// A clean page and what was found in it.
#[derive(Serialize)]
struct Alarm {
    name: String,
    found: Vec<String>,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let mut good = true;
    for backend in arguments.backend.list() {
        let config =
            SandboxConfig { backend: *backend, image: "mondo/sandbox".to_owned(), slots: arguments.slots };
        let pool = open(config).await.expect("a sandbox; run scripts/sandbox-image");
        let score = score(&pool, &arguments).await;
        pool.close().await;
        if arguments.json {
            println!("{}", serde_json::to_string(&score).expect("a score is JSON"));
        } else {
            println!("{}", table::of(&score));
        }
        good &= score.is_good();
    }
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

async fn score(pool: &Arc<BrowserPool>, arguments: &Arguments) -> Score {
    let wanted = |name: &str| name.contains(&arguments.only);
    let folder = arguments.pages.clone().unwrap_or_else(corpus::fixtures);
    let clean = corpus::clean(&folder);
    let mut mutants = corpus::mutate::mutants(&clean, arguments.mutants, arguments.seed);
    mutants.retain(|mutant| wanted(&mutant.name));
    let faults: Vec<_> = corpus::faults(&folder).into_iter().filter(|fault| wanted(&fault.name)).collect();
    let clean: Vec<_> = clean.into_iter().filter(|(name, _)| wanted(name)).collect();

    let judged = judge(pool, "faults", &faults, arguments.seed).await;
    let judged_mutants = judge(pool, "mutants", &mutants, arguments.seed).await;
    let sources: Vec<&str> = clean.iter().map(|(_, page)| page.as_str()).collect();
    let reports = execute(pool, "clean pages", &sources, arguments.seed).await;
    let alarms = || clean.iter().zip(&reports).filter(|(_, report)| !report.findings.is_empty());
    let alarm = |((name, _), report): (&(String, String), &Report)| Alarm {
        name: name.clone(),
        found: lines_of(report),
    };
    Score {
        backend: pool.backend(),
        seed: arguments.seed,
        faults: judged,
        mutants: judged_mutants,
        clean_pages: clean.len(),
        false_alarms: alarms().filter(|(_, report)| !report.is_clean()).map(alarm).collect(),
        advised: alarms().filter(|(_, report)| report.is_clean()).map(alarm).collect(),
        repeats: arguments.repeats,
        unsteady: unsteady(pool, &faults, &clean, arguments).await,
    }
}

async fn judge(pool: &Arc<BrowserPool>, what: &str, faults: &[Fault], seed: u64) -> Vec<Judged> {
    let sources: Vec<&str> = faults.iter().map(|fault| fault.page.as_str()).collect();
    let reports = execute(pool, what, &sources, seed).await;
    let judged = faults.iter().zip(&reports).map(|(fault, report)| {
        let verdict = fault.expected.judge(report);
        Judged {
            name: fault.name.clone(),
            row: fault.expected.row,
            letter: fault.expected.letter(),
            verdict: name(verdict),
            found: if verdict == Verdict::Caught { Vec::new() } else { lines_of(report) },
            lines: fault.expected.lines.clone(),
        }
    });
    judged.collect()
}

/// Executes every page, in their order, as many at once as there are slots.
async fn execute(pool: &Arc<BrowserPool>, what: &str, pages: &[&str], seed: u64) -> Vec<Report> {
    let executions = pages.iter().map(|page| async move {
        let execution = Execution::new(*page, seed);
        pool.execute(&execution).await.expect("a sandbox that works")
    });
    let mut reports = stream::iter(executions).buffered(pool.slots());
    let mut done = Vec::new();
    while let Some(report) = reports.next().await {
        done.push(report);
        eprint!("\r{}: {what} {} of {}  ", pool.backend(), done.len(), pages.len());
    }
    eprintln!();
    done
}

/// The pages, of twenty spread over the corpus, whose reports were not all the same.
async fn unsteady(
    pool: &Arc<BrowserPool>,
    faults: &[Fault],
    clean: &[(String, String)],
    arguments: &Arguments,
) -> Vec<String> {
    let faults = faults.iter().map(|fault| (&fault.name, &fault.page));
    let all: Vec<_> = clean.iter().map(|(name, page)| (name, page)).chain(faults).collect();
    let step = all.len().div_ceil(REPEATED_PAGES).max(1);
    let mut unsteady = Vec::new();
    for (name, page) in all.into_iter().step_by(step) {
        let same = vec![page.as_str(); arguments.repeats];
        let reports = execute(pool, &format!("again {name}"), &same, arguments.seed).await;
        let mut hashes: Vec<&str> = reports.iter().map(|report| report.hash.as_str()).collect();
        hashes.sort_unstable();
        hashes.dedup();
        if hashes.len() > 1 {
            unsteady.push(format!("{name}: {} different reports", hashes.len()));
        }
    }
    unsteady
}

fn lines_of(report: &Report) -> Vec<String> {
    report
        .findings
        .iter()
        .map(|finding| {
            let place = finding.line.map_or_else(|| "nowhere".to_owned(), |line| format!("line {line}"));
            let input = finding.input.as_ref().map_or_else(String::new, |input| format!(", after {input}"));
            let (class, severity) =
                (finding.class.name(), if finding.is_blocking() { "" } else { " advice" });
            format!("{class}{severity} at {place}, {}{input}: {}", finding.phase, finding.message)
        })
        .collect()
}

fn name(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Caught => "caught",
        Verdict::WrongLine => "wrong line",
        Verdict::WrongInput => "wrong input",
        Verdict::WrongClass => "wrong class",
        Verdict::Missed => "missed",
    }
}

impl Score {
    /// Every planted fault caught, hardly a false alarm, and the same each time. Mutants are shown, not required:
    /// some change nothing that can be seen.
    fn is_good(&self) -> bool {
        self.faults.iter().all(Judged::is_caught)
            && self.false_alarm_share() <= FALSE_ALARMS_MAX
            && self.unsteady.is_empty()
    }

    fn false_alarm_share(&self) -> f64 {
        let count = |number: usize| u32::try_from(number).map_or(f64::INFINITY, f64::from);
        count(self.false_alarms.len()) / count(self.clean_pages.max(1))
    }
}

impl Judged {
    fn is_caught(&self) -> bool {
        self.verdict == name(Verdict::Caught)
    }
}
