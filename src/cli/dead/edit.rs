//! `mondo dead edit`.

use std::{fs, process::ExitCode};

use anyhow::Context as _;
use clap::Args;
use mondo_jobs::{
    edit::{self, Editable, Request},
    queue::Queue,
};

use crate::cli::output;

/// Arguments of `mondo dead edit`.
#[derive(Debug, Args)]
#[command(after_help = "What can be changed:
  question   the text of the pair's question; what was made for the old one stays
  envelope   the job's JSON envelope, where the stored one does not decode; it must name
             the same job

The letter stays dead: put it back with `mondo dead replay JOB`. Who changed what, when and
why stays with the pair, and `mondo dead show` tells it, also when the job dies again.

Examples:
  mondo dead edit 0191…/base/answer/0 --set question=@new.txt --reason 'refused as unsafe'
  mondo dead edit 0191…/question --by ann --set envelope='{\"kind\":\"question\",\"v\":1}' \\
      --reason 'bad release'

Exit codes: 0 changed, 2 refused or could not; nothing was changed then.")]
pub(super) struct EditArgs {
    /// The job's id, as `ls` prints it
    job: String,
    /// What to change and its new value; @FILE reads the value from a file
    #[arg(long, value_name = "WHAT=VALUE", value_parser = setting)]
    set: (Editable, String),
    /// Who changes it
    #[arg(long, env = "USER", hide_env_values = true, value_parser = clap::builder::NonEmptyStringValueParser::new())]
    by: String,
    /// Why
    #[arg(long, value_parser = clap::builder::NonEmptyStringValueParser::new())]
    reason: String,
    /// The audit record as one JSON object for programs
    #[arg(long)]
    json: bool,
}

fn setting(text: &str) -> Result<(Editable, String), String> {
    let (what, value) =
        text.split_once('=').ok_or("accepted is WHAT=VALUE, such as question=@question.txt")?;
    Ok((what.parse()?, value.to_owned()))
}

pub(super) async fn run(queue: &Queue, args: EditArgs) -> anyhow::Result<ExitCode> {
    let (what, value) = args.set;
    let value = match value.strip_prefix('@') {
        Some(path) => fs::read_to_string(path).with_context(|| format!("cannot read `{path}`"))?,
        None => value,
    };
    let request = Request { job: &args.job, what, value: &value, by: &args.by, reason: &args.reason };
    let edit = edit::edit(queue, request).await?;
    if args.json {
        output::json(&edit)?;
    }
    output::note(&format!("changed; `mondo dead replay '{}'` puts it back", edit.job));
    Ok(ExitCode::SUCCESS)
}
