//! What each step makes of good and bad replies and reports.

mod fate;
mod judge;
mod make;
mod mend;

use std::sync::Arc;

use super::*;
use crate::{
    finding::{Finding, FindingClass, Severity},
    pair::{Best, Head, Kind, PairId, Topic},
    ports::{
        LlmError, MemoryError, Purpose, RecentList, Reply, SandboxError,
        fake::{FakeLlm, FakeMemory, FakeSandbox, blocking, reply, report},
    },
    record::RecordError,
    step::{Disposition, Limits},
};

const PAGE: &str = "<!DOCTYPE html><p id=score>0</p><script>start();</script>";

struct World {
    llm: Arc<FakeLlm>,
    sandbox: Arc<FakeSandbox>,
    ctx: StepContext,
}

fn world(llm: FakeLlm, sandbox: FakeSandbox, memory: FakeMemory, rounds: u32) -> World {
    let (llm, sandbox) = (Arc::new(llm), Arc::new(sandbox));
    let ctx = StepContext {
        llm: llm.clone(),
        sandbox: sandbox.clone(),
        memory: Arc::new(memory),
        personas: Arc::new(Personas::embedded()),
        limits: Limits { fix_rounds_max: rounds },
    };
    World { llm, sandbox, ctx }
}

fn replying<R: Into<String>>(replies: impl IntoIterator<Item = R>) -> World {
    let replies: Vec<Reply> = replies.into_iter().map(reply).collect();
    world(FakeLlm::replies(replies), FakeSandbox::finding(vec![]), FakeMemory::default(), 3)
}

fn finding(findings: Vec<Finding>, rounds: u32) -> World {
    world(FakeLlm::replies([]), FakeSandbox::finding(findings), FakeMemory::default(), rounds)
}

/// A draft that has everything up to a candidate, which ran and showed `found`.
fn draft(found: Option<Vec<Finding>>) -> Draft {
    let head = Head {
        topic: Some(Topic::Games),
        persona: Some("A diver.".to_owned()),
        objects: vec!["kite".to_owned(), "coin".to_owned()],
        question: Some("Build a kite game.".to_owned()),
        ..Head::new(Kind::Web, 7, 1000)
    };
    let candidate =
        Candidate { report: found.map(report), ..Candidate::new("a/b".to_owned(), PAGE.to_owned()) };
    Draft {
        id: PairId::fresh(),
        head,
        candidates: [(CandidateName::Base, candidate)].into(),
        history: vec![],
    }
}

fn job(draft: &Draft, step: Step, round: u32) -> Job {
    let candidate = (!matches!(step, Step::Objects | Step::Question)).then_some(CandidateName::Base);
    Job { pair: draft.id, step, candidate, round }
}

async fn run_step(world: &World, draft: Draft, step: Step, round: u32) -> Result<Outcome, StepError> {
    run(&job(&draft, step, round), draft, &world.ctx).await
}

fn base(outcome: &Outcome) -> &Candidate {
    &outcome.draft.candidates[&CandidateName::Base]
}

fn followed(outcome: &Outcome) -> (Step, u32) {
    let Next::Run(jobs) = &outcome.next else { panic!("{:?}", outcome.next) };
    assert_eq!(jobs.len(), 1);
    assert_eq!(jobs[0].pair, outcome.draft.id);
    assert_eq!(jobs[0].candidate.is_some(), jobs[0].step != Step::Question);
    (jobs[0].step, jobs[0].round)
}

fn rejected(outcome: &Outcome) -> &str {
    let Next::Reject { reason } = &outcome.next else { panic!("{:?}", outcome.next) };
    reason
}

fn syntax(line: u32) -> Finding {
    blocking(FindingClass::Syntax, "Unexpected token", line)
}

fn advice() -> Finding {
    Finding { severity: Severity::Advice, ..blocking(FindingClass::Browser, "deprecated", 1) }
}
