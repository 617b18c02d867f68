//! The verdict on a page: each requirement of the question, and what in the page and its report shows that it
//! is met.

use mondo_jobs::{
    finding::Report,
    pair::Topic,
    steps::replies::{Requirement, SolveReply, Verdict},
};

use super::{
    families::{Asked, Plan, plan},
    text,
};

/// Judges a page against the question that the same seed led to.
pub(super) fn judge(question: &str, page: &str, report: &Report, seed: u64) -> SolveReply {
    let Some(plan) = plan_behind(question, seed) else {
        return SolveReply {
            requirements: Vec::new(),
            verdict: Verdict::Reject,
            reasons: vec!["The built-in responder can only judge questions that it wrote itself.".to_owned()],
        };
    };
    let asked = plan.features.iter().chain(&plan.actions);
    let requirements: Vec<Requirement> =
        asked.map(|asked| requirement(asked, question, page, report)).collect();

    let mut reasons: Vec<String> = requirements
        .iter()
        .filter(|requirement| !requirement.met)
        .map(|requirement| format!("{}: {}", requirement.requirement, requirement.evidence))
        .collect();
    reasons.extend(
        report.blocking().map(|finding| format!("The page fails when it runs: {}.", finding.message)),
    );
    let verdict = if reasons.is_empty() { Verdict::Accept } else { Verdict::Retry };
    if reasons.is_empty() {
        reasons.push(format!(
            "Everything that was asked for is there, and {} inputs in {} seconds of page time met no failure.",
            report.inputs,
            report.page_ms / 1000
        ));
    }
    SolveReply { requirements, verdict, reasons }
}

/// The plan that the question was written from: its sentences stand in the question.
fn plan_behind(question: &str, seed: u64) -> Option<Plan> {
    let plans = Topic::SHARES.into_iter().map(|(topic, _)| plan(topic, seed));
    let mut plans = plans.filter(|plan| {
        let mut asked = plan.features.iter().chain(&plan.actions);
        asked.all(|asked| line_of(asked, question).is_some())
    });
    plans.next()
}

fn line_of<'a>(asked: &Asked, question: &'a str) -> Option<&'a str> {
    let mut lines = question.lines().filter_map(|line| {
        line.split_once(". ").map_or_else(
            || line.strip_prefix("- "),
            |(mark, rest)| if mark.parse::<u32>().is_ok() { Some(rest) } else { line.strip_prefix("- ") },
        )
    });
    lines.find(|line| text::fits(&asked.text, line))
}

fn requirement(asked: &Asked, question: &str, page: &str, report: &Report) -> Requirement {
    let requirement = line_of(asked, question).unwrap_or_default().to_owned();
    let missing: Vec<&str> =
        asked.ask.served_by.iter().copied().filter(|code| !page.contains(code)).collect();
    if !missing.is_empty() {
        let evidence = format!("the page has no `{}`", missing.join("` and no `"));
        return Requirement { requirement, met: false, evidence };
    }
    let places: Vec<String> = asked
        .ask
        .served_by
        .iter()
        .map(|code| {
            let line = page.find(code).map_or(0, |at| page[..at].matches('\n').count() + 1);
            format!("`{code}` on line {line}")
        })
        .collect();
    let evidence = format!("{}; it ran for {} frames", places.join(", "), report.frames);
    Requirement { requirement, met: true, evidence }
}
