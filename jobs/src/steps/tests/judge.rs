//! What follows from a verdict.

use serde_json::json;

use super::*;

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
