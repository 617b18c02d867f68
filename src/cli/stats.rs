//! `mondo stats`: what is where.

use std::{path::Path, process::ExitCode};

use anyhow::Context as _;
use clap::Args;
use mondo_jobs::{
    clock::now_ms,
    job::Step,
    queue::{Pause, Stats},
};
use mondo_workers::llm::spool::{self, Usage};
use serde::Serialize;

use super::{output, span};
use crate::{config::Config, engine::configured_queue};

/// Arguments of `mondo stats`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  mondo stats
  mondo stats --json | jq .ready")]
pub(super) struct StatsArgs {
    /// One JSON object for programs
    #[arg(long)]
    json: bool,
}

/// What the queue knows, and what waits on this machine's disk for Redis to take it.
#[derive(Serialize)]
struct All<'a> {
    #[serde(flatten)]
    queue: &'a Stats,
    spool: Usage,
}

pub(super) async fn run(args: StatsArgs, config: &Config) -> anyhow::Result<ExitCode> {
    let dir = &config.spool.dir;
    let spool = spool::usage(dir).with_context(|| format!("reading the spool in `{}`", dir.display()))?;
    let stats = async { anyhow::Ok(configured_queue(config).await?.stats().await?) }.await;
    // Without Redis this is all there is to say, and what one then wants to know.
    let stats = stats.inspect_err(|_| spool_line(&spool, dir).iter().for_each(|line| output::note(line)))?;
    if args.json {
        output::json(&All { queue: &stats, spool })?;
    } else {
        output::data(&for_people(&stats, config.marks.high, spool_line(&spool, dir)))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Nothing where nothing waits.
fn spool_line(spool: &Usage, dir: &Path) -> Option<String> {
    let Usage { records, bytes, set_aside } = spool;
    if (*records, *set_aside) == (0, 0) {
        return None;
    }
    Some(format!(
        "paid replies that wait for Redis: {records} ({} KiB); damaged files put aside: {set_aside}; in {}",
        bytes.div_ceil(1024),
        dir.display()
    ))
}

fn for_people(stats: &Stats, high: u64, spool: Option<String>) -> String {
    let mut table = output::table(&["step", "waiting", "running", "delayed"]);
    for step in &stats.steps {
        table.add_row([
            step.step.name().to_owned(),
            step.waiting.to_string(),
            step.running.to_string(),
            step.delayed.to_string(),
        ]);
    }
    let Stats { open, ready, taken, dead, counters, .. } = stats;
    let count = |name: &str| counters.get(name).copied().unwrap_or(0);
    format!(
        "{table}\n\npairs: {open} under way, {ready} ready, {taken} being handed over\nsince the start: {} delivered, {} \
         rejected, {} LLM calls, {}\ndead letters: {dead}{}{}{}{}",
        count("delivered"),
        count("rejected"),
        count("llm_calls"),
        dollars(count("cost_micro_usd")),
        if *dead > 0 { " (see `mondo dead ls`)" } else { "" },
        stats.pauses.iter().map(paused).collect::<String>(),
        if *ready >= high { slowed(high) } else { String::new() },
        spool.map_or_else(String::new, |line| format!("\n{line}")),
    )
}

fn paused(pause: &Pause) -> String {
    let Pause { target, reason, since_ms, ends_in_ms } = pause;
    let since = span::of_ms(now_ms().saturating_sub(*since_ms));
    let end = ends_in_ms.map_or_else(
        || format!("until `mondo resume {target}`"),
        |ms| format!("for another {}", span::of_ms(ms)),
    );
    format!("\npaused: {target}, since {since}, {end}: {reason}")
}

/// Workers decide by the same mark, each by its own setting.
fn slowed(high: u64) -> String {
    let steps: Vec<&str> = Step::ALL.into_iter().filter(|step| step.is_upstream()).map(Step::name).collect();
    format!(
        "\nslowed: {}, since {high} pairs or more wait for a consumer (MONDO_READY_HIGH)",
        steps.join(", ")
    )
}

/// Money for people: millionths of a US dollar as dollars.
pub(super) fn dollars(micro_usd: i64) -> String {
    let cents_of_cents = micro_usd / 100;
    format!("${}.{:04}", cents_of_cents / 10_000, cents_of_cents % 10_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spool_is_mentioned_when_something_is_in_it() {
        let line =
            |records, set_aside| spool_line(&Usage { records, bytes: 3000, set_aside }, Path::new("s"));
        assert_eq!(line(0, 0), None);
        assert_eq!(
            line(2, 0).unwrap(),
            "paid replies that wait for Redis: 2 (3 KiB); damaged files put aside: 0; in s"
        );
        assert!(line(0, 1).is_some());
    }

    #[test]
    fn money_is_shown_to_a_hundredth_of_a_cent() {
        assert_eq!(dollars(0), "$0.0000");
        assert_eq!(dollars(1_234_567), "$1.2345");
    }
}
