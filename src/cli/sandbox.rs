//! `mondo sandbox`: pages of workers elsewhere.

use std::process::ExitCode;

use anyhow::Context as _;
use mondo_workers::sandbox;

use super::stop_signal;
use crate::{
    config::Config,
    http::{Offer, bind, serve_executions},
};

pub(super) async fn run(config: Config) -> anyhow::Result<ExitCode> {
    let token = config.remote.token.context(
        "MONDO_SANDBOX_TOKEN is not set; whoever sends pages must know it, so choose a long one for both sides",
    )?;
    let stop = stop_signal()?;
    let listener = bind(config.api.listen)?;
    let pool = sandbox::open(config.sandbox).await?;
    let offer = Offer::new(pool.clone(), pool.slots(), &token);
    tracing::info!(address = %config.api.listen, backend = pool.backend(), slots = pool.slots(), "sandbox started");
    serve_executions(listener, offer, stop).await;
    pool.close().await;
    tracing::info!("sandbox stopped");
    Ok(ExitCode::SUCCESS)
}
