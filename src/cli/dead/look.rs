//! `mondo dead ls` and `mondo dead show`.

use std::{fmt::Write as _, process::ExitCode};

use anyhow::Context as _;
use clap::Args;
use mondo_jobs::{
    edit::{self, Edit},
    queue::{DeadFilter, DeadLetter, Queue},
};
use serde::Serialize;

use super::{
    Filter, age,
    groups::{Groups, message},
};
use crate::cli::output;

/// Arguments of `mondo dead ls`.
#[derive(Debug, Args)]
#[command(
    after_help = "Letters are of one cause when step, class and errors agree, whatever ids, numbers, paths
and times the errors name.

Examples:
  mondo dead ls
  mondo dead ls --newer-than 1h --class timeout
  mondo dead ls --all --fingerprint 1f0c33a9"
)]
pub(super) struct LsArgs {
    #[command(flatten)]
    filter: Filter,
    /// Every letter in a line of its own, oldest first
    #[arg(long)]
    all: bool,
    /// For programs: an array of causes, or with --all one object per line for each letter
    #[arg(long)]
    json: bool,
}

/// Arguments of `mondo dead show`.
#[derive(Debug, Args)]
pub(super) struct ShowArgs {
    /// The job's id, as `ls` prints it
    job: String,
    /// One JSON object for programs
    #[arg(long)]
    json: bool,
}

/// A letter, and what was changed by hand in its pair.
#[derive(Serialize)]
struct Shown {
    #[serde(flatten)]
    letter: DeadLetter,
    edits: Vec<Edit>,
}

pub(super) async fn ls(queue: &Queue, args: LsArgs) -> anyhow::Result<ExitCode> {
    let now_ms = queue.now_ms().await?;
    let filter = args.filter.at(now_ms, Vec::new());
    if args.all {
        return all(queue, filter, now_ms, args.json).await;
    }
    let groups = Groups::of(queue, filter).await?;
    groups.print(now_ms, args.json)?;
    if !args.json {
        let said = if groups.count() == 0 { "no dead letters".to_owned() } else { groups.summary() };
        output::note(&said);
    }
    Ok(ExitCode::SUCCESS)
}

/// One line at a time, so that a million letters need no more memory than one.
async fn all(queue: &Queue, filter: DeadFilter, now_ms: u64, json: bool) -> anyhow::Result<ExitCode> {
    let mut pages = queue.dead_pages(filter);
    while let Some(page) = pages.next().await? {
        for letter in page.letters {
            output::data(&if json { serde_json::to_string(&letter)? } else { line(&letter, now_ms) })?;
        }
        for error in page.unreadable {
            output::note(&error.to_string());
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn line(letter: &DeadLetter, now_ms: u64) -> String {
    let age = age(now_ms.saturating_sub(letter.at_ms));
    let DeadLetter { fingerprint, class, job, .. } = letter;
    let message: String = message(letter).chars().take(160).collect();
    format!("{fingerprint}  {age:>7}  {class:<14}  {job}  {message}")
}

pub(super) async fn show(queue: &Queue, args: ShowArgs) -> anyhow::Result<ExitCode> {
    let letter = queue
        .dead_letter(&args.job)
        .await?
        .with_context(|| format!("no dead letter `{}`; `mondo dead ls --all` lists them", args.job))?;
    let edits = match letter.pair {
        Some(pair) => edit::edits(queue, pair).await?,
        None => Vec::new(),
    };
    let shown = Shown { letter, edits };
    if args.json {
        output::json(&shown)?;
    } else {
        output::data(&for_people(&shown, queue.now_ms().await?))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn for_people(shown: &Shown, now_ms: u64) -> String {
    let DeadLetter {
        job,
        step,
        envelope,
        attempts,
        crashes,
        class,
        fingerprint,
        chain,
        model,
        log,
        at_ms,
        ..
    } = &shown.letter;
    let ago = |at_ms: u64| age(now_ms.saturating_sub(at_ms));
    let mut text = format!("job       {job}\nstep      {step}\ncause     {fingerprint}\nclass     {class}\n");
    if let Some(pair) = shown.letter.pair {
        let _ = writeln!(text, "pair      {pair}");
    }
    if let Some(model) = model {
        let _ = writeln!(text, "model     {model}");
    }
    let _ = writeln!(
        text,
        "died      {} ago, after {attempts} failed attempts and {crashes} crashes",
        ago(*at_ms)
    );
    let _ = writeln!(text, "envelope  {envelope}");
    let _ = writeln!(text, "error     {}", chain.join("\n  caused by "));
    for line in log {
        let _ = writeln!(text, "log       {line}");
    }
    for Edit { job, what, old, new, by, reason, at_ms } in &shown.edits {
        let _ = writeln!(
            text,
            "edit      {} ago by {by}, of {job}: {reason}\n  {} was  {old}\n  {} is   {new}",
            ago(*at_ms),
            what.name(),
            what.name()
        );
    }
    text.truncate(text.trim_end().len());
    text
}
