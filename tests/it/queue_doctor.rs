//! The doctor finds what is broken, and nothing else.

use std::time::Duration;

use mondo_jobs::{
    job::Step,
    queue::{Commit, Committed, Delivery, Reader},
};
use redis::{AsyncCommands as _, streams::StreamRangeReply};

use crate::support::queue::{TestQueue, death, next_job};

/// Breaks a healthy queue with one command, says which invariants the doctor then finds broken, and sees that
/// mending leaves none.
async fn after(command: &[&str]) -> Vec<String> {
    let test = TestQueue::start().await;
    test.pairs(1).await;
    let delayed = test.claim(Step::Objects, "one").await;
    test.queue.retry(&delayed, "one", Duration::from_hours(1)).await.unwrap();
    test.pairs(1).await;
    test.make_ready(b"body").await;
    test.healthy().await;
    let mut connection = test.redis.connection().await;
    let ready: Vec<String> = connection.lrange("{test:0}:ready", 0, -1).await.unwrap();
    let open: Vec<String> = connection.zrange("{test:0}:open", 0, -1).await.unwrap();
    let mut broken = redis::cmd(command[0]);
    for word in &command[1..] {
        let word = word.replace("READY", &ready[0]).replace("OPEN", &open[0]);
        broken.arg(word.replace("DELAYED", &format!("1:{}", delayed.job)));
    }
    let _: redis::Value = broken.query_async(&mut connection).await.unwrap();

    let found = test.queue.doctor().await.unwrap();
    for violation in &found {
        assert!(test.queue.mend(violation).await.unwrap(), "{violation:?} can be mended");
    }
    recount(&test).await;
    let mut found: Vec<String> = found.into_iter().map(|violation| violation.invariant).collect();
    found.dedup();
    found
}

/// Sees that nothing is broken but that what is lost counts as held, which can be mended.
async fn recount(test: &TestQueue) {
    for miscount in test.queue.doctor().await.unwrap() {
        assert_eq!(miscount.invariant, "Q9", "{miscount:?}");
        assert!(test.queue.mend(&miscount).await.unwrap(), "{miscount:?} can be mended");
    }
    test.healthy().await;
}

/// Redis refuses every command on such a key, and does not say which key it is.
#[tokio::test]
async fn a_key_that_holds_something_else_is_named() {
    let test = TestQueue::start().await;
    let pair = test.pairs(1).await[0].id;
    let ready = test.make_ready(b"body").await;
    let mut connection = test.redis.connection().await;
    let journal = format!("{{test:0}}:pair:{ready}:journal");
    let () = connection.hset(&journal, "reply", "of ours").await.unwrap();
    for key in [
        journal,
        format!("{{test:0}}:pair:{ready}"),
        "{test:0}:stream:objects".to_owned(),
        "{test:0}:counters".to_owned(),
        format!("{{test:0}}:pair:{pair}"),
    ] {
        let kept = "{test:0}:kept";
        let () = connection.rename(&key, kept).await.unwrap();
        let () = connection.set(&key, "of somebody").await.unwrap();
        let found = test.queue.doctor().await.unwrap();
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].invariant == "Q8" && found[0].detail.contains(&key), "{found:?}");
        assert!(!test.queue.mend(&found[0]).await.unwrap(), "what somebody wrote is not ours to remove");
        let () = connection.rename(kept, &key).await.unwrap();
        test.healthy().await;
    }

    let () = connection.del("{test:0}:stream:objects").await.unwrap();
    let () = connection.set("{test:0}:stream:objects", "of somebody").await.unwrap();
    let refused = Reader::connect(&test.queue, 0, Step::Objects, "one", Duration::from_secs(1)).await;
    let refused = refused.err().expect("no stream, no reader");
    assert!(refused.to_string().contains("`{test:0}:stream:objects` holds something else"), "{refused}");
}

#[tokio::test]
async fn a_counter_that_is_wrong_is_found_and_what_is_held_counted_again() {
    for wrong in ["0", "99999999", "x", "1.5", "", "007", "\u{fffd}"] {
        assert_eq!(after(&["HSET", "{test:0}:counters", "held_bytes", wrong]).await, ["Q9"], "{wrong}");
    }
    assert_eq!(after(&["HDEL", "{test:0}:counters", "held_bytes"]).await, ["Q9"]);

    let test = TestQueue::start().await;
    let mut connection = test.redis.connection().await;
    let () = connection.hset("{test:0}:counters", "llm_calls", "many").await.unwrap();
    let found = test.queue.doctor().await.unwrap();
    assert!(found[0].detail.contains("llm_calls") && found[0].detail.contains("`many`"), "{found:?}");
    assert!(!test.queue.mend(&found[0]).await.unwrap(), "nobody knows what it was");
}

/// A count that is out of date must not undo what has happened since.
#[tokio::test]
async fn what_is_held_is_not_corrected_by_a_count_from_before() {
    let test = TestQueue::start().await;
    let mut connection = test.redis.connection().await;
    let () = connection.hset("{test:0}:counters", "held_bytes", "7").await.unwrap();
    let miscount = test.queue.doctor().await.unwrap().remove(0);
    test.pairs(1).await;
    let held = test.counter("held_bytes").await;
    assert!(held > 7);
    assert!(!test.queue.mend(&miscount).await.unwrap());
    assert_eq!(test.counter("held_bytes").await, held);
}

/// What is left of it is its body, which is held until it is delivered.
#[tokio::test]
async fn a_ready_pair_whose_record_is_gone_is_counted_until_it_is_delivered() {
    let test = TestQueue::start().await;
    let pair = test.make_ready(b"body").await;
    let mut connection = test.redis.connection().await;
    let () = connection.del(format!("{{test:0}}:pair:{pair}")).await.unwrap();
    let found = test.queue.doctor().await.unwrap();
    assert!(test.queue.mend(&found[0]).await.unwrap(), "{found:?}");
    recount(&test).await;
    assert_eq!(test.counter("held_bytes").await, 4);
    assert_eq!(test.queue.take().await.unwrap().unwrap().pair, pair);
    test.queue.delivered(pair).await.unwrap();
    assert_eq!(test.counter("held_bytes").await, 0);
    test.healthy().await;
}

#[tokio::test]
async fn a_job_that_vanished_is_found_and_put_back() {
    assert_eq!(after(&["XTRIM", "{test:0}:stream:objects", "MAXLEN", "0"]).await, ["Q4"]);
    assert_eq!(after(&["DEL", "{test:0}:stream:objects"]).await, ["Q4"]);
    assert_eq!(after(&["DEL", "{test:0}:delayed", "{test:0}:delayed:objects"]).await, ["Q4"]);
}

#[tokio::test]
async fn a_delayed_job_of_which_a_half_is_gone_is_found_and_made_whole() {
    assert_eq!(after(&["DEL", "{test:0}:delayed"]).await, ["Q7"]);
    assert_eq!(after(&["HDEL", "{test:0}:delayed:objects", "DELAYED"]).await, ["Q4", "Q7"]);
    assert_eq!(after(&["ZADD", "{test:0}:delayed", "1", "nonsense"]).await, ["Q7"]);
}

#[tokio::test]
async fn a_ready_pair_without_a_body_is_found_and_rejected() {
    assert_eq!(after(&["HDEL", "{test:0}:ready:bodies", "READY"]).await, ["Q3"]);
    assert_eq!(after(&["DEL", "{test:0}:ready:bodies"]).await, ["Q3"]);
}

#[tokio::test]
async fn a_pair_whose_record_is_gone_is_found() {
    assert_eq!(after(&["DEL", "{test:0}:pair:READY"]).await, ["Q3"]);
    assert_eq!(after(&["HSET", "{test:0}:pair:READY", "state", "delivered"]).await, ["Q3"]);
}

#[tokio::test]
async fn a_pair_in_two_states_or_in_none_is_found_and_put_where_its_record_says() {
    assert_eq!(after(&["ZADD", "{test:0}:taken", "1", "READY"]).await, ["Q6"]);
    assert_eq!(after(&["LREM", "{test:0}:ready", "1", "READY"]).await, ["Q6"]);
    assert_eq!(after(&["RPUSH", "{test:0}:ready", "READY"]).await, ["Q6"]);
    assert_eq!(after(&["ZADD", "{test:0}:open", "1", "READY"]).await, ["Q4", "Q6"]);
    assert_eq!(after(&["RPUSH", "{test:0}:ready", "OPEN"]).await, ["Q3", "Q6"]);
}

#[tokio::test]
async fn an_open_pair_whose_record_is_gone_leaves_no_job_that_can_commit() {
    let test = TestQueue::start().await;
    let pair = test.pairs(1).await.remove(0).id;
    let mut connection = test.redis.connection().await;
    let () = connection.del(format!("{{test:0}}:pair:{pair}")).await.unwrap();
    let found = test.queue.doctor().await.unwrap();
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(test.queue.mend(&found[0]).await.unwrap());
    let delivery = test.claim(Step::Objects, "one").await;
    assert_eq!(test.queue.commit(&delivery, &Commit::default()).await.unwrap(), Committed::Ended);
    assert_eq!(test.step(Step::Objects).await, (0, 0, 0));
    recount(&test).await;
}

/// A pair whose first job is committed; gives that one.
async fn with_a_question(test: &TestQueue) -> Delivery {
    test.pairs(1).await;
    let first = test.claim(Step::Objects, "one").await;
    let commit = Commit { next: vec![next_job(first.pair, Step::Question)], ..Commit::default() };
    test.queue.commit(&first, &commit).await.unwrap();
    first
}

#[tokio::test]
async fn a_restored_job_goes_on_where_its_pair_was() {
    let test = TestQueue::start().await;
    with_a_question(&test).await;
    let mut connection = test.redis.connection().await;
    let lost: StreamRangeReply = connection.xrange_all("{test:0}:stream:question").await.unwrap();
    let () = connection.del("{test:0}:stream:question").await.unwrap();

    let found = test.queue.doctor().await.unwrap();
    assert!(test.queue.mend(&found[0]).await.unwrap());
    let restored: StreamRangeReply = connection.xrange_all("{test:0}:stream:question").await.unwrap();
    assert_eq!(restored.ids[0].map, lost.ids[0].map, "as the commit had added it");
    assert_eq!(test.counter("restored").await, 1);
    test.healthy().await;
}

#[tokio::test]
async fn a_job_that_the_layout_before_this_one_promised_is_restored() {
    let test = TestQueue::start().await;
    let first = with_a_question(&test).await;
    let mut connection = test.redis.connection().await;
    let (record, mark) = (format!("{{test:0}}:pair:{}", first.pair), format!("done:{}", first.job));
    let value: String = connection.hget(&record, &mark).await.unwrap();
    let (did, next) = value.split_once('\n').unwrap();
    let () = connection.hset(&record, &mark, did).await.unwrap();
    let () = connection.hset(&record, format!("next:{}", first.job), next).await.unwrap();
    test.healthy().await;

    let () = connection.del("{test:0}:stream:question").await.unwrap();
    let found = test.queue.doctor().await.unwrap();
    assert!(test.queue.mend(&found[0]).await.unwrap());
    assert_eq!(test.step(Step::Question).await, (1, 0, 0));
    test.healthy().await;
}

#[tokio::test]
async fn a_job_in_two_places_is_left_in_the_first() {
    let test = TestQueue::start().await;
    test.pairs(2).await;
    let mut connection = test.redis.connection().await;
    let dead = test.claim(Step::Objects, "one").await;
    let again = serde_json::json!({"id": dead.job, "pair": dead.pair, "envelope": dead.envelope, "attempts": 0,
        "crashes": 0});
    test.queue.bury(&dead, "one", &death(1, "test", &["broken"])).await.unwrap();
    let () = connection
        .hset("{test:0}:delayed:objects", format!("1:{}", dead.job), again.to_string())
        .await
        .unwrap();
    let () = connection.zadd("{test:0}:delayed", format!("1:{}", dead.job), 1).await.unwrap();
    let found = test.queue.doctor().await.unwrap();
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(test.queue.mend(&found[0]).await.unwrap());
    assert_eq!(test.queue.stats().await.unwrap().dead, 0, "it will run again");
    assert_eq!(test.step(Step::Objects).await, (1, 0, 1));
    test.healthy().await;
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
