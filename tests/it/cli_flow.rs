//! What an operator steers at the command line: how much comes in.

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
