//! `mondo worker`: jobs alone.

use std::process::ExitCode;

use clap::Args;
use tokio::signal::unix::{SignalKind, signal};

use super::stop_signal;
use crate::{
    config::{self, Config},
    engine::{self, Workers, configured_queue},
};

/// Arguments of `mondo worker`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  REDIS_URL=redis://localhost mondo worker
  mondo worker --steps execute                 a process that only drives browsers
  mondo worker --steps objects,question,answer,fix,solve --concurrency 32")]
pub(super) struct WorkerArgs {
    /// The steps whose jobs to run, separated by commas [default: `MONDO_STEPS`, else all]
    #[arg(long, value_parser = steps, value_name = "A,B")]
    steps: Option<Steps>,
    /// How many jobs of each LLM step run at once [default: `MONDO_CONCURRENCY`, else 8]
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=256), value_name = "N")]
    concurrency: Option<u16>,
    /// Run the one job on standard input, for the worker that starts this process
    #[arg(long, hide = true, exclusive = true)]
    alone: bool,
}

/// A parsed list; clap would take a bare `Vec` for a repeated option.
type Steps = std::sync::Arc<[mondo_jobs::job::Step]>;

fn steps(text: &str) -> Result<Steps, String> {
    config::steps(text)
        .map(Into::into)
        .ok_or_else(|| "steps are objects, question, answer, execute, fix, solve".to_owned())
}

pub(super) async fn run(args: WorkerArgs, mut config: Config) -> anyhow::Result<ExitCode> {
    if args.alone {
        return run_alone(&config).await;
    }
    if let Some(steps) = args.steps {
        config.steps = steps.to_vec();
    }
    if let Some(concurrency) = args.concurrency {
        config.concurrency = usize::from(concurrency);
    }
    let stop = stop_signal()?;
    let queue = configured_queue(&config).await?;
    let mut workers = Workers::start(&config, &queue, Some(config.marks)).await?;
    tracing::info!(steps = ?config.steps, "worker started");
    let result = tokio::select! {
        () = stop.cancelled() => Ok(()),
        ended = workers.ended() => ended,
    };
    workers.stop().await;
    tracing::info!("worker stopped");
    result.map(|()| ExitCode::SUCCESS)
}

async fn run_alone(config: &Config) -> anyhow::Result<ExitCode> {
    // A stop is for the worker that started us, and it tells us.
    let _deaf = [signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?];
    engine::run_alone(config).await?;
    Ok(ExitCode::SUCCESS)
}
