//! `mondo check`: what is wrong with these pages.

use std::process::ExitCode;

use clap::Args;
use mondo_workers::sandbox::SandboxConfig;

/// Arguments of `mondo check`.
#[derive(Debug, Args)]
pub(super) struct CheckArgs {}

#[expect(clippy::unused_async, reason = "its body is on the way")]
pub(super) async fn run(_: CheckArgs, _: SandboxConfig) -> anyhow::Result<ExitCode> {
    anyhow::bail!("not there yet")
}
