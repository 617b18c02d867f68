//! Hostile pages, in both back-ends: each attempt to get out fails, each page ends, and the next page in the same
//! slot does what it does in a fresh one.
//!
//! `cargo nextest run sandbox_escapes --no-capture` prints what was tried and what came of it.

mod bombs;
mod listener;
mod outside;

use std::path::Path;

use mondo_jobs::{
    finding::{FindingClass, Report},
    ports::{Execution, Sandbox as _},
};
use mondo_workers::sandbox::{BackendChoice, BrowserPool};

use self::listener::Listener;
use crate::support::sandbox::{execute, pool};

/// Pages of `fixtures/escapes` that try to get out, and how many attempts each makes.
const ATTEMPTS: [(&str, usize); 3] = [("network", 40), ("files", 29), ("powers", 38)];

/// How many places `leave` marks, and how many `look` looks into.
const PLACES: [(&str, usize); 2] = [("leave", 11), ("look", 17)];

/// What no page may get to see.
const SECRET: &str = "the heron sleeps at noon";

/// A page that runs a script of `fixtures/escapes`.
fn page(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/escapes");
    let read = |file: &str| std::fs::read_to_string(folder.join(file)).unwrap();
    around(&format!("{}{}", read("attempts.js"), read(&format!("{name}.js"))))
}

/// A page around a script.
fn around(script: &str) -> String {
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<title>Hostile</title>\n<h1>Hostile</h1>\n<script>\n{script}\n</script>\n"
    )
}

async fn run(pool: &BrowserPool, page: String) -> Report {
    pool.execute(&Execution::new(page, 7)).await.unwrap()
}

/// What each attempt of a page came to, in its own words.
fn results(report: &Report) -> Vec<(&str, &str)> {
    let said = report.findings.iter().filter(|finding| finding.class == FindingClass::Console);
    let results = said.filter_map(|finding| finding.message.split_once(": "));
    results.filter(|(_, what)| what.starts_with("REACHED") || what.starts_with("refused,")).collect()
}

/// One row of the table that `--no-capture` shows.
#[expect(clippy::print_stdout, reason = "a person reads it")]
fn say(row: &str) {
    println!("| {row} |");
}

fn assert_refused(name: &str, count: usize, report: &Report) {
    let mut results = results(report);
    results.sort_unstable();
    for (attempt, what) in &results {
        say(&format!("{name} | {attempt} | {what}"));
    }
    let reached: Vec<_> = results.iter().filter(|(_, what)| what.starts_with("REACHED")).collect();
    assert!(reached.is_empty(), "{name}: {reached:#?}");
    assert_eq!(results.len(), count, "{name}: each attempt says what came of it");
}

/// Whether one page with one seed did the same twice.
fn are_same(first: &Report, second: &Report) -> bool {
    first.findings == second.findings
        && first.inputs == second.inputs
        && first.screenshot == second.screenshot
}

/// The same page with the same seed must do the same, whatever ran before it. A very busy machine may make another
/// execution of it (`workers/README.md` says by what), so that is tried again; but never is the page to blame.
async fn assert_unaffected(pool: &BrowserPool, fresh: &Report, after: &str) {
    let mut next = execute(pool, "dice").await;
    for _ in 0..2 {
        let ends = [FindingClass::Hang, FindingClass::Memory, FindingClass::Crash];
        let ended = next.findings.iter().find(|finding| ends.contains(&finding.class));
        assert!(ended.is_none(), "after {after}: {ended:?}");
        if are_same(fresh, &next) {
            return;
        }
        next = execute(pool, "dice").await;
    }
    assert_eq!((&fresh.findings, fresh.inputs), (&next.findings, next.inputs), "after {after}");
    assert!(are_same(fresh, &next), "another picture after {after}");
}

async fn check_attempts(backend: BackendChoice) {
    let listener = Listener::open().await;
    let secret = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(&secret, SECRET).unwrap();
    let pool = pool(backend, 1).await;
    let fresh = execute(&pool, "dice").await;
    for (name, count) in ATTEMPTS {
        let page = page(name)
            .replace("__TCP__", &format!("{:?}", listener.tcp()))
            .replace("__UDP__", &format!("{:?}", listener.udp()))
            .replace("__PORT__", &listener.port().to_string())
            .replace("__SECRET__", &format!("\"{}\"", secret.path().display()));
        let report = run(&pool, page).await;
        assert_refused(name, count, &report);
        assert!(!format!("{report:?}").contains(SECRET), "{report:#?}");
        assert_unaffected(&pool, &fresh, name).await;
    }
    assert_eq!(listener.came(), 0, "somebody came out");
    pool.close().await;
}

#[tokio::test]
async fn every_way_out_of_a_local_browser_is_shut() {
    check_attempts(BackendChoice::Local).await;
}

#[tokio::test]
async fn every_way_out_of_a_docker_container_is_shut() {
    check_attempts(BackendChoice::Docker).await;
}

async fn check_leftovers(backend: BackendChoice) {
    let pool = pool(backend, 1).await;
    let fresh = run(&pool, page("look")).await;
    let leaver = run(&pool, page("leave")).await;
    let next = run(&pool, page("look")).await;
    for ((name, count), report) in PLACES.iter().zip([&leaver, &next]) {
        assert_refused(name, *count, report);
    }
    assert_eq!(fresh.findings, next.findings);
    assert!(are_same(&fresh, &next), "another picture");
    pool.close().await;
}

#[tokio::test]
async fn a_page_leaves_nothing_in_a_local_slot() {
    check_leftovers(BackendChoice::Local).await;
}

#[tokio::test]
async fn a_page_leaves_nothing_in_a_docker_slot() {
    check_leftovers(BackendChoice::Docker).await;
}
