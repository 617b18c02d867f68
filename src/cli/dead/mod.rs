//! `mondo dead`: jobs that will not be run again by themselves.

mod edit;
mod groups;
mod look;
mod replay;
mod watch;

use std::{process::ExitCode, time::Duration};

use anyhow::bail;
use clap::{Args, Subcommand};
use mondo_jobs::{
    job::Step,
    queue::{DeadFilter, Queue},
};

use super::{
    output,
    span::{of_ms as age, parse as duration},
};
use crate::{config::Config, engine::configured_queue};

/// Arguments of `mondo dead`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  mondo dead ls                                     what died, by cause
  mondo dead ls --all --step answer                 every letter of a step
  mondo dead show 0191…/base/answer/0               one letter whole
  mondo dead replay --fingerprint 1f0c33a9 --dry-run
  mondo dead replay --fingerprint 1f0c33a9
  mondo dead edit 0191…/base/answer/0 --set question=@new.txt --reason 'refused'
  mondo dead discard 0191…/base/answer/0")]
pub(super) struct DeadArgs {
    #[command(subcommand)]
    command: DeadCommand,
}

#[derive(Debug, Subcommand)]
enum DeadCommand {
    /// List dead letters by cause, the most frequent first
    Ls(look::LsArgs),
    /// Show one dead letter whole, with its log and its edits
    Show(look::ShowArgs),
    /// Put dead letters back into their streams, with fresh attempts
    Replay(replay::ReplayArgs),
    /// Change what a dead letter's job will find when it is put back
    Edit(edit::EditArgs),
    /// Give up on one dead letter: its pair is rejected, and its place is free for another
    Discard {
        /// The job's id, as `ls` prints it
        job: String,
    },
}

/// Which letters are meant. Several filters together must all fit.
#[derive(Debug, Args)]
struct Filter {
    /// Only of this step: objects, question, answer, execute, fix, solve
    #[arg(long)]
    step: Option<Step>,
    /// Only of this error class, such as timeout, refused or crashed
    #[arg(long)]
    class: Option<String>,
    /// Only of this cause: the eight digits that `dead ls` prints first
    #[arg(long, value_name = "DIGITS")]
    fingerprint: Option<String>,
    /// Only of runs that asked this provider and model, such as openrouter/qwen/qwen3-coder
    #[arg(long)]
    model: Option<String>,
    /// Only with this text in an error, in capitals or small letters
    #[arg(long)]
    text: Option<String>,
    /// Only those that died longer ago than this: 90s, 30m, 12h, 2d
    #[arg(long, value_name = "AGE", value_parser = duration)]
    older_than: Option<Duration>,
    /// Only those that died within this time: 90s, 30m, 12h, 2d
    #[arg(long, value_name = "AGE", value_parser = duration)]
    newer_than: Option<Duration>,
}

impl Filter {
    /// Ages are counted back from `now_ms`, by Redis's clock.
    fn at(self, now_ms: u64, jobs: Vec<String>) -> DeadFilter {
        let ago = |age: Duration| now_ms.saturating_sub(u64::try_from(age.as_millis()).unwrap_or(u64::MAX));
        DeadFilter {
            jobs,
            step: self.step,
            class: self.class,
            fingerprint: self.fingerprint,
            model: self.model,
            text: self.text,
            died_from_ms: self.newer_than.map(ago),
            died_before_ms: self.older_than.map(ago),
        }
    }
}

pub(super) async fn run(args: DeadArgs, config: &Config) -> anyhow::Result<ExitCode> {
    let queue = configured_queue(config).await?;
    match args.command {
        DeadCommand::Ls(args) => look::ls(&queue, args).await,
        DeadCommand::Show(args) => look::show(&queue, args).await,
        DeadCommand::Replay(args) => replay::run(&queue, args).await,
        DeadCommand::Edit(args) => edit::run(&queue, args).await,
        DeadCommand::Discard { job } => discard(&queue, &job).await,
    }
}

async fn discard(queue: &Queue, job: &str) -> anyhow::Result<ExitCode> {
    if !queue.discard(job).await? {
        bail!("no dead letter `{job}`; `mondo dead ls --all` lists them");
    }
    output::note("given up; its pair is rejected");
    Ok(ExitCode::SUCCESS)
}
