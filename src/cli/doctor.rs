//! `mondo doctor`: the queue's invariants, checked live and mended.

use std::process::ExitCode;

use clap::Args;
use mondo_jobs::queue::{Queue, Violation};

use super::{BAD, output};
use crate::{config::Config, engine::configured_queue};

/// How often is mended and looked again: what is put in its place may show what else is wrong.
const ROUNDS_MAX: u32 = 4;

/// Arguments of `mondo doctor`.
#[derive(Debug, Args)]
#[command(
    after_help = "Exit code: 0 when every invariant holds (with --fix: now), 1 when one is broken, 2 when the queue
could not be read. Looking changes nothing; both are safe on a live queue.

Examples:
  mondo doctor
  mondo doctor --fix
  mondo doctor --json | jq -r '.[].detail'"
)]
pub(super) struct DoctorArgs {
    /// Mend what can be mended, then look again
    #[arg(long)]
    fix: bool,
    /// A JSON array of violations for programs; with --fix, of those that are left
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(args: DoctorArgs, config: &Config) -> anyhow::Result<ExitCode> {
    let queue = configured_queue(config).await?;
    let mut violations = queue.doctor().await?;
    if args.fix {
        for _ in 0..ROUNDS_MAX {
            if violations.is_empty() || !mend(&queue, &violations).await? {
                break;
            }
            violations = queue.doctor().await?;
        }
    }
    if args.json {
        output::json(&violations)?;
    } else if violations.is_empty() {
        output::data("every invariant holds")?;
    } else {
        for Violation { invariant, detail, remedy, .. } in &violations {
            output::data(&format!("{invariant}  {detail}\n    remedy: {remedy}"))?;
        }
        if !args.fix && violations.iter().any(|violation| violation.repair.is_some()) {
            output::note("`mondo doctor --fix` does what the remedies say");
        }
    }
    Ok(if violations.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(BAD) })
}

/// Says whether there was something to do.
async fn mend(queue: &Queue, violations: &[Violation]) -> anyhow::Result<bool> {
    let mut mended = false;
    for violation in violations {
        if queue.mend(violation).await? {
            output::note(&format!("{}  {}: mended", violation.invariant, violation.detail));
            mended = true;
        }
    }
    Ok(mended)
}
