//! What an operator asks at the command line.

use mondo_jobs::job::Step;
use redis::AsyncCommands as _;
use secrecy::ExposeSecret as _;
use serde_json::Value;

use crate::support::{
    program::{run, text},
    queue::{TestQueue, death},
};

/// A queue with one dead letter.
async fn one_dead() -> TestQueue {
    let queue = TestQueue::start().await;
    queue.pairs(1).await;
    let delivery = queue.claim(Step::Objects, "worker").await;
    assert!(queue.queue.bury(&delivery, "worker", &death(1, "refused", &["no"])).await.unwrap());
    queue
}

/// Runs the program on that queue; its exit code, and what it printed.
fn on(queue: &TestQueue, arguments: &[&str]) -> (i32, String, String) {
    let url = queue.redis.url();
    let output = run(arguments, &[("REDIS_URL", url.expose_secret()), ("MONDO_PREFIX", "test")]);
    (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
}

#[tokio::test]
async fn the_doctor_mends_what_shows_once_something_else_is_mended() {
    let queue = one_dead().await;
    let ready = queue.make_ready(b"body").await;
    let mut connection = queue.redis.connection().await;
    let (bodies, counters) = ("{test:0}:ready:bodies", "{test:0}:counters");
    let () =
        redis::cmd("HDEL").arg(bodies).arg(ready.to_string()).query_async(&mut connection).await.unwrap();
    let () = redis::cmd("HSET")
        .arg(counters)
        .arg("held_bytes")
        .arg("99")
        .query_async(&mut connection)
        .await
        .unwrap();
    let (code, violations, _) = on(&queue, &["doctor"]);
    assert!(code == 1 && violations.contains("Q3") && !violations.contains("Q9"), "{violations}");
    let (code, violations, told) = on(&queue, &["doctor", "--fix"]);
    assert!(code == 0 && violations.contains("every invariant holds"), "{violations}{told}");
    assert!(told.contains("Q3") && told.contains("Q9"), "{told}");
}

#[tokio::test]
async fn the_doctor_and_the_numbers_can_be_read_by_programs() {
    let queue = one_dead().await;
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

#[tokio::test]
async fn a_key_that_somebody_else_wrote_is_found_by_what_the_refusals_say() {
    let queue = one_dead().await;
    let mut connection = queue.redis.connection().await;
    let () = connection.set("{test:0}:ready", "of somebody").await.unwrap();
    let (code, _, refused) = on(&queue, &["stats"]);
    assert!(code == 2 && refused.contains("`mondo doctor` names it"), "{refused}");
    let (code, violations, _) = on(&queue, &["doctor"]);
    assert!(code == 1 && violations.contains("`{test:0}:ready` holds a string"), "{violations}");

    let () = connection.del("{test:0}:stream:fix").await.unwrap();
    let () = connection.set("{test:0}:stream:fix", "of somebody").await.unwrap();
    let (code, _, refused) = on(&queue, &["doctor"]);
    assert!(code == 2 && refused.contains("`{test:0}:stream:fix` holds something else"), "{refused}");
    assert!(refused.contains("remedy: find out who wrote it"), "{refused}");
}
