//! The doctor finds what is broken, and nothing else.

use std::time::Duration;

use mondo_jobs::job::Step;
use redis::AsyncCommands as _;

use crate::support::queue::TestQueue;

/// Breaks a healthy queue with one command and says which invariants the doctor then finds broken.
async fn after(command: &[&str]) -> Vec<String> {
    let test = TestQueue::start().await;
    test.pairs(1).await;
    test.make_ready(b"body").await;
    test.healthy().await;
    let mut connection = test.redis.connection().await;
    let ready: Vec<String> = connection.lrange("{test:0}:ready", 0, -1).await.unwrap();
    let open: Vec<String> = connection.zrange("{test:0}:open", 0, -1).await.unwrap();
    let mut broken = redis::cmd(command[0]);
    for word in &command[1..] {
        broken.arg(word.replace("READY", &ready[0]).replace("OPEN", &open[0]));
    }
    let _: redis::Value = broken.query_async(&mut connection).await.unwrap();
    let mut found: Vec<String> =
        test.queue.doctor().await.unwrap().into_iter().map(|violation| violation.invariant).collect();
    found.dedup();
    found
}

#[tokio::test]
async fn a_pair_whose_job_vanished_is_found() {
    assert_eq!(after(&["XTRIM", "{test:0}:stream:objects", "MAXLEN", "0"]).await, ["Q4"]);
}

#[tokio::test]
async fn a_ready_pair_without_a_body_is_found() {
    assert_eq!(after(&["HDEL", "{test:0}:ready:bodies", "READY"]).await, ["Q3"]);
}

#[tokio::test]
async fn a_ready_pair_whose_record_is_gone_is_found() {
    assert_eq!(after(&["DEL", "{test:0}:pair:READY"]).await, ["Q3"]);
}

#[tokio::test]
async fn a_pair_in_two_states_is_found() {
    assert_eq!(after(&["ZADD", "{test:0}:taken", "1", "READY"]).await, ["Q6"]);
    assert_eq!(after(&["LREM", "{test:0}:ready", "1", "READY"]).await, ["Q6"]);
}

#[tokio::test]
async fn a_job_in_two_places_and_one_tried_too_often_are_found() {
    let test = TestQueue::start().await;
    let pair = test.pairs(1).await.remove(0);
    let mut connection = test.redis.connection().await;
    let entry = serde_json::json!({"id": pair.first.id, "pair": pair.id, "envelope": "", "attempts": 6,
        "crashes": 0});
    let () = connection.xadd("{test:0}:stream:fix", "*", &[("job", entry.to_string())]).await.unwrap();
    let found = test.queue.doctor().await.unwrap();
    let invariants: Vec<&str> = found.iter().map(|violation| violation.invariant.as_str()).collect();
    assert_eq!(invariants, ["Q1", "Q2"]);
    assert!(found[0].detail.contains(pair.first.id.as_str()), "{}", found[0].detail);
}

#[tokio::test]
async fn a_claimed_job_that_nobody_looks_after_is_found() {
    let test = TestQueue::with_lease(Duration::from_secs(1)).await;
    test.pairs(1).await;
    let delivery = test.claim(Step::Objects, "gone").await;
    test.healthy().await;
    let mut connection = test.redis.connection().await;
    let _: redis::Value = redis::cmd("XCLAIM")
        .arg(&["{test:0}:stream:objects", "workers", "gone", "0", &delivery.entry, "IDLE", "60000"])
        .query_async(&mut connection)
        .await
        .unwrap();
    let found = test.queue.doctor().await.unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].invariant, "Q5");
}

#[tokio::test]
async fn jobs_in_motion_are_no_false_alarm() {
    let test = TestQueue::start().await;
    test.pairs(50).await;
    let moving = async {
        for _ in 0..40 {
            for delivery in test.claims(Step::Objects, "one", 25).await {
                test.queue.retry(&delivery, "one", Duration::ZERO).await.unwrap();
            }
            test.queue.promote().await.unwrap();
        }
    };
    let looking = async {
        for _ in 0..5 {
            // Attempts rise without end here, which is Q2 and true.
            let found = test.queue.doctor().await.unwrap();
            let false_alarms: Vec<_> = found.iter().filter(|found| found.invariant != "Q2").collect();
            assert!(false_alarms.is_empty(), "{false_alarms:?}");
        }
    };
    tokio::join!(moving, looking);
}
