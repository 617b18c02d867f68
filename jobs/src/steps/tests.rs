//! What each step makes of good and bad replies and reports.

use std::sync::Arc;

use proptest::prelude::*;
use serde_json::{Value, json};

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

// objects

#[tokio::test]
async fn objects_are_chosen_fresh_and_remembered() {
    let llm = FakeLlm::replies([reply(r#"{"objects": ["Kite", "coin", " drum ", "coin"]}"#)]);
    let memory = FakeMemory::default().with(RecentList::Objects, &["kite"]);
    let world = world(llm, FakeSandbox::finding(vec![]), memory, 3);
    let draft = Draft { head: Head::new(Kind::Web, 7, 1000), candidates: [].into(), ..draft(None) };
    let outcome = run_step(&world, draft, Step::Objects, 0).await.unwrap();

    assert_eq!(followed(&outcome), (Step::Question, 0));
    let head = &outcome.draft.head;
    assert!((2..=3).contains(&head.objects.len()), "{:?}", head.objects);
    assert!(head.objects[..2].iter().all(|object| object == "coin" || object == "drum"));
    assert_eq!(head.persona.as_deref(), Some(world.ctx.personas.pick(7)));
    let remembered: Vec<_> =
        head.objects.iter().map(|object| (RecentList::Objects, object.clone())).collect();
    assert_eq!(outcome.remember, remembered);
    let request = &world.llm.asked()[0];
    assert_eq!((request.purpose, request.seed), (Purpose::Objects, 7));
    assert_eq!(request.inputs, json!({"topic": head.topic, "persona": head.persona, "avoid": ["kite"]}));
}

#[tokio::test]
async fn a_pair_without_objects_is_rejected() {
    let world = replying([r#"{"objects": []}"#, "no", r#"{"objects": [" "]}"#]);
    let outcome = run_step(&world, draft(None), Step::Objects, 0).await.unwrap();
    assert_eq!(rejected(&outcome), "no objects: it names no object");
}

#[tokio::test]
async fn one_object_is_better_than_none() {
    let world = replying([r#"{"objects": ["kite"]}"#, "no", "no"]);
    let outcome = run_step(&world, draft(None), Step::Objects, 0).await.unwrap();
    assert_eq!(outcome.draft.head.objects, ["kite"]);
}

// question

fn question(words: &str) -> String {
    let text = (0..120).fold(String::new(), |text, number| text + &format!("{words} {number} "));
    json!({ "question": text }).to_string()
}

#[tokio::test]
async fn a_question_goes_on_to_the_base_answer() {
    let world = replying([question("kite")]);
    let outcome = run_step(&world, draft(None), Step::Question, 0).await.unwrap();
    let Next::Run(jobs) = &outcome.next else { panic!("{:?}", outcome.next) };
    let expected = Job {
        step: Step::Answer,
        candidate: Some(CandidateName::Base),
        ..job(&outcome.draft, Step::Question, 0)
    };
    assert_eq!(jobs.as_slice(), [expected]);
    let head = &outcome.draft.head;
    assert_eq!(head.question_model.as_deref(), Some("fake/model"));
    let written = head.question.as_deref().unwrap();
    assert!(written.starts_with("kite 0 kite 1") && written.contains("`index.js`"), "{written}");
    assert_eq!(outcome.remember.len(), 1);
    assert!(written.starts_with(&outcome.remember[0].1));
    assert_eq!(
        world.llm.asked()[0].inputs,
        json!({"topic": "games", "persona": "A diver.", "objects": ["kite", "coin"]})
    );
}

#[tokio::test]
async fn a_short_question_is_asked_for_again_and_then_rejected() {
    let short = json!({"question": "Build a kite."}).to_string();
    let outcome =
        run_step(&replying([short.clone(), question("kite")]), draft(None), Step::Question, 0).await;
    assert_eq!(followed(&outcome.unwrap()), (Step::Answer, 0));
    let outcome = run_step(&replying(vec![short; 3]), draft(None), Step::Question, 0).await.unwrap();
    assert_eq!(rejected(&outcome), "no question: the question has about 3 tokens; at least 100 are needed");
}

#[tokio::test]
async fn a_question_like_a_recent_one_is_asked_for_again_and_then_rejected() {
    let known: Value = serde_json::from_str(&question("kite")).unwrap();
    let memory = || FakeMemory::default().with(RecentList::Questions, &[known["question"].as_str().unwrap()]);
    let sandbox = || FakeSandbox::finding(vec![]);
    let llm = FakeLlm::replies([reply(question("kite")), reply(question("drum"))]);
    let outcome = run_step(&world(llm, sandbox(), memory(), 3), draft(None), Step::Question, 0).await;
    assert_eq!(followed(&outcome.unwrap()), (Step::Answer, 0));
    let llm = FakeLlm::replies(vec![reply(question("kite")); 3]);
    let outcome =
        run_step(&world(llm, sandbox(), memory(), 3), draft(None), Step::Question, 0).await.unwrap();
    assert!(rejected(&outcome).contains("too like a recent one"), "{}", rejected(&outcome));
}

// answer

fn answer(files: &[(&str, &str)]) -> String {
    let files: Vec<Value> =
        files.iter().map(|(name, content)| json!({"filename": name, "content": content})).collect();
    json!({ "files": files }).to_string()
}

async fn answered<R: Into<String>>(replies: Vec<R>) -> (World, Outcome) {
    let world = replying(replies);
    let draft = Draft { candidates: [].into(), ..draft(None) };
    let outcome = run_step(&world, draft, Step::Answer, 0).await.unwrap();
    (world, outcome)
}

#[tokio::test]
async fn an_answer_becomes_one_page() {
    let good = answer(&[("index.html", "<p><script src=index.js></script>"), ("index.js", "go()")]);
    let (world, outcome) = answered(vec![good]).await;
    assert_eq!(followed(&outcome), (Step::Execute, 0));
    let candidate = base(&outcome);
    assert_eq!(
        (candidate.page.as_str(), candidate.model.as_str()),
        ("<p><script>go()</script>", "fake/model")
    );
    assert!(candidate.report.is_none() && candidate.best.is_none());
    assert_eq!(
        world.llm.asked()[0].inputs,
        json!({
            "topic": "games", "persona": "A diver.", "objects": ["kite", "coin"], "question": "Build a kite game.",
        })
    );
}

#[tokio::test]
async fn an_answer_that_cannot_be_used_is_asked_for_again_with_the_reason() {
    let good = answer(&[("index.html", "<p>")]);
    let cases = [
        ("{\"files\": [".to_owned(), "not JSON"),
        ("Here you are!".to_owned(), "not JSON"),
        (answer(&[("index.js", "go()")]), "no file named `index.html`"),
        (answer(&[]), "no file named `index.html`"),
        (answer(&[("index.html", "<script src=a.js></script>")]), "refers to `a.js`"),
        (answer(&[("index.html", "<script>let x = ;</script>")]), "line 1, column 17: "),
    ];
    for (bad, reason) in cases {
        let (world, outcome) = answered(vec![bad, good.clone()]).await;
        assert_eq!(
            (followed(&outcome), base(&outcome).page.as_str()),
            ((Step::Execute, 0), "<p>"),
            "{reason}"
        );
        let told = &world.llm.asked()[1].messages[3].content;
        assert!(told.contains(reason), "{told}");
    }
}

#[tokio::test]
async fn an_answer_that_was_cut_off_is_asked_for_again() {
    let cut =
        Reply { complete: false, ..reply("{\"files\": [{\"filename\": \"index.html\", \"content\": \"<p>") };
    let llm = FakeLlm::replies([cut, reply(answer(&[("index.html", "<b>")]))]);
    let world = world(llm, FakeSandbox::finding(vec![]), FakeMemory::default(), 3);
    let outcome = run_step(&world, draft(None), Step::Answer, 0).await.unwrap();
    assert_eq!(base(&outcome).page, "<b>");
    assert!(world.llm.asked()[1].messages[3].content.contains("cut off"));
}

#[tokio::test]
async fn prose_and_small_damage_around_an_answer_do_not_matter() {
    let damaged = "Sure:\n```json\n{\"files\": [{\"filename\": \"index.html\", \"content\": \"<p class=\"x\">\"},]}\n```";
    let (world, outcome) = answered(vec![damaged]).await;
    assert_eq!(base(&outcome).page, "<p class=\"x\">");
    assert_eq!(world.llm.asked().len(), 1);
}

#[tokio::test]
async fn an_answer_whose_script_never_parses_goes_on_to_execute() {
    let bad = answer(&[("index.html", "<script>let x = ;</script>")]);
    let (world, outcome) = answered(vec![bad; 3]).await;
    assert_eq!(followed(&outcome), (Step::Execute, 0));
    assert_eq!(base(&outcome).page, "<script>let x = ;</script>");
    assert_eq!(world.llm.asked().len(), 3);
}

#[tokio::test]
async fn an_answer_without_a_page_is_rejected() {
    let (_, outcome) = answered(vec![answer(&[("index.js", "go()")]); 3]).await;
    assert_eq!(rejected(&outcome), "no answer: there is no file named `index.html` with content");
}

// execute

#[tokio::test]
async fn a_clean_page_goes_to_solve() {
    let world = finding(vec![advice()], 3);
    let outcome = run_step(&world, draft(None), Step::Execute, 2).await.unwrap();
    assert_eq!(followed(&outcome), (Step::Solve, 2));
    assert_eq!(base(&outcome).report, Some(report(vec![advice()])));
    assert_eq!(base(&outcome).first_report, Some(report(vec![advice()])));
    assert_eq!((world.sandbox.asked()[0].page.as_str(), world.sandbox.asked()[0].seed), (PAGE, 7));
}

#[tokio::test]
async fn a_blocking_page_goes_to_fix_until_the_rounds_are_used_up() {
    for (round, rounds) in [(0, 3), (2, 3), (19, 500)] {
        let outcome = run_step(&finding(vec![syntax(3)], rounds), draft(None), Step::Execute, round).await;
        assert_eq!(followed(&outcome.unwrap()), (Step::Fix, round));
    }
    for (round, rounds) in [(0, 0), (3, 3), (20, 500)] {
        let outcome =
            run_step(&finding(vec![syntax(3)], rounds), draft(None), Step::Execute, round).await.unwrap();
        let expected = format!(
            "not mended in {round} rounds; 1 blocking finding: syntax at line 3 in phase load: Unexpected token"
        );
        assert_eq!(rejected(&outcome), expected);
    }
}

/// Executes a page that was fixed; says whether it was kept, and where it went.
async fn second_run(before: Vec<Finding>, after: Vec<Finding>) -> (bool, Outcome) {
    let mut draft = draft(None);
    let candidate = draft.candidates.get_mut(&CandidateName::Base).unwrap();
    candidate.first_report = Some(report(vec![syntax(99)]));
    candidate.best = Some(Best { page: "<p>before".to_owned(), report: report(before) });
    let outcome = run_step(&finding(after, 3), draft, Step::Execute, 1).await.unwrap();
    assert!(base(&outcome).best.is_none());
    assert_eq!(base(&outcome).first_report, Some(report(vec![syntax(99)])));
    (base(&outcome).page == PAGE, outcome)
}

#[tokio::test]
async fn the_better_version_is_kept() {
    let two = || vec![syntax(1), syntax(2)];
    let cases = [
        ("fewer blocking", two(), vec![syntax(1)], true, Step::Fix),
        ("as many", vec![syntax(1)], vec![syntax(5)], true, Step::Fix),
        ("more blocking", vec![syntax(1)], two(), false, Step::Fix),
        ("as many blocking, more advice", vec![syntax(1)], vec![syntax(1), advice()], false, Step::Fix),
        ("as many blocking, less advice", vec![syntax(1), advice()], vec![syntax(1)], true, Step::Fix),
        ("clean at last", vec![syntax(1)], vec![], true, Step::Solve),
        ("both clean, more advice", vec![], vec![advice()], true, Step::Solve),
        ("clean before", vec![], vec![syntax(1)], false, Step::Fix),
    ];
    for (what, before, after, kept, next) in cases {
        let (was_kept, outcome) = second_run(before.clone(), after.clone()).await;
        assert_eq!((was_kept, followed(&outcome)), (kept, (next, 1)), "{what}");
        assert_eq!(base(&outcome).report, Some(report(if kept { after } else { before })), "{what}");
    }
}

#[tokio::test]
async fn a_worse_fix_leaves_a_lesson() {
    let (_, outcome) = second_run(vec![syntax(1)], vec![syntax(1), syntax(2)]).await;
    assert_eq!(base(&outcome).page, "<p>before");
    let [lesson] = base(&outcome).objections.as_slice() else { panic!("{:?}", base(&outcome).objections) };
    assert!(
        lesson.starts_with("round 1 made the page worse and was undone; its page had 2 blocking"),
        "{lesson}"
    );
}

#[tokio::test]
async fn a_screenshot_that_is_too_large_is_left_out() {
    for (bytes, kept) in [(crate::pair::BODY_BYTES_MAX, true), (crate::pair::BODY_BYTES_MAX + 1, false)] {
        let sandbox =
            FakeSandbox::new(move |_| Ok(Report { screenshot: Some(vec![0; bytes]), ..report(vec![]) }));
        let world = world(FakeLlm::replies([]), sandbox, FakeMemory::default(), 3);
        let outcome = run_step(&world, draft(None), Step::Execute, 0).await.unwrap();
        assert_eq!(base(&outcome).report.as_ref().unwrap().screenshot.is_some(), kept);
        assert!(base(&outcome).first_report.as_ref().unwrap().screenshot.is_none());
    }
}

// fix

fn edits(edits: &[(&str, &str)]) -> String {
    let edits: Vec<Value> =
        edits.iter().map(|(find, replace)| json!({"find": find, "replace": replace})).collect();
    json!({"explanation": "because", "edits": edits}).to_string()
}

#[tokio::test]
async fn a_fix_is_executed_and_what_it_started_from_is_kept() {
    let world = replying([edits(&[("start();", "begin();")])]);
    let outcome = run_step(&world, draft(Some(vec![syntax(1), advice()])), Step::Fix, 1).await.unwrap();
    assert_eq!(followed(&outcome), (Step::Execute, 2));
    let candidate = base(&outcome);
    assert_eq!(candidate.page, PAGE.replace("start", "begin"));
    assert_eq!(candidate.report, None);
    assert_eq!(
        candidate.best,
        Some(Best { page: PAGE.to_owned(), report: report(vec![syntax(1), advice()]) })
    );
    let request = &world.llm.asked()[0];
    assert_eq!(
        request.inputs,
        json!({
            "question": "Build a kite game.", "page": PAGE, "findings": [syntax(1), advice()], "objections": [],
        })
    );
    let prompt = &request.messages[1].content;
    assert!(prompt.contains("1. syntax at line 1, column 1, in phase load"), "{prompt}");
    assert!(prompt.contains("2. browser (advice)"), "{prompt}");
    assert!(prompt.contains(&format!("    1| {PAGE}")), "{prompt}");
}

#[tokio::test]
async fn an_edit_that_does_not_match_once_is_asked_for_again() {
    let good = || edits(&[("start();", "begin();")]);
    let cases = [
        (edits(&[("gone", "x")]), "`find` of edit 1 does not occur"),
        (edits(&[("start();", "go();"), ("p", "x")]), "`find` of edit 2 occurs 4 times"),
        (edits(&[]), "it has 0 edits"),
        (edits(&[("start();", "let x = ;")]), "scripts do not parse"),
    ];
    for (bad, reason) in cases {
        let world = replying([bad, good()]);
        let outcome = run_step(&world, draft(Some(vec![syntax(1)])), Step::Fix, 0).await.unwrap();
        assert_eq!(base(&outcome).page, PAGE.replace("start", "begin"), "{reason}");
        let told = &world.llm.asked()[1].messages[3].content;
        assert!(told.contains(reason), "{told}");
    }
}

#[tokio::test]
async fn a_fix_whose_script_never_parses_is_executed_all_the_same() {
    let world = replying(vec![edits(&[("start();", "let x = ;")]); 3]);
    let outcome = run_step(&world, draft(Some(vec![syntax(1)])), Step::Fix, 0).await.unwrap();
    assert_eq!(followed(&outcome), (Step::Execute, 1));
}

#[tokio::test]
async fn a_fruitless_fix_is_followed_by_another_round_that_asks_something_else() {
    let world = replying(vec!["no"; 6]);
    let first = run_step(&world, draft(Some(vec![syntax(1)])), Step::Fix, 0).await.unwrap();
    assert_eq!(followed(&first), (Step::Fix, 1));
    assert_eq!((base(&first).page.as_str(), &base(&first).best), (PAGE, &None));
    let second = run_step(&world, first.draft, Step::Fix, 1).await.unwrap();
    assert_eq!(followed(&second), (Step::Fix, 2));
    let asked = world.llm.asked();
    assert_ne!(asked[0].messages, asked[3].messages);
    assert!(asked[3].messages[1].content.contains("round 1 gave no edits that could be used"));
}

#[tokio::test]
async fn fruitless_fixes_use_the_rounds_up() {
    let outcome =
        run_step(&replying(vec!["no"; 3]), draft(Some(vec![syntax(1)])), Step::Fix, 2).await.unwrap();
    assert!(rejected(&outcome).starts_with("not mended in 3 rounds; the last one gave: it is not JSON"));
}

#[tokio::test]
async fn objections_are_shown_to_fix() {
    let mut draft = draft(Some(vec![]));
    draft.candidates.get_mut(&CandidateName::Base).unwrap().objections = vec!["no score is shown".to_owned()];
    let world = replying([edits(&[("0", "Score: 0")])]);
    run_step(&world, draft, Step::Fix, 0).await.unwrap();
    let prompt = &world.llm.asked()[0].messages[1].content;
    assert!(prompt.contains("found nothing wrong") && prompt.contains("- no score is shown"), "{prompt}");
}

// solve

fn verdict(verdict: &str, met: bool, reasons: &[&str]) -> String {
    let requirement = json!({"requirement": "a score", "met": met, "evidence": "line 1"});
    json!({"requirements": [requirement], "verdict": verdict, "reasons": reasons}).to_string()
}

async fn solved(replies: Vec<String>, found: Vec<Finding>, round: u32) -> Outcome {
    run_step(&replying(replies), draft(Some(found)), Step::Solve, round).await.unwrap()
}

#[tokio::test]
async fn an_accepted_candidate_makes_the_pair_ready() {
    let world = replying([verdict("accept", true, &[])]);
    let outcome = run_step(&world, draft(Some(vec![advice()])), Step::Solve, 0).await.unwrap();
    assert_eq!(outcome.next, Next::Ready);
    assert_eq!(
        world.llm.asked()[0].inputs,
        json!({"question": "Build a kite game.", "page": PAGE, "report": report(vec![advice()])})
    );
}

#[tokio::test]
async fn solve_may_veto_a_clean_report() {
    let outcome = solved(vec![verdict("retry", false, &["show a score"])], vec![], 1).await;
    assert_eq!(followed(&outcome), (Step::Fix, 1));
    assert_eq!(base(&outcome).objections, ["show a score"]);
    let outcome = solved(vec![verdict("reject", false, &["it is another game"])], vec![], 0).await;
    assert_eq!(rejected(&outcome), "solve rejects it: it is another game");
    let outcome = solved(vec![verdict("retry", false, &[])], vec![], 1).await;
    assert_eq!(base(&outcome).objections, ["not met: a score (line 1)"]);
}

#[tokio::test]
async fn a_veto_without_rounds_left_rejects() {
    let outcome = solved(vec![verdict("retry", false, &["show a score"])], vec![], 3).await;
    assert_eq!(rejected(&outcome), "not good after 3 rounds: show a score");
}

#[tokio::test]
async fn solve_cannot_overrule_a_blocking_report() {
    let outcome = solved(vec![verdict("accept", true, &[])], vec![syntax(3)], 0).await;
    assert_eq!(followed(&outcome), (Step::Fix, 0));
    assert!(base(&outcome).objections[0].starts_with("1 blocking finding: syntax at line 3"));
    let outcome = solved(vec![verdict("accept", true, &[])], vec![syntax(3)], 3).await;
    assert!(rejected(&outcome).starts_with("not good after 3 rounds: 1 blocking finding"));
}

#[tokio::test]
async fn an_acceptance_that_contradicts_itself_is_no_acceptance() {
    let contrary = verdict("accept", false, &[]);
    let outcome = solved(vec![contrary.clone(), verdict("accept", true, &[])], vec![], 0).await;
    assert_eq!(outcome.next, Next::Ready);
    let outcome = solved(vec![contrary; 3], vec![], 0).await;
    assert_eq!(followed(&outcome), (Step::Fix, 0));
    assert_eq!(base(&outcome).objections, ["not met: a score (line 1)"]);
}

#[tokio::test]
async fn a_pair_without_a_verdict_is_rejected() {
    let empty = json!({"requirements": [], "verdict": "accept", "reasons": []}).to_string();
    let silent = verdict("retry", true, &[]);
    let outcome = solved(vec!["no".to_owned(), silent, empty], vec![], 0).await;
    assert_eq!(rejected(&outcome), "no verdict: it names no requirement");
}

#[tokio::test]
async fn objections_are_bounded() {
    let mut draft = draft(Some(vec![]));
    draft.candidates.get_mut(&CandidateName::Base).unwrap().objections =
        vec!["old".to_owned(); OBJECTIONS_MAX];
    let world = replying([verdict("retry", false, &["é".repeat(5000).as_str()])]);
    let outcome = run_step(&world, draft, Step::Solve, 0).await.unwrap();
    assert_eq!(base(&outcome).objections.len(), OBJECTIONS_MAX);
    let newest = base(&outcome).objections.last().unwrap();
    assert_eq!(newest.chars().count(), OBJECTION_CHARS_MAX + 1);
}

// errors

#[test]
fn every_error_has_its_class_and_fate() {
    use std::time::Duration;

    use Disposition::{Bury, Halt, Retry, Wait};
    let responder = || "a/b".to_owned();
    let message = || "x".to_owned();
    let after = Some(Duration::from_secs(3));
    let cases: Vec<(StepError, &str, Disposition)> = vec![
        (
            LlmError::RateLimited { responder: responder(), retry_after: after }.into(),
            "rate_limited",
            Wait { after },
        ),
        (LlmError::Unauthorized { responder: responder(), message: message() }.into(), "unauthorized", Halt),
        (
            LlmError::Refused { responder: responder(), status: 400, message: message() }.into(),
            "refused",
            Bury,
        ),
        (LlmError::Unavailable { responder: responder(), message: message() }.into(), "unavailable", Retry),
        (LlmError::TooLarge { responder: responder(), limit: 1 }.into(), "reply_too_large", Retry),
        (SandboxError::PageTooLarge { bytes: 1 }.into(), "page_too_large", Bury),
        (
            SandboxError::Unavailable { problem: message(), remedy: message() }.into(),
            "sandbox_unavailable",
            Wait { after: None },
        ),
        (SandboxError::Browser { doing: message(), message: message() }.into(), "browser", Retry),
        (MemoryError("x".into()).into(), "memory", Wait { after: None }),
        (RecordError::Missing { field: message() }.into(), "record_missing", Bury),
        (StepError::Incomplete { what: "question" }, "incomplete", Bury),
        (StepError::Prompt { name: "fix.user", message: message() }, "prompt", Bury),
    ];
    for (error, class, disposition) in cases {
        assert_eq!((error.class(), error.disposition()), (class, disposition), "{error}");
    }
}

#[tokio::test]
async fn errors_of_the_ports_are_errors_of_the_step() {
    let silent = || FakeLlm::replies([]);
    let broken = || FakeSandbox::new(|_| Err(SandboxError::PageTooLarge { bytes: 9 }));
    let cases = [
        (Step::Objects, FakeMemory::broken(), "memory"),
        (Step::Question, FakeMemory::broken(), "memory"),
        (Step::Objects, FakeMemory::default(), "unavailable"),
        (Step::Question, FakeMemory::default(), "unavailable"),
        (Step::Answer, FakeMemory::default(), "unavailable"),
        (Step::Execute, FakeMemory::default(), "page_too_large"),
        (Step::Fix, FakeMemory::default(), "unavailable"),
        (Step::Solve, FakeMemory::default(), "unavailable"),
    ];
    for (step, memory, class) in cases {
        let world = world(silent(), broken(), memory, 3);
        let error = run_step(&world, draft(Some(vec![syntax(1)])), step, 0).await.unwrap_err();
        assert_eq!(error.class(), class, "{step}");
    }
}

#[tokio::test]
async fn a_draft_that_lacks_what_a_step_needs_is_buried() {
    for step in [Step::Question, Step::Answer, Step::Execute, Step::Fix, Step::Solve] {
        let empty = Draft { head: Head::new(Kind::Web, 7, 0), candidates: [].into(), ..draft(None) };
        let error = run_step(&replying([""]), empty, step, 0).await.unwrap_err();
        assert_eq!((error.class(), error.disposition()), ("incomplete", Disposition::Bury), "{step}");
    }
    for step in [Step::Answer, Step::Execute, Step::Fix, Step::Solve] {
        let draft = draft(None);
        let nameless = Job { candidate: None, ..job(&draft, step, 0) };
        let error = run(&nameless, draft, &replying([""]).ctx).await.unwrap_err();
        assert_eq!(error.class(), "incomplete", "{step}");
    }
}

// whatever a model replies

fn any_reply() -> impl Strategy<Value = String> {
    let odd =
        "(\\{|\\}|\\[|\\]|\"|,|:|\\\\|\"files\"|\"edits\"|\"find\"|\"content\"|<script>|</script>|```|\\PC)*";
    let text = prop_oneof![any::<String>(), odd.prop_map(|text: String| text), Just("start();".to_owned())];
    let pieces = (text.clone(), text.clone(), text.clone());
    prop_oneof![
        text,
        pieces.clone().prop_map(|(a, b, c)| json!({"files": [
            {"filename": "index.html", "content": a}, {"filename": b, "content": c},
        ]}).to_string()),
        pieces.clone().prop_map(|(a, b, c)| json!({"explanation": a, "edits": [{"find": b, "replace": c}]}).to_string()),
        pieces.clone().prop_map(|(a, b, c)| json!({"objects": [a, b, c], "question": a.repeat(50)}).to_string()),
        pieces.prop_map(|(a, b, c)| json!({
            "requirements": [{"requirement": a, "met": false, "evidence": b}], "verdict": "retry", "reasons": [c],
        }).to_string()),
    ]
}

proptest! {
    #[test]
    fn no_reply_makes_a_step_panic_or_fail(replies in prop::collection::vec((any_reply(), any::<bool>()), 3)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        for step in [Step::Objects, Step::Question, Step::Answer, Step::Fix, Step::Solve] {
            let replies = replies.clone().into_iter().map(|(text, complete)| Reply { complete, ..reply(text) });
            let llm = FakeLlm::replies(replies);
            let world = world(llm, FakeSandbox::finding(vec![]), FakeMemory::default(), 3);
            let outcome = runtime.block_on(run_step(&world, draft(Some(vec![syntax(1)])), step, 0));
            prop_assert!(outcome.is_ok(), "{step}: {outcome:?}");
        }
    }
}
