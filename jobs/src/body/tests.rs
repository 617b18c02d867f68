use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::{
    finding::FindingClass,
    pair::{CandidateName, Head},
    ports::fake::{blocking, report},
};

const CID: &str = "01936f2e-0000-7000-8000-00000000000a";

fn finding() -> Finding {
    blocking(FindingClass::Type, "TypeError: x is null", 4)
}

fn record(step: Step, round: u32, at_ms: u64) -> StepRecord {
    StepRecord {
        step,
        candidate: Some(CandidateName::Base),
        round,
        attempt: 0,
        at_ms,
        duration_ms: 10,
        llm_calls: 1,
        cost_micro_usd: 1500,
        blocking: None,
    }
}

fn finished(page: &str) -> Draft {
    let head = Head {
        topic: Some(Topic::Science),
        persona: Some("A beekeeper".to_owned()),
        objects: vec!["prism".to_owned()],
        question: Some("Build a prism".to_owned()),
        question_model: Some("a/q".to_owned()),
        ..Head::new(Kind::Web, 9, 1000)
    };
    let candidate = Candidate {
        cid: CID.parse().unwrap(),
        report: Some(report(vec![])),
        first_report: Some(report(vec![finding()])),
        ..Candidate::new("a/b".to_owned(), page.to_owned())
    };
    Draft {
        id: "01936f2e-0000-7000-8000-000000000001".parse().unwrap(),
        head,
        candidates: [(CandidateName::Base, candidate)].into(),
        history: vec![record(Step::Fix, 1, 3000), record(Step::Solve, 1, 4500)],
    }
}

#[test]
fn the_body_is_what_dojo_reads() {
    let body: Value = serde_json::from_slice(&v1_body(&finished("<!DOCTYPE html>")).unwrap()).unwrap();
    let step = |step: &str, at_ms: u64| {
        json!({
            "step": step, "candidate": "base", "round": 1, "attempt": 0, "at_ms": at_ms, "duration_ms": 10,
            "llm_calls": 1, "cost_micro_usd": 1500,
        })
    };
    assert_eq!(
        body,
        json!({
            "prompt": "Build a prism",
            "responses": [{
                "model": "a/b",
                "cid": CID,
                "completion": {
                    "files": [{"filename": "index.html", "content": "<!DOCTYPE html>", "language": "html"}],
                },
            }],
            "ground_truth": {CID: 0},
            "metadata": {
                "augment_type": "UNIFIED",
                "pair_id": "01936f2e-0000-7000-8000-000000000001",
                "kind": "web",
                "topic": "science",
                "persona": "A beekeeper",
                "objects": ["prism"],
                "seed": 9,
                "question_model": "a/q",
                "history": {
                    "rounds": 1,
                    "llm_calls": 2,
                    "cost_usd": 0.003,
                    "findings_before": [{
                        "class": "type", "severity": "blocking", "message": "TypeError: x is null",
                        "line": 4, "column": 1, "phase": "load", "page_ms": 1, "input": null,
                    }],
                    "findings_after": [],
                    "steps": [step("fix", 3000), step("solve", 4500)],
                    "wall_ms": 3500,
                },
            },
        })
    );
}

#[test]
fn a_draft_that_is_not_finished_is_refused() {
    type Change = fn(&mut Draft, CandidateName);
    let base = CandidateName::Base;
    let cases: [(&str, Change); 6] = [
        ("no question", |draft, _| draft.head.question = None),
        ("no answer", |draft, _| draft.candidates.clear()),
        ("not executed", |draft, base| draft.candidates.get_mut(&base).unwrap().report = None),
        ("blocking", |draft, base| {
            draft.candidates.get_mut(&base).unwrap().report = Some(report(vec![finding()]));
        }),
        ("empty page", |draft, base| draft.candidates.get_mut(&base).unwrap().page = " \n".to_owned()),
        ("unsettled", |draft, base| {
            let best = crate::pair::Best { page: "<p>".to_owned(), report: report(vec![]) };
            draft.candidates.get_mut(&base).unwrap().best = Some(best);
        }),
    ];
    for (what, change) in cases {
        let mut draft = finished("<p>");
        change(&mut draft, base);
        assert_eq!(v1_body(&draft).unwrap_err().class(), "unpublishable", "{what}");
    }
}

#[test]
fn a_body_that_would_break_a_consumer_is_refused() {
    type Change = fn(&mut PairBody);
    let cases: [(&str, Change); 6] = [
        ("no response", |body| body.responses.clear()),
        ("no file", |body| body.responses[0].completion.files.clear()),
        ("two files", |body| {
            let file = body.responses[0].completion.files[0].clone();
            body.responses[0].completion.files.push(file);
        }),
        ("other name", |body| body.responses[0].completion.files[0].filename = "index.js".to_owned()),
        ("no truth", |body| body.ground_truth.clear()),
        ("two with one cid", |body| body.responses.push(body.responses[0].clone())),
    ];
    let body = PairBody::of(&finished("<p>")).unwrap();
    assert_eq!(body.check(), Ok(()));
    for (what, change) in cases {
        let mut body = body.clone();
        change(&mut body);
        assert_eq!(body.check().unwrap_err().class(), "unpublishable", "{what}");
    }
}

#[test]
fn a_body_over_the_limit_is_refused() {
    let error = v1_body(&finished(&"\u{1}".repeat(1024 * 1024))).unwrap_err();
    assert_eq!(error.class(), "too_large");
}

proptest! {
    #[test]
    fn the_ground_truth_names_exactly_the_answers(cid: u128, page in "\\PC*[a-z]", question: String) {
        let mut draft = finished(&page);
        draft.head.question = Some(question);
        draft.candidates.get_mut(&CandidateName::Base).unwrap().cid = Uuid::from_u128(cid);
        let body: PairBody = serde_json::from_slice(&v1_body(&draft).unwrap()).unwrap();
        let cids: Vec<_> = body.responses.iter().map(|response| response.cid).collect();
        prop_assert_eq!(body.ground_truth.keys().copied().collect::<Vec<_>>(), cids);
    }
}
