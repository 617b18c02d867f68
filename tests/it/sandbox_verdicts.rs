//! Pages that got, or gave another page, a verdict that was not theirs: by what they say, by the names that they use, by
//! what they leave running, by how fast the machine is.

use mondo_jobs::finding::Report;
use mondo_workers::sandbox::BackendChoice;

use crate::support::sandbox::{execute, pool};

/// What was found, in words.
fn messages(report: &Report) -> Vec<&str> {
    report.findings.iter().map(|finding| finding.message.as_str()).collect()
}

#[tokio::test]
async fn half_a_symbol_hides_nothing_and_blames_nobody() {
    let pool = pool(BackendChoice::Local, 1).await;
    let report = execute(&pool, "half_symbols").await;
    let cut = format!("{}\u{fffd}", "x".repeat(39));
    let expected = [
        "half of \u{fffd}",
        "Error: half of \u{fffd}",
        "Error: hidden half of \u{fffd}",
        &format!("the text of p \"{cut}\" has a contrast of only 1.6"),
        "ReferenceError: missing is not defined",
    ];
    assert_eq!(messages(&report), expected, "{report:#?}");
    assert!(report.coverage.is_some_and(|coverage| coverage.reached == 1), "its button is used");
    pool.close().await;
}

#[tokio::test]
async fn names_of_the_page_are_not_taken_for_those_of_the_browser() {
    let pool = pool(BackendChoice::Local, 1).await;
    let report = execute(&pool, "own_names").await;
    assert_eq!(report.findings, []);
    let coverage = report.coverage.unwrap();
    assert_eq!((coverage.listeners, coverage.reached), (2, 2), "{coverage:?}");
    pool.close().await;
}

#[tokio::test]
async fn a_request_that_is_refused_leaves_the_clock_as_it_is() {
    let pool = pool(BackendChoice::Local, 1).await;
    let first = execute(&pool, "late_after_request").await;
    let late = first.findings.last().unwrap();
    assert_eq!(late.message, "Error: at 20", "{first:#?}");
    assert!((19_500..=20_000).contains(&late.page_ms), "{late:?}");
    assert_eq!(execute(&pool, "late_after_request").await.hash, first.hash);
    pool.close().await;
}

#[tokio::test]
async fn input_happens_when_the_page_is_told_of_it() {
    let pool = pool(BackendChoice::Local, 1).await;
    assert_eq!(messages(&execute(&pool, "input_times").await), [""; 0]);
    pool.close().await;
}

#[tokio::test]
async fn a_page_that_is_still_being_drawn_does_not_keep_the_next_one_waiting() {
    let pool = pool(BackendChoice::Local, 1).await;
    for page in ["draws_on_hung", "draws_on_done"] {
        execute(&pool, page).await;
        assert_eq!(execute(&pool, "clean_canvas").await.findings, [], "after {page}");
    }
    pool.close().await;
}

#[tokio::test]
async fn an_answer_that_the_page_makes_impossible_is_no_crash() {
    let pool = pool(BackendChoice::Local, 1).await;
    let report = execute(&pool, "deep_answer").await;
    assert_eq!((messages(&report), report.page_ms > 20_000), (Vec::new(), true), "{report:#?}");
    pool.close().await;
}

#[tokio::test]
async fn a_few_places_to_drop_something_are_looked_at() {
    let pool = pool(BackendChoice::Local, 1).await;
    let report = execute(&pool, "many_targets").await;
    let asked = messages(&report).iter().find_map(|message| message.strip_prefix("asked ")?.parse().ok());
    assert!(asked.is_some_and(|asked: u32| (1..=64).contains(&asked)), "{report:#?}");
    pool.close().await;
}

#[tokio::test]
async fn every_machine_looks_the_same() {
    let pool = pool(BackendChoice::Local, 1).await;
    let report = execute(&pool, "machine").await;
    let said = messages(&report);
    assert_eq!((said.len(), said[0], said[2]), (3, "page 4 8", "null"), "{report:#?}");
    assert!(said[1].starts_with("worker 4 undefined "), "{said:?}");
    assert_eq!(said, messages(&execute(&pool, "machine").await), "also what is random in the worker");
    pool.close().await;
}
