//! `mondo dead`: jobs that will not be run again by themselves.

use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use mondo_jobs::{
    clock::now_ms,
    job::Step,
    queue::{DeadFilter, DeadLetter, Queue},
};

use super::{BAD, output};
use crate::{config::Config, engine::configured_queue};

/// How many dead letters one command looks at.
const LETTERS_MAX: usize = 10_000;

/// Arguments of `mondo dead`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  mondo dead ls --class timeout
  mondo dead show 0191…/base/answer/0
  mondo dead replay --step answer --dry-run
  mondo dead replay --step answer
  mondo dead discard 0191…/base/answer/0")]
pub(super) struct DeadArgs {
    #[command(subcommand)]
    command: DeadCommand,
}

#[derive(Debug, Subcommand)]
enum DeadCommand {
    /// List dead letters, oldest first
    Ls {
        #[command(flatten)]
        filter: Filter,
        /// A JSON array for programs
        #[arg(long)]
        json: bool,
    },
    /// Show one dead letter whole
    Show {
        /// The job's id, as `ls` prints it
        job: String,
        /// One JSON object for programs
        #[arg(long)]
        json: bool,
    },
    /// Put dead letters back into their streams, with fresh attempts
    Replay {
        /// The job's id; without one, all that the filters choose
        job: Option<String>,
        #[command(flatten)]
        filter: Filter,
        /// Only say what would be put back
        #[arg(long)]
        dry_run: bool,
    },
    /// Give up on one dead letter: its pair is rejected, and its place is free for another
    Discard {
        /// The job's id, as `ls` prints it
        job: String,
    },
}

#[derive(Debug, Args)]
struct Filter {
    /// Only of this step
    #[arg(long)]
    step: Option<Step>,
    /// Only of this error class
    #[arg(long)]
    class: Option<String>,
}

impl Filter {
    fn with_job(self, job: Option<String>) -> DeadFilter {
        DeadFilter { step: self.step, class: self.class, job }
    }
}

pub(super) async fn run(args: DeadArgs, config: &Config) -> anyhow::Result<ExitCode> {
    let queue = configured_queue(config).await?;
    match args.command {
        DeadCommand::Ls { filter, json } => list(&queue, &filter.with_job(None), json).await,
        DeadCommand::Show { job, json } => show(&queue, job, json).await,
        DeadCommand::Replay { job, filter, dry_run } => replay(&queue, &filter.with_job(job), dry_run).await,
        DeadCommand::Discard { job } => discard(&queue, &job).await,
    }
}

async fn list(queue: &Queue, filter: &DeadFilter, json: bool) -> anyhow::Result<ExitCode> {
    let letters = queue.dead(filter, LETTERS_MAX).await?;
    if json {
        output::json(&letters)?;
        return Ok(ExitCode::SUCCESS);
    }
    if letters.is_empty() {
        output::note("no dead letters");
        return Ok(ExitCode::SUCCESS);
    }
    let mut table = output::table(&["job", "class", "age", "tries", "error"]);
    for letter in &letters {
        let error = letter.chain.first().map_or("", String::as_str);
        table.add_row([
            letter.job.clone(),
            letter.class.clone(),
            age(now_ms().saturating_sub(letter.at_ms)),
            (letter.attempts + letter.crashes).to_string(),
            error.chars().take(80).collect(),
        ]);
    }
    output::data(&table.to_string())?;
    Ok(ExitCode::SUCCESS)
}

async fn show(queue: &Queue, job: String, json: bool) -> anyhow::Result<ExitCode> {
    let filter = DeadFilter { job: Some(job.clone()), ..DeadFilter::default() };
    let letter = queue
        .dead(&filter, 1)
        .await?
        .pop()
        .with_context(|| format!("no dead letter `{job}`; `mondo dead ls` lists them"))?;
    if json {
        output::json(&letter)?;
    } else {
        output::data(&for_people(&letter))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn for_people(letter: &DeadLetter) -> String {
    let DeadLetter { job, step, envelope, attempts, crashes, class, chain, at_ms, .. } = letter;
    let age = age(now_ms().saturating_sub(*at_ms));
    format!(
        "job       {job}\nstep      {step}\nclass     {class}\ndied      {age} ago, after {attempts} failed attempts \
         and {crashes} crashes\nenvelope  {envelope}\nerror     {}",
        chain.join("\n  caused by ")
    )
}

async fn replay(queue: &Queue, filter: &DeadFilter, dry_run: bool) -> anyhow::Result<ExitCode> {
    let letters = queue.dead(filter, LETTERS_MAX).await?;
    if letters.is_empty() {
        output::note("no dead letter fits");
        return Ok(ExitCode::from(BAD));
    }
    let mut replayed = 0;
    for letter in &letters {
        if dry_run || queue.replay(&letter.job).await? {
            replayed += 1;
            output::data(&letter.job)?;
        }
    }
    let verb = if dry_run { "would be put back" } else { "put back" };
    output::note(&format!("{replayed} {verb}"));
    Ok(ExitCode::SUCCESS)
}

async fn discard(queue: &Queue, job: &str) -> anyhow::Result<ExitCode> {
    if !queue.discard(job).await? {
        bail!("no dead letter `{job}`; `mondo dead ls` lists them");
    }
    output::note("given up; its pair is rejected");
    Ok(ExitCode::SUCCESS)
}

/// A span of time for people, in its largest unit.
fn age(ms: u64) -> String {
    match ms / 1000 {
        seconds @ 0..120 => format!("{seconds} s"),
        seconds @ 120..7200 => format!("{} min", seconds / 60),
        seconds @ 7200..172_800 => format!("{} h", seconds / 3600),
        seconds => format!("{} d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_shown_in_their_largest_unit() {
        let cases =
            [(0, "0 s"), (119_999, "119 s"), (120_000, "2 min"), (7_200_000, "2 h"), (172_800_000, "2 d")];
        for (ms, shown) in cases {
            assert_eq!(age(ms), shown);
        }
    }
}
