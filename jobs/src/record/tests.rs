use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::{
    finding::{Coverage, Finding, FindingClass, Listener, StackFrame},
    job::Step,
    pair::Topic,
    ports::fake::{self, blocking},
};

const PAIR: &str = "01936f2e-0000-7000-8000-000000000001";
const CID: &str = "01936f2e-0000-7000-8000-00000000000a";

fn id() -> PairId {
    PAIR.parse().unwrap()
}

fn report(screenshot: Option<Vec<u8>>) -> Report {
    let finding = Finding {
        column: Some(3),
        phase: "click".to_owned(),
        page_ms: 1200,
        input: Some("click button \"Start\"".to_owned()),
        ..blocking(FindingClass::Reference, "ReferenceError: ballon is not defined", 12)
    };
    Report { screenshot, ..fake::report(vec![finding]) }
}

fn draft() -> Draft {
    let head = Head {
        topic: Some(Topic::Games),
        persona: Some("A retired lighthouse keeper".to_owned()),
        objects: vec!["balloon".to_owned(), "kite".to_owned()],
        question: Some("Build a kite game".to_owned()),
        question_model: Some("a/b".to_owned()),
        ..Head::new(Kind::Web, u64::MAX, 1_700_000_000_000)
    };
    let candidate = Candidate {
        cid: CID.parse().unwrap(),
        model: "a/b".to_owned(),
        page: "<p>now</p>".to_owned(),
        report: Some(report(Some(vec![0x89, b'P', b'N', b'G']))),
        first_report: Some(report(None)),
        best: Some(Best { page: "<p>before</p>".to_owned(), report: report(None) }),
        objections: vec!["no score is shown".to_owned()],
    };
    let candidates = BTreeMap::from([(CandidateName::Base, candidate)]);
    Draft { id: id(), head, candidates, history: vec![done(Step::Objects, 5), done(Step::Question, 9)] }
}

fn done(step: Step, at_ms: u64) -> StepRecord {
    StepRecord {
        step,
        candidate: None,
        round: 0,
        attempt: 0,
        at_ms,
        duration_ms: 3,
        llm_calls: 1,
        cost_micro_usd: 250,
        blocking: None,
    }
}

fn stored(draft: &Draft) -> Fields {
    let mut fields: Fields = changed_fields(&Fields::new(), draft).unwrap().into_iter().collect();
    for record in &draft.history {
        let job = Job { pair: draft.id, step: record.step, candidate: record.candidate, round: record.round };
        fields.insert(done_name(&job), done_value(record).unwrap());
    }
    fields
}

fn json_of(fields: &Fields, name: &str) -> Value {
    serde_json::from_slice(&fields[name]).unwrap()
}

fn report_json() -> Value {
    json!({
        "findings": [{
            "class": "reference", "severity": "blocking", "message": "ReferenceError: ballon is not defined",
            "line": 12, "column": 3, "phase": "click", "page_ms": 1200, "input": "click button \"Start\"",
        }],
        "findings_left_out": 0, "seed": 7, "page_ms": 10_000, "wall_ms": 400, "frames": 60, "inputs": 40,
        "memory_bytes_peak": 1_000_000,
    })
}

/// The stored shapes of version 1. If this test must change, a worker of the release before cannot read what
/// this one writes: raise `DRAFT_VERSION`.
#[test]
fn stored_shapes_are_pinned() {
    let fields = stored(&draft());
    let mut names: Vec<_> = fields.keys().map(String::as_str).collect();
    names.sort_unstable();
    let done_objects = format!("done:{PAIR}/objects");
    let done_question = format!("done:{PAIR}/question");
    assert_eq!(
        names,
        ["best:base", "candidate:base", &done_objects, &done_question, "head", "page:base", "shot:base"]
    );
    assert_eq!(
        json_of(&fields, "head"),
        json!({
            "v": 1, "kind": "web", "seed": u64::MAX, "created_ms": 1_700_000_000_000_u64, "topic": "games",
            "persona": "A retired lighthouse keeper", "objects": ["balloon", "kite"],
            "question": "Build a kite game", "question_model": "a/b",
        })
    );
    assert_eq!(
        json_of(&fields, "candidate:base"),
        json!({
            "v": 1, "cid": CID, "model": "a/b", "report": report_json(), "first_report": report_json(),
            "best": report_json(), "objections": ["no score is shown"],
        })
    );
    assert_eq!(
        json_of(&fields, &done_objects),
        json!({
            "step": "objects", "round": 0, "attempt": 0, "at_ms": 5, "duration_ms": 3, "llm_calls": 1,
            "cost_micro_usd": 250,
        })
    );
    assert_eq!(fields["page:base"], b"<p>now</p>");
    assert_eq!(fields["best:base"], b"<p>before</p>");
    assert_eq!(fields["shot:base"], b"\x89PNG");
}

#[test]
fn what_was_stored_is_read_back() {
    let draft = draft();
    assert_eq!(decode(id(), stored(&draft)), Ok(draft));
}

#[test]
fn reports_say_what_was_reached_and_old_ones_are_read_without() {
    let mut old = report(None);
    let json = report_json();
    assert_eq!(serde_json::from_value::<Report>(json.clone()).unwrap(), old);
    let frame = StackFrame { function: Some("draw".to_owned()), file: None, line: 12, column: 3 };
    old.findings[0].stack = vec![frame];
    old.findings[0].file = Some("index.js".to_owned());
    let listener = Listener { event: "click".to_owned(), target: "button#start".to_owned() };
    old.coverage = Some(Coverage { listeners: 2, reached: 1, unreached: vec![listener] });
    old.hash = old.digest();
    let mut with = json;
    with["findings"][0]["stack"] = json!([{"function": "draw", "line": 12, "column": 3}]);
    with["findings"][0]["file"] = json!("index.js");
    with["coverage"] =
        json!({"listeners": 2, "reached": 1, "unreached": [{"event": "click", "target": "button#start"}]});
    with["hash"] = json!(old.hash);
    assert_eq!(serde_json::to_value(&old).unwrap(), with);
    assert_eq!(serde_json::from_value::<Report>(with).unwrap(), old);
}

#[test]
fn only_changed_fields_are_stored_again() {
    let mut draft = draft();
    let stored = stored(&draft);
    assert_eq!(changed_fields(&stored, &draft), Ok(vec![]));
    draft.candidates.get_mut(&CandidateName::Base).unwrap().page = "<p>later</p>".to_owned();
    assert_eq!(changed_fields(&stored, &draft), Ok(vec![("page:base".to_owned(), b"<p>later</p>".to_vec())]));
}

#[test]
fn history_is_ordered_by_the_time_jobs_finished() {
    let mut draft = draft();
    draft.history = vec![done(Step::Question, 9), done(Step::Objects, 5)];
    let read = decode(id(), stored(&draft)).unwrap();
    assert_eq!(read.history.iter().map(|record| record.at_ms).collect::<Vec<_>>(), [5, 9]);
}

#[test]
fn a_settled_best_leaves_its_old_page_without_effect() {
    let mut draft = draft();
    let mut fields = stored(&draft);
    draft.candidates.get_mut(&CandidateName::Base).unwrap().best = None;
    for (name, value) in changed_fields(&fields, &draft).unwrap() {
        fields.insert(name, value);
    }
    assert!(fields.contains_key("best:base"));
    assert_eq!(decode(id(), fields), Ok(draft));
}

#[test]
fn unknown_fields_are_ignored() {
    let draft = draft();
    let mut fields = stored(&draft);
    fields.insert("state".to_owned(), b"open".to_vec());
    fields.insert("candidate:rank9".to_owned(), vec![0xff]);
    assert_eq!(decode(id(), fields), Ok(draft));
}

#[test]
fn a_new_pair_is_its_head_and_its_first_job() {
    let pair = new_pair(42, 1000).unwrap();
    let draft = decode(pair.id, pair.fields.into_iter().collect()).unwrap();
    assert_eq!(draft.head, Head::new(Kind::Web, 42, 1000));
    assert_eq!(pair.first.id.as_str(), format!("{}/objects", pair.id));
    assert_eq!(Job::from_envelope(pair.id, &pair.first.envelope), Ok(Job::first(pair.id)));
}

#[test]
fn every_error_has_its_class_and_fate() {
    use Disposition::{Bury, Wait};
    let broken = |name: &str, value: Option<&[u8]>| {
        let mut fields = stored(&draft());
        match value {
            Some(value) => fields.insert(name.to_owned(), value.to_vec()),
            None => fields.remove(name),
        };
        decode(id(), fields).unwrap_err()
    };
    let mut large = draft();
    large.head.question = Some("x".repeat(BODY_BYTES_MAX));
    let mut empty = draft();
    empty.candidates.clear();
    let done = format!("done:{PAIR}/objects");
    let cases = [
        (broken("head", None), "record_missing", Bury),
        (broken("page:base", None), "record_missing", Bury),
        (broken("best:base", None), "record_missing", Bury),
        (broken("head", Some(b"{")), "undecodable", Bury),
        (broken("head", Some(b"[]")), "undecodable", Bury),
        (broken("page:base", Some(&[0xff])), "undecodable", Bury),
        (broken(&done, Some(b"null")), "undecodable", Bury),
        (broken("head", Some(br#"{"v":2,"all":"new"}"#)), "newer", Wait { after: None }),
        (broken("candidate:base", Some(br#"{"v":2}"#)), "newer", Wait { after: None }),
        (broken(&done, Some(br#"{"v":2,"step":"polish"}"#)), "newer", Wait { after: None }),
        (head_field(&large.head).unwrap_err(), "too_large", Bury),
        (crate::body::v1_body(&empty).unwrap_err(), "unpublishable", Bury),
    ];
    for (error, class, disposition) in cases {
        assert_eq!((error.class(), error.disposition()), (class, disposition), "{error}");
    }
}

#[test]
fn two_full_pages_of_quotes_can_be_stored() {
    let mut draft = draft();
    let candidate = draft.candidates.get_mut(&CandidateName::Base).unwrap();
    candidate.page = "\"".repeat(1024 * 1024);
    candidate.best.as_mut().unwrap().page = "\n".repeat(1024 * 1024);
    assert_eq!(decode(id(), stored(&draft)), Ok(draft));
}

proptest! {
    #[test]
    fn no_bytes_make_decoding_panic(name in "(head|candidate:base|page:base|done:x)", value: Vec<u8>) {
        let mut fields = stored(&draft());
        fields.insert(name, value);
        let _ = decode(id(), fields);
    }

    #[test]
    fn any_text_survives(question: String, page: String, objection: String, shot: Vec<u8>) {
        let mut draft = draft();
        draft.head.question = Some(question);
        let candidate = draft.candidates.get_mut(&CandidateName::Base).unwrap();
        candidate.page = page;
        candidate.objections.push(objection);
        candidate.report.as_mut().unwrap().screenshot = Some(shot);
        prop_assert_eq!(decode(id(), stored(&draft)), Ok(draft));
    }
}
