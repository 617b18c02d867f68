//! Whether the promises hold while everything breaks: workers are killed and stopped, Redis is restarted, links are
//! cut, stalled and made to lose replies; afterwards every pair and every paid call is accounted for.
//!
//! Real are Redis, the queue and its scripts, the worker backend, the runner with all steps, the journal, the
//! provider's client and the API. The responder is an HTTP server that keeps the books of what it was paid for; the
//! browser is a pause, so that a thousand kills fit into half an hour.
//!
//! `scripts/chaos` runs it for as long as you like. The test runner gets a short run with a fixed seed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test ends by panicking")]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program for people")]

mod books;
mod check;
mod controller;
mod dice;
mod faults;
mod history;
mod process;
#[path = "../it/support/proxy.rs"]
#[expect(dead_code, reason = "the tests of single faults use more of it")]
mod proxy;
mod report;
mod responder;
mod worker;

use std::{process::ExitCode, time::Duration};

use clap::Parser;

/// The name by which the test runner knows the short run.
const SHORT_RUN: &str = "a_short_chaos_run_keeps_every_promise";

/// Breaks workers, Redis and links under load, and checks that nothing was lost, doubled or paid twice.
#[derive(Debug, Clone, Parser)]
#[command(
    name = "scripts/chaos",
    after_help = "Exit code 1 when a promise was broken, 2 for a wrong argument.
Examples:
  scripts/chaos --kills 100
  scripts/chaos --kills 1000 --seed 7        half an hour"
)]
pub(crate) struct Plan {
    /// How many workers are killed with SIGKILL
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) kills: u32,
    /// Decides who is hit, when and how; chosen by the clock without it
    #[arg(long)]
    pub(crate) seed: Option<u64>,
    /// Stops breaking after so long, even if kills are left
    #[arg(long)]
    pub(crate) minutes: Option<u64>,
    /// How many worker processes
    #[arg(long, default_value_t = 6, value_parser = clap::value_parser!(u8).range(2..=32))]
    pub(crate) workers: u8,
    /// The lease of a job, seconds; without it what a real worker has
    #[arg(long, value_parser = clap::value_parser!(u64).range(3..=3600))]
    pub(crate) lease_secs: Option<u64>,
    /// Milliseconds between two kills, on average
    #[arg(long, default_value_t = 1500)]
    pub(crate) period_ms: u64,
    /// Where histories and logs are kept; a temporary directory that is removed after a good run without it
    #[arg(long)]
    pub(crate) dir: Option<std::path::PathBuf>,
    /// One JSON object on stdout
    #[arg(long)]
    pub(crate) json: bool,
}

fn main() -> ExitCode {
    let mut arguments: Vec<String> = std::env::args().collect();
    match arguments.get(1).map(String::as_str) {
        Some("worker") => runtime().block_on(worker::run(&worker::Settings::from_text(&arguments[2]))),
        Some("alone") => runtime().block_on(worker::run_alone(&worker::Settings::from_text(&arguments[2]))),
        Some("run") => {
            arguments.remove(1);
            runtime().block_on(controller::run(Plan::parse_from(arguments)))
        }
        _ => as_a_test(&arguments[1..]),
    }
}

/// Answers the test runner as the standard harness would.
fn as_a_test(arguments: &[String]) -> ExitCode {
    let has = |name: &str| arguments.iter().any(|argument| argument == name);
    let filters: Vec<&String> = arguments.iter().filter(|argument| !argument.starts_with('-')).collect();
    let wanted = filters.is_empty() || filters.iter().any(|filter| SHORT_RUN.contains(filter.as_str()));
    if has("--list") {
        if !has("--ignored") {
            println!("{SHORT_RUN}: test");
        }
        return ExitCode::SUCCESS;
    }
    if !wanted || has("--skip") {
        return ExitCode::SUCCESS;
    }
    let plan = Plan {
        kills: 8,
        seed: Some(20),
        minutes: Some(2),
        workers: 3,
        lease_secs: Some(3),
        period_ms: 2000,
        dir: None,
        json: false,
    };
    runtime().block_on(controller::run(plan))
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime")
}

/// Microseconds since the Unix epoch: one clock for all processes of a run.
pub(crate) fn now_us() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or(Duration::ZERO);
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}
