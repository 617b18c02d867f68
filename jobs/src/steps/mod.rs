//! The six steps. One file each; this one lists them.
//!
//! A step that asks an LLM goes through `ask`, which reads the reply, checks it and asks again. What an LLM
//! gets wrong is never an error: in the end the pair goes on with the best there is, or is rejected with the
//! reason. Errors are for what running the job again, or a person, can mend.

mod answer;
mod ask;
mod execute;
mod fix;
mod objects;
mod personas;
mod question;
pub mod replies;
mod solve;
mod source;

pub use personas::{PERSONA_CHARS_MAX, PERSONAS_FILE_BYTES_MAX, Personas, PersonasError};

use crate::{
    finding::Report,
    job::{Job, Step},
    pair::{Candidate, CandidateName, Draft},
    step::{Next, Outcome, StepContext, StepError},
};

/// Runs one job on its pair's draft.
///
/// # Errors
/// See [`StepError`]; its disposition says what becomes of the job.
///
/// # Cancel safety
/// A step stores nothing; dropping it loses only what it has not returned.
pub async fn run(job: &Job, draft: Draft, ctx: &StepContext) -> Result<Outcome, StepError> {
    match job.step {
        Step::Objects => objects::run(job, draft, ctx).await,
        Step::Question => question::run(job, draft, ctx).await,
        Step::Answer => answer::run(job, draft, ctx).await,
        Step::Execute => execute::run(job, draft, ctx).await,
        Step::Fix => fix::run(job, draft, ctx).await,
        Step::Solve => solve::run(job, draft, ctx).await,
    }
}

/// The job that takes the same candidate one step on.
fn follow(job: &Job, step: Step, round: u32) -> Next {
    Next::Run(vec![Job { pair: job.pair, step, candidate: job.candidate, round }])
}

fn candidate_name(job: &Job) -> Result<CandidateName, StepError> {
    job.candidate.ok_or(StepError::Incomplete { what: "candidate name in its job" })
}

fn candidate_mut<'a>(job: &Job, draft: &'a mut Draft) -> Result<&'a mut Candidate, StepError> {
    let name = candidate_name(job)?;
    draft.candidates.get_mut(&name).ok_or(StepError::Incomplete { what: "candidate" })
}

fn question_of(draft: &Draft) -> Result<String, StepError> {
    draft.head.question.clone().ok_or(StepError::Incomplete { what: "question" })
}

/// How many objections a candidate keeps, and how long each may be in characters.
const OBJECTIONS_MAX: usize = 20;
const OBJECTION_CHARS_MAX: usize = 600;

/// Adds an objection; the oldest goes when there are too many.
fn object(candidate: &mut Candidate, objection: &str) {
    candidate.objections.push(clip(objection, OBJECTION_CHARS_MAX));
    let surplus = candidate.objections.len().saturating_sub(OBJECTIONS_MAX);
    candidate.objections.drain(..surplus);
}

/// The blocking findings of a report in one sentence.
fn summary(report: &Report) -> String {
    let count = report.blocking().count();
    let listed: Vec<String> = report
        .blocking()
        .take(5)
        .map(|finding| {
            let line = finding.line.map_or_else(String::new, |line| format!(" at line {line}"));
            format!("{}{line} in phase {}: {}", finding.class.name(), finding.phase, finding.message)
        })
        .collect();
    format!("{count} blocking finding{}: {}", if count == 1 { "" } else { "s" }, listed.join("; "))
}

/// At most so many characters of a text, with a mark where something was cut.
fn clip(text: &str, chars_max: usize) -> String {
    match text.char_indices().nth(chars_max) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests;
