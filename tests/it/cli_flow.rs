//! What an operator steers at the command line: how much comes in, what is held up, what is called off.

use mondo_jobs::{job::Step, queue::Priority};
use secrecy::ExposeSecret as _;
use serde_json::Value;

use crate::support::{
    program::{run, text},
    queue::TestQueue,
};

/// Runs the program on that queue with one more setting; its exit code, and what it printed.
fn with(queue: &TestQueue, setting: (&str, &str), arguments: &[&str]) -> (i32, String, String) {
    let url = queue.redis.url();
    let output = run(arguments, &[("REDIS_URL", url.expose_secret()), ("MONDO_PREFIX", "test"), setting]);
    (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
}

fn on(queue: &TestQueue, arguments: &[&str]) -> (i32, String, String) {
    with(queue, ("MONDO_LOG", ""), arguments)
}

#[tokio::test]
async fn an_order_can_be_repeated_until_all_of_it_is_accepted() {
    let queue = TestQueue::start().await;
    let order = ["order", "5", "--priority", "high", "--key", "monday", "--json"];
    let (code, printed, _) = with(&queue, ("MONDO_DEPTH_MAX", "3"), &order);
    let first: Value = serde_json::from_str(&printed).unwrap();
    assert_eq!(
        (code, first["accepted"].as_array().unwrap().len(), first["refused"].as_u64()),
        (1, 3, Some(2))
    );
    assert!(first["full"]["reason"].as_str().unwrap().contains("MONDO_DEPTH_MAX"), "{printed}");
    assert!((10..=20).contains(&first["full"]["retry_after_secs"].as_u64().unwrap()), "{printed}");

    let (code, printed, _) = on(&queue, &order);
    let again: Value = serde_json::from_str(&printed).unwrap();
    assert_eq!((code, &again["duplicate"]), (0, &first["accepted"]), "the same pairs");
    assert_eq!((again["accepted"].as_array().unwrap().len(), again.get("full")), (2, None));
    assert_eq!(queue.queue.stats().await.unwrap().open, 5);
    assert_eq!(queue.claim(Step::Objects, "one").await.priority, Priority::High);

    let (code, printed, said) = on(&queue, &["order", "2"]);
    assert_eq!((code, printed.lines().count()), (0, 2), "without a key every order is another");
    assert!(said.contains("2 pairs ordered"), "{said}");
    let (code, _, said) = with(&queue, ("MONDO_DEPTH_MAX", "7"), &["order", "1"]);
    assert_eq!(code, 1);
    assert!(
        said.contains("1 refused: as many pairs are held as MONDO_DEPTH_MAX allows; order the rest in"),
        "{said}"
    );
}

#[tokio::test]
async fn a_pause_is_made_shown_and_ended() {
    let queue = TestQueue::start().await;
    let (code, _, said) = on(&queue, &["pause", "answer", "--reason", "prompt changes", "--for", "10m"]);
    assert_eq!(code, 0);
    assert!(said.contains("answer is paused for 10 min"), "{said}");
    let (_, shown, _) = on(&queue, &["stats"]);
    assert!(
        shown.contains("paused: answer, since 0 s, for another") && shown.contains(": prompt changes"),
        "{shown}"
    );

    for (arguments, hint) in [
        (&["pause", "answers", "--reason", "x"][..], "objects, question, answer, execute, fix, solve"),
        (&["pause", "responder:fake/model", "--reason", "x"], "no worker has named a responder yet"),
        (
            &["pause", "answer", "--reason", "x", "--for", "10"],
            "accepted is a number with s, m, h or d, such as 90s or 2h",
        ),
    ] {
        let (code, _, said) = on(&queue, arguments);
        assert_eq!(code, 2, "{said}");
        assert!(said.contains(hint), "{said}");
    }
    queue.queue.announce("fake/model").await.unwrap();
    let (code, _, said) = on(&queue, &["pause", "responder:fake/modle", "--reason", "x"]);
    assert_eq!(code, 2);
    assert!(said.contains("known are fake/model"), "{said}");
    assert_eq!(on(&queue, &["pause", "responder:fake/model", "--reason", "down"]).0, 0);

    let (code, _, said) = on(&queue, &["resume", "fix"]);
    assert_eq!(code, 1);
    assert!(said.contains("paused are answer, responder:fake/model"), "{said}");
    assert_eq!(on(&queue, &["resume", "answer"]).0, 0);
    assert_eq!(on(&queue, &["resume", "responder:fake/model"]).0, 0);
    assert_eq!(queue.queue.pauses().await.unwrap(), []);
}

#[tokio::test]
async fn a_full_ready_list_shows_what_it_slows() {
    let queue = TestQueue::start().await;
    queue.make_ready(b"{}").await;
    let (_, shown, _) = with(&queue, ("MONDO_READY_HIGH", "8"), &["stats"]);
    assert!(!shown.contains("slowed"), "{shown}");
    let url = queue.redis.url();
    let marks = [
        ("REDIS_URL", url.expose_secret()),
        ("MONDO_PREFIX", "test"),
        ("MONDO_READY_LOW", "1"),
        ("MONDO_READY_HIGH", "1"),
    ];
    let shown = text(&run(&["stats"], &marks).stdout);
    assert!(shown.contains("slowed: objects, question, answer"), "{shown}");
}

#[tokio::test]
async fn pairs_are_listed_shown_and_called_off() {
    let queue = TestQueue::start().await;
    assert_eq!(on(&queue, &["order", "1", "--key", "a"]).0, 0);
    let pair = queue.queue.pair_of_order("a", 0).to_string();
    let (code, listed, _) = on(&queue, &["pairs", "ls", "--json"]);
    let lines: Value = serde_json::from_str(&listed).unwrap();
    assert_eq!(
        (code, lines[0]["pair"].as_str(), lines[0]["steps"].as_u64()),
        (0, Some(pair.as_str()), Some(0))
    );
    assert!(on(&queue, &["pairs", "ls"]).1.contains(&pair));

    queue.claim(Step::Objects, "one").await;
    let (_, jobs, _) = on(&queue, &["jobs", "ls", "--json"]);
    let jobs: Value = serde_json::from_str(&jobs).unwrap();
    assert_eq!((jobs[0]["worker"].as_str(), jobs[0]["step"].as_str()), (Some("one"), Some("objects")));
    assert!(on(&queue, &["jobs", "ls"]).1.contains(&format!("{pair}/objects")));

    let (code, _, said) = on(&queue, &["pairs", "cancel", &pair, "--reason", "not wanted"]);
    assert_eq!(code, 0);
    assert!(said.contains("cancelled"), "{said}");
    let (_, shown, _) = on(&queue, &["pairs", "show", &pair]);
    assert!(shown.contains("state     rejected") && shown.contains("cancelled: not wanted"), "{shown}");
    assert_eq!(on(&queue, &["pairs", "cancel", &pair, "--reason", "again"]).0, 1);
    let (code, _, said) = on(&queue, &["pairs", "show", "01a1fc50-4975-76f1-970e-825eb169fcaa"]);
    assert_eq!(code, 2);
    assert!(said.contains("its record is not kept any more"), "{said}");
}
