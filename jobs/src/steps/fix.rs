//! Mends a candidate: shows a model what was found and where, and applies the edits that it replies with.

use serde::Serialize;
use serde_json::json;

use super::{
    answer::say,
    ask::{Ask, Refused, ask, request},
    candidate_mut,
    execute::without_screenshot,
    follow, object, question_of,
    replies::{Edit, FixReply},
    source::Source,
};
use crate::{
    finding::{Finding, Report},
    job::{Job, Step},
    pair::{Best, Draft},
    ports::{Purpose, Reply, sandbox::PAGE_BYTES_MAX},
    script::check_scripts,
    step::{Outcome, StepContext, StepError},
};

/// The most findings that a prompt lists, blocking ones first.
const LISTED_MAX: usize = 20;

/// Up to this size a page is shown whole; above it, what surrounds the findings.
const WHOLE_BYTES_MAX: usize = 12 * 1024;

/// Objections concern the page as a whole, so more of it is shown.
const WHOLE_BYTES_MAX_OBJECTED: usize = 64 * 1024;

/// The most edits of one reply.
const EDITS_MAX: usize = 40;

pub(super) async fn run(job: &Job, mut draft: Draft, ctx: &StepContext) -> Result<Outcome, StepError> {
    let question = question_of(&draft)?;
    let seed = draft.head.seed;
    let candidate = candidate_mut(job, &mut draft)?;
    let report = candidate.report.as_ref().ok_or(StepError::Incomplete { what: "report" })?;
    let inputs = json!({
        "question": question, "page": candidate.page, "findings": report.findings,
        "objections": candidate.objections,
    });
    let values = Values::of(&question, &candidate.page, report, &candidate.objections);
    let request = request::<FixReply>(Purpose::Fix, &values, inputs, seed)?;
    let page = &candidate.page;
    let check = |reply: FixReply, _: &Reply| check(page, &reply.edits);
    let fixed = match ask(&*ctx.llm, request, check).await? {
        Ask::Usable(fixed) | Ask::Unusable { fallback: Some(fixed), .. } => fixed,
        Ask::Unusable { reason, fallback: None } => return fruitless(job, draft, ctx, &reason),
    };

    let best = Best { page: candidate.page.clone(), report: without_screenshot(report) };
    candidate.best = Some(best);
    candidate.page = fixed;
    candidate.report = None;
    Ok(Outcome::new(draft, follow(job, Step::Execute, job.round + 1)))
}

/// A round without an edit that could be applied: there is nothing new to execute, so the next round follows at
/// once. What was wrong is noted, or it would ask the same and get the same.
fn fruitless(job: &Job, mut draft: Draft, ctx: &StepContext, reason: &str) -> Result<Outcome, StepError> {
    let round = job.round + 1;
    let candidate = candidate_mut(job, &mut draft)?;
    object(candidate, &format!("round {round} gave no edits that could be used: {reason}"));
    if round >= ctx.limits.fix_rounds() {
        return Ok(Outcome::reject(
            draft,
            format!("not mended in {round} rounds; the last one gave: {reason}"),
        ));
    }
    Ok(Outcome::new(draft, follow(job, Step::Fix, round)))
}

#[derive(Serialize)]
struct Values<'a> {
    question: &'a str,
    findings: Vec<&'a Finding>,
    findings_left_out: usize,
    objections: &'a [String],
    source: Source,
}

impl<'a> Values<'a> {
    fn of(question: &'a str, page: &str, report: &'a Report, objections: &'a [String]) -> Self {
        let mut findings: Vec<&Finding> = report.findings.iter().collect();
        findings.sort_by_key(|finding| finding.severity);
        let known = findings.len() + usize::try_from(report.findings_left_out).unwrap_or_default();
        findings.truncate(LISTED_MAX);
        let whole_max = if objections.is_empty() { WHOLE_BYTES_MAX } else { WHOLE_BYTES_MAX_OBJECTED };
        let source = Source::of(page, &findings, whole_max);
        Self { question, findings_left_out: known - findings.len(), findings, objections, source }
    }
}

fn check(page: &str, edits: &[Edit]) -> Result<String, Refused<String>> {
    let fixed = apply(page, edits).map_err(Refused::outright)?;
    let errors = check_scripts(&fixed);
    if errors.is_empty() { Ok(fixed) } else { Err(Refused { reason: say(&errors), fallback: Some(fixed) }) }
}

/// The page with all edits, or which one cannot be applied and why.
fn apply(page: &str, edits: &[Edit]) -> Result<String, String> {
    if edits.is_empty() || edits.len() > EDITS_MAX {
        return Err(format!("it has {} edits; 1 to {EDITS_MAX} are accepted", edits.len()));
    }
    let mut fixed = page.to_owned();
    for (index, edit) in edits.iter().enumerate() {
        let number = index + 1;
        let find = with_newlines_of(page, &edit.find);
        if find.is_empty() {
            return Err(format!("`find` of edit {number} is empty"));
        }
        match fixed.matches(&find).count() {
            1 => fixed = fixed.replacen(&find, &with_newlines_of(page, &edit.replace), 1),
            0 => {
                return Err(format!(
                    "`find` of edit {number} does not occur in the page; copy it to the letter: {}",
                    quote(&find)
                ));
            }
            count => {
                return Err(format!(
                    "`find` of edit {number} occurs {count} times; take more of its surroundings: {}",
                    quote(&find)
                ));
            }
        }
        if fixed.len() > PAGE_BYTES_MAX {
            return Err(format!("with edit {number} the page has more than {PAGE_BYTES_MAX} bytes"));
        }
    }
    if fixed == page {
        return Err("the edits change nothing".to_owned());
    }
    if fixed.trim().is_empty() {
        return Err("the edits leave nothing of the page".to_owned());
    }
    Ok(fixed)
}

/// Models see and write lines that end with `\n`, whatever the page's lines end with.
fn with_newlines_of(page: &str, text: &str) -> String {
    if page.contains("\r\n") { text.replace("\r\n", "\n").replace('\n', "\r\n") } else { text.to_owned() }
}

fn quote(text: &str) -> String {
    super::clip(text, 200)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edits(edits: &[(&str, &str)]) -> Vec<Edit> {
        edits
            .iter()
            .map(|&(find, replace)| Edit { find: find.to_owned(), replace: replace.to_owned() })
            .collect()
    }

    #[test]
    fn edits_are_applied_in_order() {
        assert_eq!(apply("a b c", &edits(&[("b", "x y"), ("x", "z"), (" c", "")])), Ok("a z y".to_owned()));
    }

    #[test]
    fn edits_fit_the_line_ends_of_the_page() {
        assert_eq!(apply("a\r\nb\r\nc", &edits(&[("a\nb", "a\nx")])), Ok("a\r\nx\r\nc".to_owned()));
    }

    #[test]
    fn an_edit_that_cannot_be_applied_is_named() {
        let large = "x".repeat(PAGE_BYTES_MAX);
        let cases = [
            (edits(&[]), "it has 0 edits"),
            (vec![edits(&[("a", "b")])[0].clone(); 41], "it has 41 edits"),
            (edits(&[("", "x")]), "`find` of edit 1 is empty"),
            (edits(&[("a", "b"), ("gone", "x")]), "`find` of edit 2 does not occur in the page"),
            (edits(&[("o", "x")]), "`find` of edit 1 occurs 2 times"),
            (edits(&[("a", "a")]), "the edits change nothing"),
            (edits(&[("a foo", " ")]), "the edits leave nothing"),
            (edits(&[("a", &large)]), "with edit 1 the page has more than 1048576 bytes"),
        ];
        for (edits, reason) in cases {
            let error = apply("a foo", &edits).unwrap_err();
            assert!(error.contains(reason), "{error}");
        }
    }

    #[test]
    fn overlapping_matches_count_as_several_or_one_but_never_corrupt() {
        assert_eq!(apply("aaa", &edits(&[("aa", "b")])), Ok("ba".to_owned()));
    }
}
