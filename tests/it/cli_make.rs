//! `mondo make` and `mondo up` as a newcomer runs them: no key, no Redis, nothing set up.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
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
fn a_run_waits_while_the_queue_is_full_and_says_so_once() {
    let dir = tempfile::tempdir().unwrap();
    let settings = [("MONDO_DATA_DIR", dir.path().to_str().unwrap()), ("MONDO_DEPTH_MAX", "1")];
    let output = run(&["make", "2", "--json"], &settings);
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    assert_eq!((output.status.code(), stdout.lines().count()), (Some(0), 2), "{stderr}");
    assert_eq!(stderr.matches("the queue is full: as many pairs").count(), 1, "{stderr}");
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

#[test]
fn a_run_that_could_not_start_leaves_earlier_pairs_alone() {
    let dir = tempfile::tempdir().unwrap();
    let (data, out) = (dir.path().join("data"), dir.path().join("pairs.jsonl"));
    fs::write(&out, "pairs of an earlier run\n").unwrap();
    let arguments = ["make", "1", "--out", out.to_str().unwrap()];
    let data = ("MONDO_DATA_DIR", data.to_str().unwrap());

    let output = run(&arguments, &[data, ("MONDO_PERSONAS", "/nowhere")]);
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(fs::read_to_string(&out).unwrap(), "pairs of an earlier run\n");

    let output = run(&arguments, &[data]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(!text(&output.stderr).contains("cut off"), "nothing was begun: {}", text(&output.stderr));
    assert_eq!(pairs(&out).len(), 1);
}

#[test]
fn another_run_that_was_cut_off_is_named_and_not_mixed_in() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("make")).unwrap();
    fs::write(dir.path().join("make/run"), r#"{"seed":7,"out":"/elsewhere/pairs.jsonl"}"#).unwrap();
    let output = run(&["make", "1"], &[("MONDO_DATA_DIR", dir.path().to_str().unwrap())]);
    assert_eq!(output.status.code(), Some(2));
    let said = text(&output.stderr);
    assert!(said.contains("`--seed 7 --out /elsewhere/pairs.jsonl`"), "{said}");
}

#[test]
fn lines_may_go_to_a_pipe_and_steps_of_a_worker_do_not_matter() {
    let dir = tempfile::tempdir().unwrap();
    let settings = [("MONDO_DATA_DIR", dir.path().to_str().unwrap()), ("MONDO_STEPS", "objects")];
    let output = run(&["make", "1", "--out", "/dev/stdout"], &settings);
    assert!(output.status.success(), "{}", text(&output.stderr));
    serde_json::from_str::<PairBody>(&text(&output.stdout)).unwrap().check().unwrap();
}

#[test]
fn a_private_redis_that_is_killed_is_started_again_and_the_run_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let (data, out) = (dir.path().join("data"), dir.path().join("pairs.jsonl"));
    let arguments = ["make", "6", "--out", out.to_str().unwrap()];
    let settings = [("MONDO_DATA_DIR", data.to_str().unwrap())];
    let run = mondo(&arguments, &settings).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let deadline = Instant::now() + Duration::from_mins(2);
    while fs::read_to_string(&out).map_or(0, |text| text.lines().count()) < 1 {
        assert!(Instant::now() < deadline, "no first pair");
        std::thread::sleep(Duration::from_millis(20));
    }
    kill_redis_of(&data.join("make"));

    let output = run.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(text(&output.stderr).contains("the private redis-server ended; starting it again"));
    let ids: std::collections::HashSet<String> =
        pairs(&out).into_iter().map(|pair| pair.metadata.pair_id).collect();
    assert_eq!((ids.len(), pairs(&out).len()), (6, 6), "each pair once");
}

/// Ends the server whose directory this is, as `kill -9` does.
fn kill_redis_of(dir: &Path) {
    let conf = fs::read_to_string(dir.join("redis.conf")).unwrap();
    let value = |name: &str| conf.lines().find_map(|line| line.strip_prefix(name)).unwrap().trim().to_owned();
    let url = format!("redis://:{}@127.0.0.1:{}/", value("requirepass"), value("port"));
    let mut connection = redis::Client::open(url).unwrap().get_connection().unwrap();
    let facts: redis::InfoDict = redis::cmd("INFO").query(&mut connection).unwrap();
    let pid: u32 = facts.get("process_id").unwrap();
    let killed = Command::new("sh").arg("-c").arg(format!("kill -9 {pid}")).status().unwrap();
    assert!(killed.success());
}
