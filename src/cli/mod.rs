//! The command line. Each command is one file; this one lists them and turns errors into exit codes:
//! 0 done, 1 done with a bad result (findings, dead letters, violations), 2 could not do it.

mod api;
mod bench;
mod bench_queue;
mod bench_sandbox;
mod check;
mod dead;
mod doctor;
mod jobs;
mod make;
mod order;
mod output;
mod pairs;
mod pause;
mod progress;
mod sandbox;
mod show;
mod span;
mod stats;
mod up;
mod worker;

use std::{io::IsTerminal as _, process::ExitCode};

use clap::{Parser, Subcommand};
use mondo_jobs::{env::Env, queue::QueueError};
use mondo_workers::notes;
use tokio_util::sync::CancellationToken;

use crate::{config::Config, telemetry};

/// Exit code of a command that ran and found something bad.
const BAD: u8 = 1;
/// Exit code of a command that could not run.
const COULD_NOT: u8 = 2;

/// Makes verified coding question-and-answer pairs and serves them.
///
/// Settings are environment variables; `.env.example` lists them all.
#[derive(Debug, Parser)]
#[command(version, propagate_version = true, disable_help_subcommand = true)]
#[command(after_help = "Examples:
  mondo up                               run everything here, with a private Redis
  mondo make 3 --out pairs.jsonl         make three pairs and exit
  mondo check page.html                  run one page in the sandbox and print what is wrong with it
  REDIS_URL=redis://… mondo worker       run jobs only
  REDIS_URL=redis://… mondo dead ls      what could not be done, and why")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run everything here: Redis where none is configured, workers for all steps, HTTP API
    Up(up::UpArgs),
    /// Make N verified pairs on a private Redis and exit
    Make(make::MakeArgs),
    /// Serve the HTTP API
    #[command(after_help = "Examples:
  REDIS_URL=redis://localhost mondo api
  MONDO_LISTEN=0.0.0.0:5003 REDIS_URL=redis://localhost mondo api")]
    Api,
    /// Run jobs
    Worker(worker::WorkerArgs),
    /// Execute pages of workers elsewhere
    #[command(after_help = "Examples:
  MONDO_SANDBOX_TOKEN=… mondo sandbox
  MONDO_SANDBOX_TOKEN=… MONDO_LISTEN=0.0.0.0:5003 MONDO_SANDBOX=local mondo sandbox

Workers with MONDO_SANDBOX=remote, MONDO_SANDBOX_ENDPOINTS=http://HOST:5003 and the same token send their pages here.")]
    Sandbox,
    /// Run pages in the sandbox and print what is wrong with them
    Check(check::CheckArgs),
    /// Order pairs on top of what is kept in stock
    Order(order::OrderArgs),
    /// Look at pairs, and call some off
    Pairs(pairs::PairsArgs),
    /// Look at running jobs
    Jobs(jobs::JobsArgs),
    /// Hold a step or a responder up, with a reason
    Pause(pause::PauseArgs),
    /// Let a paused step or responder go on
    Resume(pause::ResumeArgs),
    /// Show what is where
    Stats(stats::StatsArgs),
    /// Look at dead letters and put them back
    Dead(dead::DeadArgs),
    /// Check the queue's invariants
    Doctor(doctor::DoctorArgs),
    /// Measure this machine
    Bench(bench::BenchArgs),
}

/// Parses the arguments, runs the command, and says how it went.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let mut config = match Config::from_env(Env::of_process()) {
        Ok(config) => config,
        Err(error) => {
            output::note(&format!("error: {error}"));
            return ExitCode::from(COULD_NOT);
        }
    };
    if cli.command.says_itself() {
        // Warnings and errors alone are logged beside it, unless a setting asks for more.
        config.log.filter.get_or_insert_with(|| "warn".to_owned());
    }
    telemetry::start(&config.log, notes::layer());
    let result = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(anyhow::Error::from)
        .and_then(|runtime| runtime.block_on(cli.command.run(config)));
    match result {
        Ok(code) => code,
        Err(error) if is_closed_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            output::note(&format!("error: {}", chain(&error)));
            if let Some(remedy) = remedy(&error) {
                output::note(&format!("    remedy: {remedy}"));
            }
            ExitCode::from(COULD_NOT)
        }
    }
}

impl Command {
    /// Whether the command tells people itself what happens; the others leave that to the log.
    fn says_itself(&self) -> bool {
        match self {
            Self::Up(_) => std::io::stderr().is_terminal(),
            Self::Api | Self::Worker(_) | Self::Sandbox => false,
            Self::Make(_)
            | Self::Check(_)
            | Self::Order(_)
            | Self::Pairs(_)
            | Self::Jobs(_)
            | Self::Pause(_)
            | Self::Resume(_)
            | Self::Stats(_)
            | Self::Dead(_)
            | Self::Doctor(_)
            | Self::Bench(_) => true,
        }
    }

    async fn run(self, config: Config) -> anyhow::Result<ExitCode> {
        match self {
            Self::Up(args) => up::run(args, config).await,
            Self::Make(args) => make::run(args, config).await,
            Self::Api => api::run(config).await,
            Self::Worker(args) => worker::run(args, config).await,
            Self::Sandbox => sandbox::run(config).await,
            Self::Check(args) => check::run(args, config.sandbox).await,
            Self::Order(args) => order::run(args, &config).await,
            Self::Pairs(args) => pairs::run(args, &config).await,
            Self::Jobs(args) => jobs::run(args, &config).await,
            Self::Pause(args) => pause::pause(args, &config).await,
            Self::Resume(args) => pause::resume(args, &config).await,
            Self::Stats(args) => stats::run(args, &config).await,
            Self::Dead(args) => dead::run(args, &config).await,
            Self::Doctor(args) => doctor::run(args, &config).await,
            Self::Bench(args) => bench::run(args, config).await,
        }
    }
}

/// A token that is cancelled by the first SIGINT or SIGTERM; the second one ends the process at once.
fn stop_signal() -> anyhow::Result<CancellationToken> {
    use tokio::signal::unix::{SignalKind, signal};

    let stop = CancellationToken::new();
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let told = stop.clone();
    #[expect(clippy::disallowed_methods, reason = "lives as long as the process and holds nothing")]
    tokio::spawn(async move {
        tokio::select! { _ = interrupt.recv() => {}, _ = terminate.recv() => {} }
        told.cancel();
        tokio::select! { _ = interrupt.recv() => {}, _ = terminate.recv() => {} }
        #[expect(clippy::exit, reason = "the operator asked twice")]
        std::process::exit(130);
    });
    Ok(stop)
}

/// An error and its causes in one line, each said once.
fn chain(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if !text.contains(&cause) {
            if !text.is_empty() {
                text.push_str(": ");
            }
            text.push_str(&cause);
        }
    }
    text
}

/// What can be done where Redis refuses.
fn remedy(error: &anyhow::Error) -> Option<&'static str> {
    error.chain().find_map(|cause| cause.downcast_ref::<QueueError>()?.remedy())
}

fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<std::io::Error>())
        .any(|cause| cause.kind() == std::io::ErrorKind::BrokenPipe)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_chain_says_each_cause_once() {
        let error = anyhow::anyhow!("refused").context("redis: refused").context("cannot start");
        assert_eq!(chain(&error), "cannot start: redis: refused");
    }
}
