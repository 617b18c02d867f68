//! `mondo bench`: what this machine does, beside what it is compared with.

use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::{bench_queue, bench_sandbox};
use crate::config::Config;

/// Arguments of `mondo bench`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  mondo bench queue
  mondo bench queue --big
  mondo bench sandbox --json")]
pub(super) struct BenchArgs {
    #[command(subcommand)]
    command: BenchCommand,
}

#[derive(Debug, Subcommand)]
enum BenchCommand {
    /// The queue, on a private Redis
    Queue {
        /// One JSON object for programs
        #[arg(long)]
        json: bool,
        /// Also 100,000 jobs due at once, 50,000 of a worker that is gone, and 1,000,000 waiting (about a gigabyte)
        #[arg(long)]
        big: bool,
    },
    /// The sandbox
    Sandbox {
        /// One JSON object for programs
        #[arg(long)]
        json: bool,
    },
}

pub(super) async fn run(args: BenchArgs, config: Config) -> anyhow::Result<ExitCode> {
    match args.command {
        BenchCommand::Queue { json, big } => bench_queue::run(json, big).await?,
        BenchCommand::Sandbox { json } => bench_sandbox::run(json, config.sandbox).await?,
    }
    Ok(ExitCode::SUCCESS)
}
