//! `mondo stats`: what is where.

use std::process::ExitCode;

use clap::Args;
use mondo_jobs::queue::Stats;

use super::output;
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

pub(super) async fn run(args: StatsArgs, config: &Config) -> anyhow::Result<ExitCode> {
    let stats = configured_queue(config).await?.stats().await?;
    if args.json {
        output::json(&stats)?;
    } else {
        output::data(&for_people(&stats))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn for_people(stats: &Stats) -> String {
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
         rejected, {} LLM calls, {}\ndead letters: {dead}{}",
        count("delivered"),
        count("rejected"),
        count("llm_calls"),
        dollars(count("cost_micro_usd")),
        if *dead > 0 { " (see `mondo dead ls`)" } else { "" },
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
    fn money_is_shown_to_a_hundredth_of_a_cent() {
        assert_eq!(dollars(0), "$0.0000");
        assert_eq!(dollars(1_234_567), "$1.2345");
    }
}
