//! `mondo doctor`: the queue's invariants, checked live.

use std::process::ExitCode;

use clap::Args;

use super::{BAD, output};
use crate::{config::Config, engine::configured_queue};

/// Arguments of `mondo doctor`.
#[derive(Debug, Args)]
#[command(
    after_help = "Exit code: 0 when every invariant holds, 1 when one is broken, 2 when the queue could not be read.

Examples:
  mondo doctor
  mondo doctor --json | jq -r '.[].detail'"
)]
pub(super) struct DoctorArgs {
    /// A JSON array of violations for programs
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(args: DoctorArgs, config: &Config) -> anyhow::Result<ExitCode> {
    let violations = configured_queue(config).await?.doctor().await?;
    if args.json {
        output::json(&violations)?;
    } else if violations.is_empty() {
        output::data("every invariant holds")?;
    } else {
        for violation in &violations {
            output::data(&format!("{}  {}", violation.invariant, violation.detail))?;
        }
    }
    Ok(if violations.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(BAD) })
}
