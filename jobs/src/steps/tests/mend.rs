//! What is kept of an execution, and what becomes of good and bad edits.

use serde_json::{Value, json};

use super::*;

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
