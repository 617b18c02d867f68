//! What is no page, or more than a page may be, is reported within bounds and breaks nothing.

use mondo_jobs::{
    finding::{FindingClass, Report},
    ports::{Execution, Sandbox as _, sandbox::PAGE_BYTES_MAX},
};
use mondo_workers::sandbox::BackendChoice;

use crate::support::sandbox::{execute, pool};

/// `piece` as often as a page has room for.
fn full(piece: &str) -> String {
    piece.repeat(PAGE_BYTES_MAX / piece.len())
}

fn has(report: &Report, class: FindingClass) -> bool {
    report.blocking().any(|finding| finding.class == class)
}

#[tokio::test]
async fn whatever_is_executed_is_reported_within_bounds() {
    let pool = pool(BackendChoice::Local, 1).await;
    let fresh = execute(&pool, "dice").await;
    let cases = [
        ("nothing", String::new(), Some(FindingClass::Blank)),
        ("spaces", full(" "), Some(FindingClass::Blank)),
        ("words", "There was a heron by the lake.".to_owned(), None),
        ("data", r#"{"heron": ["lake", 7]}"#.to_owned(), None),
        ("binary", full("\0\u{1}\u{fffd}\u{7f}"), None),
        ("one long word", full("x"), None),
        ("unclosed tags", full("<div>"), None),
        ("only angles", full("<"), None),
        ("a comment without an end", format!("<!--{}", "x".repeat(1000)), Some(FindingClass::Blank)),
        ("a script without an end", "<script>let heron = {".to_owned(), None),
        (
            "1 MiB of script",
            format!("<script>{}</script>", "heron();".repeat(120_000)),
            Some(FindingClass::Reference),
        ),
        ("no script", "<script>}</script>".to_owned(), Some(FindingClass::Syntax)),
    ];
    for (name, page, expected) in cases {
        assert!(page.len() <= PAGE_BYTES_MAX);
        let report =
            pool.execute(&Execution::new(page, 7)).await.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(report.findings.len() <= 200, "{name}");
        assert!(expected.is_none_or(|class| has(&report, class)), "{name}: {report:#?}");
        assert!(!has(&report, FindingClass::Crash), "{name}: {report:#?}");
    }
    assert_eq!(execute(&pool, "dice").await.findings, fresh.findings, "the slot goes on as before");
    pool.close().await;
}
