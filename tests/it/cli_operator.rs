//! What an operator does at the command line: look at dead letters, put them back, give up on them.

use mondo_jobs::{job::Step, queue::DeadLetter};
use secrecy::ExposeSecret as _;
use serde_json::Value;

use crate::support::{
    program::{run, text},
    queue::TestQueue,
};

/// A queue with one dead letter, and its job's id.
async fn one_dead() -> (TestQueue, String) {
    let queue = TestQueue::start().await;
    queue.pairs(1).await;
    let delivery = queue.claim(Step::Objects, "worker").await;
    let chain = vec!["`openai/x` refuses the request".to_owned(), "the model is gone".to_owned()];
    assert!(queue.queue.bury(&delivery, "worker", 1, "refused", &chain).await.unwrap());
    (queue, delivery.job.to_string())
}

/// Runs the program on that queue; its exit code, and what it printed.
fn on(queue: &TestQueue, arguments: &[&str]) -> (i32, String, String) {
    let url = queue.redis.url();
    let output = run(arguments, &[("REDIS_URL", url.expose_secret()), ("MONDO_PREFIX", "test")]);
    (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
}

#[tokio::test]
async fn a_dead_letter_is_listed_shown_and_put_back() {
    let (queue, job) = one_dead().await;

    let (code, listed, _) = on(&queue, &["dead", "ls", "--json"]);
    let letters: Vec<DeadLetter> = serde_json::from_str(&listed).unwrap();
    assert_eq!((code, letters.len(), letters[0].job.as_str()), (0, 1, job.as_str()));
    let (_, shown, _) = on(&queue, &["dead", "show", &job]);
    assert!(shown.contains("caused by the model is gone"), "{shown}");

    let (code, would, said) = on(&queue, &["dead", "replay", "--class", "refused", "--dry-run"]);
    assert_eq!((code, would.trim()), (0, job.as_str()));
    assert!(said.contains("1 would be put back"), "{said}");
    assert_eq!(queue.queue.stats().await.unwrap().dead, 1, "a dry run changes nothing");

    let (code, _, said) = on(&queue, &["dead", "replay", "--step", "objects"]);
    assert_eq!(code, 0);
    assert!(said.contains("1 put back"), "{said}");
    let stats = queue.queue.stats().await.unwrap();
    assert_eq!((stats.dead, stats.steps[0].waiting), (0, 1));
}

#[tokio::test]
async fn giving_up_on_a_dead_letter_rejects_its_pair() {
    let (queue, job) = one_dead().await;
    assert_eq!(on(&queue, &["dead", "discard", &job]).0, 0);
    let stats = queue.queue.stats().await.unwrap();
    assert_eq!((stats.dead, stats.open, stats.counters["rejected"]), (0, 0, 1));
    let (code, _, said) = on(&queue, &["dead", "discard", &job]);
    assert_eq!(code, 2);
    assert!(said.contains("`mondo dead ls` lists them"), "{said}");
}

#[tokio::test]
async fn a_filter_that_fits_nothing_says_so() {
    let (queue, _) = one_dead().await;
    let (code, _, said) = on(&queue, &["dead", "replay", "--class", "timeout"]);
    assert_eq!(code, 1);
    assert!(said.contains("no dead letter fits"), "{said}");
}

#[tokio::test]
async fn the_doctor_and_the_numbers_can_be_read_by_programs() {
    let (queue, _) = one_dead().await;
    let (code, stats, _) = on(&queue, &["stats", "--json"]);
    assert_eq!((code, serde_json::from_str::<Value>(&stats).unwrap()["dead"].as_u64()), (0, Some(1)));
    let (code, violations, _) = on(&queue, &["doctor", "--json"]);
    assert_eq!((code, violations.trim()), (0, "[]"));

    let mut connection = queue.redis.connection().await;
    redis::cmd("ZADD")
        .arg("{test:0}:open")
        .arg(1)
        .arg("01a1fc50-4975-76f1-970e-825eb169fcaa")
        .query_async::<()>(&mut connection)
        .await
        .unwrap();
    let (code, violations, _) = on(&queue, &["doctor"]);
    assert_eq!(code, 1, "a pair without a job breaks an invariant");
    assert!(violations.contains("01a1fc50-4975-76f1-970e-825eb169fcaa"), "{violations}");
}
