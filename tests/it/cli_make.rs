//! `mondo make` and `mondo up` as a newcomer runs them: no key, no Redis, nothing set up.

use std::{
    fs,
    path::Path,
    process::Stdio,
    time::{Duration, Instant},
};

use mondo_jobs::body::PairBody;

use crate::support::program::{mondo, run, text};

fn pairs(file: &Path) -> Vec<PairBody> {
    let lines = fs::read_to_string(file).unwrap();
    lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn three_pairs_are_made_and_one_of_them_was_mended() {
    let dir = tempfile::tempdir().unwrap();
    let (data, out) = (dir.path().join("data"), dir.path().join("pairs.jsonl"));
    let output =
        run(&["make", "3", "--out", out.to_str().unwrap()], &[("MONDO_DATA_DIR", data.to_str().unwrap())]);
    assert!(output.status.success(), "{}", text(&output.stderr));

    let pairs = pairs(&out);
    assert_eq!(pairs.len(), 3);
    for pair in &pairs {
        pair.check().unwrap();
        let history = &pair.metadata.history;
        assert!(history.findings_after.iter().all(|finding| !finding.is_blocking()), "{history:?}");
        assert!(history.llm_calls >= 4);
    }
    let mended = pairs.iter().filter(|pair| {
        pair.metadata.history.findings_before.iter().any(mondo_jobs::finding::Finding::is_blocking)
    });
    assert!(mended.count() >= 1, "no pair had a fault that fix mended");
    assert!(!data.join("make").exists(), "a finished run leaves nothing behind");
}

#[test]
fn json_goes_to_stdout_and_nothing_else_does() {
    let dir = tempfile::tempdir().unwrap();
    let output =
        run(&["make", "1", "--json", "--seed", "5"], &[("MONDO_DATA_DIR", dir.path().to_str().unwrap())]);
    let stdout = text(&output.stdout);
    assert_eq!(stdout.lines().count(), 1, "{stdout}\n{}", text(&output.stderr));
    serde_json::from_str::<PairBody>(&stdout).unwrap().check().unwrap();
}

#[test]
fn the_same_seed_makes_the_same_pair() {
    let make = || {
        let dir = tempfile::tempdir().unwrap();
        let output =
            run(&["make", "1", "--json", "--seed", "9"], &[("MONDO_DATA_DIR", dir.path().to_str().unwrap())]);
        serde_json::from_str::<PairBody>(&text(&output.stdout)).unwrap()
    };
    let (first, second) = (make(), make());
    assert_eq!(first.prompt, second.prompt);
    assert_eq!(first.responses[0].completion, second.responses[0].completion);
    assert_eq!(first.metadata.history.findings_before, second.metadata.history.findings_before);
}

#[test]
fn a_run_that_was_killed_goes_on_where_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let (data, out) = (dir.path().join("data"), dir.path().join("pairs.jsonl"));
    let arguments = ["make", "6", "--out", out.to_str().unwrap()];
    let settings = [("MONDO_DATA_DIR", data.to_str().unwrap())];

    let mut first = mondo(&arguments, &settings).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let deadline = Instant::now() + Duration::from_mins(2);
    while fs::read_to_string(&out).map_or(0, |text| text.lines().count()) < 1 {
        assert!(Instant::now() < deadline && first.try_wait().unwrap().is_none(), "no first pair");
        std::thread::sleep(Duration::from_millis(20));
    }
    first.kill().unwrap();
    first.wait().unwrap();

    let output = run(&arguments, &settings);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(text(&output.stderr).contains("going on with a run that was cut off"));
    let ids: std::collections::HashSet<String> =
        pairs(&out).into_iter().map(|pair| pair.metadata.pair_id).collect();
    assert_eq!(ids.len(), 6, "each pair once");
    assert_eq!(pairs(&out).len(), 6);
}
