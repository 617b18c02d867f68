//! `mondo order`: so many pairs more than the marks ask for.

use std::{fmt::Write as _, process::ExitCode};

use clap::{Args, ValueEnum};
use mondo_jobs::{
    clock::now_ms,
    pair::PairId,
    queue::{Admission, Bound, NewPair, Priority, Queue},
    record,
};
use serde::Serialize;

use super::{BAD, output};
use crate::{config::Config, engine::configured_queue};

/// How many pairs go to the queue in one call.
const BATCH: usize = 500;

/// Arguments of `mondo order`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  mondo order 10
  mondo order 3 --priority high
  mondo order 1000 --key nightly-2026-05-01     may be repeated until all are accepted

Pairs that are ordered come on top of what MONDO_READY_LOW and MONDO_READY_HIGH keep in stock. With a key, the same
order names the same pairs: repeating it starts only those that were refused before, for as long as the records of
the others are kept. Exit code: 0 when all pairs are under way or done, 1 when some were refused.")]
pub(super) struct OrderArgs {
    /// How many pairs
    #[arg(value_parser = clap::value_parser!(u64).range(1..=1_000_000), value_name = "N")]
    count: u64,
    /// Whose jobs go first while both wait; one job in five is of normal priority all the same
    #[arg(long, value_enum, default_value = "normal")]
    priority: Which,
    /// A name for this order, 1 to 256 characters, so that it can be repeated
    #[arg(long, value_parser = key)]
    key: Option<String>,
    /// One JSON object for programs
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Which {
    Normal,
    High,
}

impl From<Which> for Priority {
    fn from(which: Which) -> Self {
        match which {
            Which::Normal => Self::Normal,
            Which::High => Self::High,
        }
    }
}

fn key(text: &str) -> Result<String, String> {
    let fits = (1..=256).contains(&text.chars().count());
    fits.then(|| text.to_owned()).ok_or_else(|| "a key has 1 to 256 characters".to_owned())
}

/// What became of an order.
#[derive(Debug, Default, Serialize)]
struct Ordered {
    accepted: Vec<PairId>,
    duplicate: Vec<PairId>,
    refused: u64,
    /// Why pairs were refused, and when another try makes sense.
    #[serde(skip_serializing_if = "Option::is_none")]
    full: Option<Refusal>,
}

#[derive(Debug, Serialize)]
struct Refusal {
    reason: String,
    retry_after_secs: u64,
}

pub(super) async fn run(args: OrderArgs, config: &Config) -> anyhow::Result<ExitCode> {
    let queue = configured_queue(config).await?;
    let ordered = order(&queue, &args).await?;
    if args.json {
        output::json(&ordered)?;
    } else {
        for pair in ordered.accepted.iter().chain(&ordered.duplicate) {
            output::data(&pair.to_string())?;
        }
        output::note(&for_people(&ordered, args.key.is_some()));
    }
    Ok(if ordered.refused == 0 { ExitCode::SUCCESS } else { ExitCode::from(BAD) })
}

/// Starts the pairs in batches, until one of them is refused.
async fn order(queue: &Queue, args: &OrderArgs) -> anyhow::Result<Ordered> {
    let mut ordered = Ordered::default();
    let mut from = 0;
    while from < args.count && ordered.full.is_none() {
        let to = args.count.min(from + BATCH as u64);
        let pairs = (from..to).map(|number| pair(queue, args, number)).collect::<anyhow::Result<Vec<_>>>()?;
        for (pair, admission) in pairs.iter().zip(queue.start(&pairs).await?) {
            match admission {
                Admission::Accepted => ordered.accepted.push(pair.id),
                Admission::Duplicate => ordered.duplicate.push(pair.id),
                Admission::Full { bound, retry_after } => {
                    ordered.full.get_or_insert_with(|| refusal(bound, retry_after.as_secs()));
                }
            }
        }
        from = to;
    }
    ordered.refused = args.count - (ordered.accepted.len() + ordered.duplicate.len()) as u64;
    Ok(ordered)
}

fn pair(queue: &Queue, args: &OrderArgs, number: u64) -> anyhow::Result<NewPair> {
    let id = args.key.as_ref().map_or_else(PairId::fresh, |key| queue.pair_of_order(key, number));
    Ok(record::pair_of(id, args.priority.into(), rand::random(), now_ms())?)
}

fn refusal(bound: Bound, retry_after_secs: u64) -> Refusal {
    Refusal { reason: bound.to_string(), retry_after_secs }
}

fn for_people(ordered: &Ordered, keyed: bool) -> String {
    let Ordered { accepted, duplicate, refused, full } = ordered;
    let mut text = format!("{} pairs ordered", accepted.len());
    if !duplicate.is_empty() {
        let _ = write!(text, ", {} had been ordered before", duplicate.len());
    }
    if let Some(Refusal { reason, retry_after_secs }) = full {
        let again = if keyed { "repeat this command" } else { "order the rest" };
        let _ = write!(text, ", {refused} refused: {reason}; {again} in {retry_after_secs} s");
    }
    text
}
