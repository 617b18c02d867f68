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
        "page_ms": 1006,
        "input": "click button \"Ring\"",
        "stack": [{"line": 7, "column": 37}],
    }]);
    assert_eq!(report["findings"], expected);
    assert_eq!(report["coverage"], serde_json::json!({"listeners": 1, "reached": 1, "unreached": []}));
    assert_eq!(report["hash"].as_str().map(str::len), Some(64));
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

#[test]
fn a_page_is_read_from_stdin() {
    let mut command = program::mondo(&["check", "--json", "-"], LOCAL);
    let page = std::fs::File::open(path("click_handler")).unwrap();
    let output = command.stdin(page).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", program::text(&output.stderr));
    assert_eq!((&json(&output)["file"], &json(&output)["findings"][0]["line"]), (&"stdin".into(), &7.into()));
}

#[test]
fn findings_in_a_folder_are_at_their_place_in_its_files() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    std::fs::create_dir(folder.path().join("js")).unwrap();
    write(
        "index.html",
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>Tea</title></head>\n<body>\n<h1>Tea</h1><script src=\"js/shop.js\"></script><script src=\"gone.js\"></script>\n<script>\nteapot.pour();\n</script></body></html>\n",
    );
    write("js/shop.js", "const leaves = 3;\n\nfunction open() {\n  kettle.boil(leaves);\n}\n\nopen();\n");
    write("unused.js", "alert('nobody names this file')");
    let name = folder.path().display().to_string();
    let output = check(&["--json", &name]);
    assert_eq!(output.status.code(), Some(1), "{}", program::text(&output.stderr));
    let report = json(&output);
    let found: Vec<_> = report["findings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|finding| format!("{} {}:{}", finding["class"], finding["file"], finding["line"]))
        .collect();
    let expected =
        ["\"reference\" \"js/shop.js\":4", "\"resource\" \"index.html\":4", "\"reference\" \"index.html\":6"];
    for place in expected {
        assert!(found.contains(&place.to_owned()), "{place} is not among {found:?}");
    }
    assert_eq!(found.len(), expected.len(), "{found:?}");
    let stack = &report["findings"]
        .as_array()
        .unwrap()
        .iter()
        .find(|finding| finding["file"] == "js/shop.js")
        .unwrap()["stack"];
    assert_eq!(stack[1], serde_json::json!({"file": "js/shop.js", "line": 7, "column": 1}));
    let text = program::text(&check(&[&name]).stdout);
    assert!(text.contains("js/shop.js:4:3\n    4 | kettle.boil(leaves);\n      | ^"), "{text}");
}

#[test]
fn colour_is_left_out_where_nobody_sees_it_and_where_it_is_unwanted() {
    let page = path("click_handler");
    let run = |settings: &[(&str, &str)]| {
        let settings = [LOCAL, settings].concat();
        program::text(&program::run(&["check", &page], &settings).stdout)
    };
    let plain = run(&[]);
    assert!(!plain.contains('\u{1b}') && plain.contains("blocking type"), "{plain}");
    assert!(run(&[("CLICOLOR_FORCE", "1")]).contains("\u{1b}["));
    assert!(!run(&[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")]).contains('\u{1b}'));
}

#[test]
fn several_pages_end_with_a_summary() {
    let output = check(&[&path("click_handler"), &path("clean_canvas")]);
    let text = program::text(&output.stdout);
    assert!(text.ends_with("\n2 pages: 1 pass, 1 fail\n"), "{text}");
}

#[test]
fn wrong_arguments_are_refused_with_what_is_accepted() {
    let folder = tempfile::tempdir().unwrap();
    let empty = folder.path().display().to_string();
    let page = path("clean_canvas");
    let cases: [(&[&str], &str); 4] = [
        (&["--time", "10", &page], "such as 10s"),
        (&["--time", "5m", &page], "from 1s to 2m"),
        (&[&empty], "has no index.html"),
        (&["-", "-"], "only once"),
    ];
    for (arguments, words) in cases {
        let output = check(arguments);
        let message = program::text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{message}");
        assert!(message.contains(words), "{message}");
    }
}
