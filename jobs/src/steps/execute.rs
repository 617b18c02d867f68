//! Runs a candidate in the sandbox, keeps the better of two versions, and decides where it goes.

use super::{candidate_mut, follow, object, summary};
use crate::{
    finding::Report,
    job::{Job, Step},
    pair::{BODY_BYTES_MAX, Candidate, Draft},
    ports::Execution,
    step::{Outcome, StepContext, StepError},
};

pub(super) async fn run(job: &Job, mut draft: Draft, ctx: &StepContext) -> Result<Outcome, StepError> {
    let seed = draft.head.seed;
    let candidate = candidate_mut(job, &mut draft)?;
    let execution = Execution::new(candidate.page.clone(), seed);
    let mut report = ctx.sandbox.execute(&execution).await?;
    // A screenshot is for people to look at: one that is too large to store is not worth a failed job.
    report.screenshot = report.screenshot.filter(|png| png.len() <= BODY_BYTES_MAX);

    if candidate.first_report.is_none() {
        candidate.first_report = Some(without_screenshot(&report));
    }
    let clean = report.is_clean();
    let found = summary(&report);
    candidate.report = Some(report);
    settle(candidate, job.round);

    if clean {
        return Ok(Outcome::new(draft, follow(job, Step::Solve, job.round)));
    }
    if job.round >= ctx.limits.fix_rounds() {
        return Ok(Outcome::reject(draft, format!("not mended in {} rounds; {found}", job.round)));
    }
    Ok(Outcome::new(draft, follow(job, Step::Fix, job.round)))
}

/// Keeps the better of the page that just ran and the one that fix started from; of equal ones the newer.
fn settle(candidate: &mut Candidate, round: u32) {
    let Some(best) = candidate.best.take() else { return };
    let Some(report) = candidate.report.as_ref().filter(|report| badness(report) > badness(&best.report))
    else {
        return;
    };
    // The next round starts from the same page. Without this lesson it would ask the same and get the same.
    let lesson =
        format!("round {round} made the page worse and was undone; its page had {}", summary(report));
    candidate.page = best.page;
    candidate.report = Some(best.report);
    object(candidate, &lesson);
}

/// Blocking findings first, then all findings. Among clean pages advice does not count: fix may have been sent
/// back by solve, whose objections weigh more.
fn badness(report: &Report) -> (usize, usize) {
    let blocking = report.blocking().count();
    let left_out = usize::try_from(report.findings_left_out).unwrap_or(usize::MAX);
    (blocking, if blocking == 0 { 0 } else { report.findings.len().saturating_add(left_out) })
}

/// A report for keeping beside the newest one.
pub(super) fn without_screenshot(report: &Report) -> Report {
    Report { screenshot: None, ..report.clone() }
}
