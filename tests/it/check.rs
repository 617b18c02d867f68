//! `mondo check` as a person and as a program use it.

use std::process::Output;

use serde_json::Value;

use crate::support::{program, sandbox::page_path};

const LOCAL: &[(&str, &str)] = &[("MONDO_SANDBOX", "local")];

fn check(arguments: &[&str]) -> Output {
    program::run(&[&["check"], arguments].concat(), LOCAL)
}

fn path(name: &str) -> String {
    page_path(name).display().to_string()
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", program::text(&output.stderr)))
}

#[test]
fn one_page_is_one_object() {
    let page = path("click_handler");
    let output = check(&["--json", "--seed", "3", &page]);
    assert_eq!(output.status.code(), Some(1), "{}", program::text(&output.stderr));
    let report = json(&output);
    assert_eq!(report["file"], page.as_str());
    assert_eq!(report["verdict"], "fail");
    assert_eq!(report["seed"], 3);
    assert!(report["wall_ms"].is_u64() && report["page_ms"].as_u64() >= Some(10_000));
    let expected = serde_json::json!([{
        "class": "type",
        "severity": "blocking",
        "message": "TypeError: Cannot read properties of null (reading 'remove')",
        "line": 7,
        "column": 37,
        "phase": "click",
        "page_ms": 1010,
        "input": "click button \"Ring\"",
        "stack": [{"line": 7, "column": 37}],
    }]);
    assert_eq!(report["findings"], expected);
}

#[test]
fn several_pages_are_an_array_in_their_order() {
    let (clean, broken) = (path("clean_canvas"), path("reference"));
    let output = check(&["--json", &broken, &clean]);
    assert_eq!(output.status.code(), Some(1));
    let reports = json(&output);
    assert_eq!(reports.as_array().map(Vec::len), Some(2));
    assert_eq!((&reports[0]["file"], &reports[0]["verdict"]), (&broken.into(), &"fail".into()));
    assert_eq!((&reports[1]["file"], &reports[1]["verdict"]), (&clean.into(), &"pass".into()));
}

#[test]
fn a_clean_page_exits_with_success() {
    let output = check(&[&path("clean_canvas")]);
    assert_eq!(output.status.code(), Some(0), "{}", program::text(&output.stderr));
    assert!(program::text(&output.stdout).contains("pass, nothing found"));
}

#[test]
fn a_person_sees_the_line_a_caret_and_the_input() {
    let output = check(&[&path("click_handler")]);
    let text = program::text(&output.stdout);
    let expected = "  blocking type: TypeError: Cannot read properties of null (reading 'remove')
    at 1.0 s, after: click button \"Ring\"
    7 | document.querySelector('.visitor').remove();
      |                                   ^ line 7, column 37
";
    assert!(text.contains(expected), "{text}");
}

#[test]
fn what_cannot_be_checked_is_named_with_a_remedy() {
    let directory = tempfile::tempdir().unwrap();
    let large = directory.path().join("large.html");
    std::fs::write(&large, "x".repeat((1 << 20) + 1)).unwrap();
    let binary = directory.path().join("binary.html");
    std::fs::write(&binary, [0xff, 0xfe, 0x00]).unwrap();
    let missing = directory.path().join("missing.html");
    for (file, words) in [(large, "more than the 1048576"), (binary, "not UTF-8"), (missing, "cannot read")] {
        let output = check(&[&path("clean_canvas"), &file.display().to_string()]);
        let message = program::text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{message}");
        assert!(message.contains(words) && message.contains(&file.display().to_string()), "{message}");
        assert!(output.stdout.is_empty());
    }
}

#[test]
fn a_sandbox_that_is_not_there_says_what_to_run() {
    let settings = [("MONDO_SANDBOX", "docker"), ("MONDO_SANDBOX_IMAGE", "mondo/no-such-image")];
    let output = program::run(&["check", &path("clean_canvas")], &settings);
    let message = program::text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{message}");
    assert!(
        message.contains("mondo/no-such-image") && message.contains("scripts/sandbox-image"),
        "{message}"
    );
}
