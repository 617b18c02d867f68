//! Judges a candidate against its question, with the report as evidence. It may veto a clean report; it can never
//! overrule a blocking one.

use serde::Serialize;
use serde_json::json;

use super::{
    ask::{Ask, Refused, ask, request},
    candidate_mut, follow, object, question_of,
    replies::{SolveReply, Verdict},
    source::Source,
    summary,
};
use crate::{
    finding::{Finding, Report},
    job::{Job, Step},
    pair::Draft,
    ports::{Purpose, Reply},
    step::{Next, Outcome, StepContext, StepError},
};

/// The most findings that the prompt lists.
const LISTED_MAX: usize = 40;

pub(super) async fn run(job: &Job, mut draft: Draft, ctx: &StepContext) -> Result<Outcome, StepError> {
    let question = question_of(&draft)?;
    let seed = draft.head.seed;
    let candidate = candidate_mut(job, &mut draft)?;
    let report = candidate.report.as_ref().ok_or(StepError::Incomplete { what: "report" })?;
    let inputs = json!({"question": question, "page": candidate.page, "report": report});
    let values = Values::of(&question, &candidate.page, report);
    let request = request::<SolveReply>(Purpose::Solve, &values, inputs, seed)?;
    let mut judgement = match ask(&*ctx.llm, request, check).await? {
        Ask::Usable(judgement) | Ask::Unusable { fallback: Some(judgement), .. } => judgement,
        Ask::Unusable { reason, fallback: None } => {
            return Ok(Outcome::reject(draft, format!("no verdict: {reason}")));
        }
    };
    if !report.is_clean() && judgement.verdict == Verdict::Accept {
        judgement = Judgement { verdict: Verdict::Retry, reasons: vec![summary(report)] };
    }

    match judgement.verdict {
        Verdict::Accept => Ok(Outcome::new(draft, Next::Ready)),
        Verdict::Reject => {
            let reason = format!("solve rejects it: {}", judgement.reasons.join("; "));
            Ok(Outcome::reject(draft, reason))
        }
        Verdict::Retry if job.round >= ctx.limits.fix_rounds() => {
            let reason = format!("not good after {} rounds: {}", job.round, judgement.reasons.join("; "));
            Ok(Outcome::reject(draft, reason))
        }
        Verdict::Retry => {
            judgement.reasons.iter().for_each(|reason| object(candidate, reason));
            Ok(Outcome::new(draft, follow(job, Step::Fix, job.round)))
        }
    }
}

/// What solve says of a candidate.
#[derive(Debug)]
struct Judgement {
    verdict: Verdict,
    reasons: Vec<String>,
}

/// Takes a verdict only if it follows from the requirements that it names. Of an acceptance that does not, the
/// unmet requirements are kept as objections.
fn check(reply: SolveReply, _: &Reply) -> Result<Judgement, Refused<Judgement>> {
    if reply.requirements.is_empty() {
        return Err(Refused::outright("it names no requirement"));
    }
    let unmet: Vec<String> = reply
        .requirements
        .iter()
        .filter(|requirement| !requirement.met)
        .map(|requirement| format!("not met: {} ({})", requirement.requirement, requirement.evidence))
        .collect();
    let mut reasons: Vec<String> = reply
        .reasons
        .into_iter()
        .map(|reason| reason.trim().to_owned())
        .filter(|reason| !reason.is_empty())
        .collect();
    match reply.verdict {
        Verdict::Accept if !unmet.is_empty() => Err(Refused {
            reason: format!("it accepts, but {} of its own requirements are not met", unmet.len()),
            fallback: Some(Judgement { verdict: Verdict::Retry, reasons: unmet }),
        }),
        Verdict::Retry | Verdict::Reject if reasons.is_empty() && unmet.is_empty() => {
            Err(Refused::outright("it does not accept, and gives no reason"))
        }
        verdict => {
            if reasons.is_empty() {
                reasons = unmet;
            }
            Ok(Judgement { verdict, reasons })
        }
    }
}

#[derive(Serialize)]
struct Values<'a> {
    question: &'a str,
    report: &'a Report,
    findings: Vec<&'a Finding>,
    source: Source,
}

impl<'a> Values<'a> {
    fn of(question: &'a str, page: &str, report: &'a Report) -> Self {
        let findings = report.findings.iter().take(LISTED_MAX).collect();
        Self { question, report, findings, source: Source::of(page, &[], usize::MAX) }
    }
}
