//! `mondo jobs`: what runs where.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use mondo_jobs::clock::now_ms;

use super::{output, span};
use crate::{config::Config, engine::configured_queue};

/// Arguments of `mondo jobs`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  mondo jobs ls
  mondo jobs ls --json | jq -r '.[] | select(.silent_ms > 15000) | .job'")]
pub(super) struct JobsArgs {
    #[command(subcommand)]
    command: JobsCommand,
}

#[derive(Debug, Subcommand)]
enum JobsCommand {
    /// List the jobs that workers have claimed
    Ls {
        /// How many at most
        #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u16).range(1..=5000))]
        limit: u16,
        /// A JSON array for programs
        #[arg(long)]
        json: bool,
    },
}

pub(super) async fn run(args: JobsArgs, config: &Config) -> anyhow::Result<ExitCode> {
    let JobsCommand::Ls { limit, json } = args.command;
    let jobs = configured_queue(config).await?.running_jobs(usize::from(limit)).await?;
    if json {
        output::json(&jobs)?;
        return Ok(ExitCode::SUCCESS);
    }
    if jobs.is_empty() {
        output::note("no job is running; `mondo stats` shows what waits");
        return Ok(ExitCode::SUCCESS);
    }
    let mut table = output::table(&["job", "priority", "added", "renewed", "tries", "worker"]);
    for job in &jobs {
        table.add_row([
            job.job.clone(),
            job.priority.name().to_owned(),
            format!("{} ago", span::of_ms(now_ms().saturating_sub(job.added_ms))),
            format!("{} ago", span::of_ms(job.silent_ms)),
            job.attempts.to_string(),
            job.worker.clone(),
        ]);
    }
    output::data(&table.to_string())?;
    if jobs.len() == usize::from(limit) {
        output::note("there may be more; see --limit");
    }
    Ok(ExitCode::SUCCESS)
}
