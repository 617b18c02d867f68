//! `mondo pairs`: pairs under way, what became of one, and calling some off.

use std::process::ExitCode;

use anyhow::bail;
use clap::{Args, Subcommand};
use mondo_jobs::{
    clock::now_ms,
    pair::{Head, PairId, StepRecord},
    queue::{Cancelled, OpenPair, Queue, STATE_FIELD},
    record::{self, Fields},
};
use serde::Serialize;

use super::{BAD, output, span, stats::dollars};
use crate::{config::Config, engine::configured_queue};

/// Arguments of `mondo pairs`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  mondo pairs ls
  mondo pairs show 0191…
  mondo pairs cancel 0191… 0192… --reason 'not wanted any more'")]
pub(super) struct PairsArgs {
    #[command(subcommand)]
    command: PairsCommand,
}

#[derive(Debug, Subcommand)]
enum PairsCommand {
    /// List pairs under way, oldest first
    Ls {
        /// How many at most
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=500))]
        limit: u16,
        /// A JSON array for programs
        #[arg(long)]
        json: bool,
    },
    /// Show what became of one pair so far, whatever its state
    Show {
        /// The pair's id
        pair: PairId,
        /// One JSON object for programs
        #[arg(long)]
        json: bool,
    },
    /// Call pairs off: they end as rejected, also when they are ready; their runs are cancelled within seconds
    #[command(after_help = "Exit code: 0 when all are called off, 1 when one of them could not be.")]
    Cancel {
        /// The pairs' ids
        #[arg(required = true)]
        pairs: Vec<PairId>,
        /// Why, for whoever looks at a pair afterwards
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
}

/// A pair under way, as far as its finished steps tell.
#[derive(Debug, Serialize)]
struct Line {
    pair: PairId,
    since_ms: u64,
    steps: usize,
    last_step: Option<&'static str>,
    last_at_ms: Option<u64>,
    cost_micro_usd: u64,
}

/// One pair, without its pages.
#[derive(Debug, Serialize)]
struct Shown {
    pair: PairId,
    state: String,
    reason: Option<String>,
    head: Head,
    history: Vec<StepRecord>,
}

pub(super) async fn run(args: PairsArgs, config: &Config) -> anyhow::Result<ExitCode> {
    let queue = configured_queue(config).await?;
    match args.command {
        PairsCommand::Ls { limit, json } => list(&queue, usize::from(limit), json).await,
        PairsCommand::Show { pair, json } => show(&queue, pair, json).await,
        PairsCommand::Cancel { pairs, reason } => cancel(&queue, &pairs, &reason).await,
    }
}

async fn list(queue: &Queue, limit: usize, json: bool) -> anyhow::Result<ExitCode> {
    let lines: Vec<Line> = queue.open_pairs(limit).await?.iter().map(Line::of).collect();
    if json {
        output::json(&lines)?;
        return Ok(ExitCode::SUCCESS);
    }
    if lines.is_empty() {
        output::note("no pair is under way");
        return Ok(ExitCode::SUCCESS);
    }
    let mut table = output::table(&["pair", "age", "steps done", "last", "cost"]);
    let age = |since_ms: u64| span::of_ms(now_ms().saturating_sub(since_ms));
    for line in &lines {
        let last = line.last_step.zip(line.last_at_ms);
        table.add_row([
            line.pair.to_string(),
            age(line.since_ms),
            line.steps.to_string(),
            last.map_or_else(String::new, |(step, at_ms)| format!("{step}, {} ago", age(at_ms))),
            dollars(i64::try_from(line.cost_micro_usd).unwrap_or(i64::MAX)),
        ]);
    }
    output::data(&table.to_string())?;
    if lines.len() == limit {
        output::note("there may be more; see --limit");
    }
    Ok(ExitCode::SUCCESS)
}

impl Line {
    fn of(open: &OpenPair) -> Self {
        // What does not decode was written by a newer release; the rest is told all the same.
        let done = open.done.iter().filter_map(|done| serde_json::from_slice::<StepRecord>(done).ok());
        let done: Vec<StepRecord> = done.collect();
        let last = done.iter().max_by_key(|record| record.at_ms);
        Self {
            pair: open.pair,
            since_ms: open.since_ms,
            steps: open.done.len(),
            last_step: last.map(|record| record.step.name()),
            last_at_ms: last.map(|record| record.at_ms),
            cost_micro_usd: done.iter().map(|record| record.cost_micro_usd).sum(),
        }
    }
}

async fn show(queue: &Queue, pair: PairId, json: bool) -> anyhow::Result<ExitCode> {
    let fields = queue.record(pair).await?;
    if fields.is_empty() {
        bail!("no pair `{pair}`: it never was, or its record is not kept any more");
    }
    let shown = Shown::of(pair, fields)?;
    if json {
        output::json(&shown)?;
    } else {
        output::data(for_people(&shown).trim_end())?;
    }
    Ok(ExitCode::SUCCESS)
}

impl Shown {
    fn of(pair: PairId, fields: Fields) -> anyhow::Result<Self> {
        let text = |name: &str| fields.get(name).map(|value| String::from_utf8_lossy(value).into_owned());
        let (state, reason) = (text(STATE_FIELD).unwrap_or_default(), text("reason"));
        let draft = record::decode(pair, fields)?;
        Ok(Self { pair, state, reason, head: draft.head, history: draft.history })
    }
}

fn for_people(shown: &Shown) -> String {
    let Shown { pair, state, reason, head, history } = shown;
    let mut table = output::table(&["step", "round", "took", "calls", "cost"]);
    for done in history {
        table.add_row([
            done.step.name().to_owned(),
            done.round.to_string(),
            span::of_ms(done.duration_ms),
            done.llm_calls.to_string(),
            dollars(i64::try_from(done.cost_micro_usd).unwrap_or(i64::MAX)),
        ]);
    }
    let reason = reason.as_ref().map_or_else(String::new, |reason| format!("\nreason    {reason}"));
    let objects = if head.objects.is_empty() { "not chosen yet".to_owned() } else { head.objects.join(", ") };
    let age = span::of_ms(now_ms().saturating_sub(head.created_ms));
    format!(
        "pair      {pair}\nstate     {state}{reason}\nstarted   {age} ago\nobjects   {objects}\n\n{table}"
    )
}

async fn cancel(queue: &Queue, pairs: &[PairId], reason: &str) -> anyhow::Result<ExitCode> {
    let mut all = true;
    for pair in pairs {
        let (done, said) = match queue.cancel(*pair, reason).await? {
            Cancelled::UnderWay => (true, "cancelled; its runs end when their leases are next renewed"),
            Cancelled::Ready => (true, "withdrawn; it was ready, and nobody gets it any more"),
            Cancelled::BeingTaken => (false, "is being handed to a consumer; too late, unless it comes back"),
            Cancelled::Unknown => (false, "has ended already, or never was; `mondo pairs show` may tell"),
        };
        all &= done;
        output::note(&format!("{pair}  {said}"));
    }
    Ok(if all { ExitCode::SUCCESS } else { ExitCode::from(BAD) })
}
