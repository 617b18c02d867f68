//! `mondo pause` and `mondo resume`: holding a step or a responder up, with a reason.

use std::{process::ExitCode, time::Duration};

use anyhow::bail;
use clap::Args;
use mondo_jobs::queue::{Queue, Target};

use super::{BAD, output, span};
use crate::{config::Config, engine::configured_queue};

/// Arguments of `mondo pause`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  mondo pause answer --reason 'prompt is being changed'
  mondo pause responder:openai/gpt-5 --reason 'provider is down' --for 10m
  mondo resume answer

Workers claim nothing of it any more within about 2 s; running jobs finish, waiting ones use no attempt. It goes on
when it is resumed, or when the time is over by Redis's clock. `mondo stats` shows what is paused.")]
pub(super) struct PauseArgs {
    /// A step, or responder:NAME, as `mondo stats` and the log name it
    target: Target,
    /// Why, for whoever looks
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// For how long, as in 30s, 10m, 2h or 1d [default: until it is resumed]
    #[arg(long = "for", value_parser = span::parse, value_name = "TIME")]
    time: Option<Duration>,
}

/// Arguments of `mondo resume`.
#[derive(Debug, Args)]
pub(super) struct ResumeArgs {
    /// A step, or responder:NAME
    target: Target,
}

pub(super) async fn pause(args: PauseArgs, config: &Config) -> anyhow::Result<ExitCode> {
    let queue = configured_queue(config).await?;
    if let Target::Responder(name) = &args.target {
        refuse_unknown(&queue, name).await?;
    }
    queue.pause(&args.target, &args.reason, args.time).await?;
    let end = args.time.map_or_else(
        || format!("until `mondo resume {}`", args.target),
        |time| format!("for {}", span::of(time)),
    );
    output::note(&format!("{} is paused {end}", args.target));
    Ok(ExitCode::SUCCESS)
}

/// A pause of a responder that nobody asks would look like one that works.
async fn refuse_unknown(queue: &Queue, name: &str) -> anyhow::Result<()> {
    let known = queue.responders().await?;
    if known.iter().any(|known| known == name) {
        return Ok(());
    }
    if known.is_empty() {
        bail!("no worker has named a responder yet; is one running on this Redis, under this MONDO_PREFIX?");
    }
    bail!("no worker has named the responder `{name}`; known are {}", known.join(", "))
}

pub(super) async fn resume(args: ResumeArgs, config: &Config) -> anyhow::Result<ExitCode> {
    let queue = configured_queue(config).await?;
    if queue.resume(&args.target).await? {
        output::note(&format!("{} goes on", args.target));
        return Ok(ExitCode::SUCCESS);
    }
    let paused: Vec<String> = queue.pauses().await?.iter().map(|pause| pause.target.to_string()).collect();
    let paused =
        if paused.is_empty() { "nothing is".to_owned() } else { format!("paused are {}", paused.join(", ")) };
    output::note(&format!("{} is not paused; {paused}", args.target));
    Ok(ExitCode::from(BAD))
}
