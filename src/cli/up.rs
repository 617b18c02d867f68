//! `mondo up`: everything in one process.

use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;

use super::{output, progress::Progress, show, stop_signal};
use crate::{
    config::Config,
    engine::{Redis, Workers},
    http::{self, Api},
};

/// Arguments of `mondo up`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  mondo up
  MONDO_READY_HIGH=100 MONDO_LISTEN=0.0.0.0:5003 mondo up
  MONDO_RESPONDER=openrouter MONDO_MODEL=qwen/qwen3-coder mondo up

With no REDIS_URL or REDIS_HOST a private redis-server is started; its data stays in MONDO_DATA_DIR.")]
pub(super) struct UpArgs {}

pub(super) async fn run(_: UpArgs, config: Config) -> anyhow::Result<ExitCode> {
    let stop = stop_signal()?;
    // The address first: when it is taken, nothing else needs to be undone.
    let listener = http::bind(config.api.listen)?;
    let address = listener.local_addr().context("reading the listening address")?;
    let private = config.data_dir.join("redis");
    let config = if config.redis.is_none() { config.with_private_redis_in(&private) } else { config };
    let redis = Redis::configured_or_private(&config, &private).await?;
    let queue = redis.queue(&config).await?;
    let mut workers = Workers::start(&config, &queue, Some(config.marks)).await?;
    output::note(&format!("serving pairs at http://{address}/api/synthetic-gen (stop with Ctrl-C)"));

    let api = Api::new(queue.clone(), &config.api, Some(workers.poll_age()));
    let api = http::serve(listener, api, stop.clone());
    let progress = Progress::start(&queue);
    let first = async {
        if let Some(body) = show::first_ready(&queue).await {
            progress.hide_while(|| show::pair(&body, Some(&config.data_dir)));
        }
        std::future::pending::<()>().await;
    };
    let result = tokio::select! {
        () = api => Ok(()),
        ended = workers.ended() => ended,
        () = first => Ok(()),
    };

    progress.stop().await;
    output::note("stopping: running jobs finish, the others are handed back");
    stop.cancel();
    workers.stop().await;
    redis.stop().await;
    result.map(|()| ExitCode::SUCCESS)
}
