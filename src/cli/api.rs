//! `mondo api`: the HTTP API alone.

use std::process::ExitCode;

use super::stop_signal;
use crate::{
    config::Config,
    engine::configured_queue,
    http::{self, Api},
};

pub(super) async fn run(config: Config) -> anyhow::Result<ExitCode> {
    let stop = stop_signal()?;
    let listener = http::bind(config.api.listen)?;
    let queue = configured_queue(&config).await?;
    tracing::info!(listen = %config.api.listen, "serving");
    http::serve(listener, Api::new(queue, &config.api, None), stop).await;
    Ok(ExitCode::SUCCESS)
}
