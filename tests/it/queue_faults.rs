//! What the field has seen go wrong inside Redis: deleted entries and groups, consumers without end, garbage, a full
//! memory. The numbers are those of the table in `jobs/README.md`.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use mondo_jobs::{
    disposition::Disposition,
    job::{EnvelopeError, Job, Step},
    queue::{
        Admission, Bounds, Commit, Committed, DeadFilter, End, Marks, Queue, QueueConfig, QueueError,
        Retention,
    },
};
use mondo_workers::backend::Failure;
use redis::AsyncCommands as _;

use crate::support::{
    queue::{TestQueue, death, job, new_pair},
    wait::until,
    workers::{Workers, next_step},
};

const OBJECTS: &str = "{test:0}:stream:objects";

async fn raw<T: redis::FromRedisValue>(test: &TestQueue, words: &[&str]) -> T {
    let mut connection = test.redis.connection().await;
    redis::cmd(words[0]).arg(&words[1..]).query_async(&mut connection).await.unwrap()
}

fn walk(test: &TestQueue, slots: usize) -> Workers {
    Workers::start(&test.queue, slots, |delivery| async move { Ok(next_step(&delivery)) })
}

async fn consumers(test: &TestQueue) -> usize {
    raw::<Vec<redis::Value>>(test, &["XINFO", "CONSUMERS", OBJECTS, "workers"]).await.len()
}

#[tokio::test]
async fn f04_an_entry_deleted_under_its_owner_stops_nobody_and_is_told() {
    let test = TestQueue::with_lease(Duration::from_millis(500)).await;
    test.pairs(3).await;
    let held = test.claims(Step::Objects, "gone", 3).await;
    let _: u64 = raw(&test, &["XDEL", OBJECTS, &held[1].entry]).await;
    let workers = walk(&test, 4);
    test.until_ready(2).await;
    workers.stop().await;
    let found = test.queue.doctor().await.unwrap();
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].detail.contains(&held[1].pair.to_string()), "{found:?}");
    let pending: (u64, redis::Value, redis::Value, redis::Value) =
        raw(&test, &["XPENDING", OBJECTS, "workers"]).await;
    assert_eq!(pending.0, 0, "nothing is pending that nobody can read");
}

#[tokio::test]
async fn f05_streams_are_empty_when_their_jobs_are_done() {
    let test = TestQueue::start().await;
    let workers = walk(&test, 50);
    test.pairs(1000).await;
    test.until_ready(1000).await;
    workers.stop().await;
    for step in Step::ALL {
        assert_eq!(test.step(step).await, (0, 0, 0), "{step}");
        let stream = format!("{{test:0}}:stream:{step}");
        assert_eq!(raw::<u64>(&test, &["XLEN", &stream]).await, 0);
        let bytes: u64 = raw(&test, &["MEMORY", "USAGE", &stream]).await;
        assert!(bytes < 64 * 1024, "{stream} takes {bytes} bytes for nothing");
    }
}

#[tokio::test]
async fn f06_work_beyond_the_mark_is_refused_and_none_is_trimmed() {
    let test = TestQueue::start().await;
    let marks = Marks { low: 1000, high: 1000 };
    let mut started = 0;
    for _ in 0..4 {
        let pairs: Vec<_> = std::iter::repeat_with(new_pair).take(400).collect();
        let answers = test.queue.refill(marks, &pairs).await.unwrap();
        started += answers.iter().filter(|answer| **answer == Admission::Accepted).count();
    }
    assert_eq!(started, 1000);
    assert_eq!(test.step(Step::Objects).await, (1000, 0, 0));
    let workers = walk(&test, 50);
    test.until_ready(1000).await;
    workers.stop().await;
    test.healthy().await;
}

#[tokio::test]
async fn f07_two_hundred_restarts_leave_no_consumers_behind() {
    let test = TestQueue::start().await;
    test.pairs(201).await;
    test.claim(Step::Objects, "owner").await;
    for restart in 0..200 {
        let delivery = test.claim(Step::Objects, &format!("restart-{restart}")).await;
        test.queue.commit(&delivery, &Commit::default()).await.unwrap();
    }
    assert_eq!(consumers(&test).await, 201);
    test.queue.sweep_silent(Duration::ZERO).await.unwrap();
    assert_eq!(consumers(&test).await, 1, "only the one that owns something");
}

#[tokio::test]
async fn f08_a_sweep_beside_reads_loses_no_delivery() {
    let test = TestQueue::start().await;
    let pairs = test.pairs(400).await.len();
    let reading = async {
        let mut stored = 0;
        for round in 0..pairs {
            let delivery = test.claim(Step::Objects, &format!("reader-{round}")).await;
            let end = Some(End::Rejected { reason: String::new() });
            let committed = test.queue.commit(&delivery, &Commit { end, ..Commit::default() }).await.unwrap();
            stored += usize::from(committed == Committed::Stored);
        }
        stored
    };
    let sweeping = async {
        loop {
            test.queue.sweep_silent(Duration::ZERO).await.unwrap();
        }
    };
    let stored = tokio::select! {
        stored = reading => stored,
        () = sweeping => unreachable!("it never ends"),
    };
    assert_eq!(stored, pairs);
}

#[tokio::test]
async fn f09_a_deleted_stream_is_made_anew_and_what_it_held_is_told() {
    let test = TestQueue::start().await;
    let lost = test.pairs(1).await.remove(0);
    let _: u64 = raw(&test, &["DEL", OBJECTS]).await;
    let workers = walk(&test, 2);
    until("the group is back", || async { raw::<u64>(&test, &["EXISTS", OBJECTS]).await == 1 }).await;
    let _: u64 = raw(&test, &["DEL", OBJECTS]).await;
    test.pairs(3).await;
    test.until_ready(3).await;
    workers.stop().await;
    let found = test.queue.doctor().await.unwrap();
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].detail.contains(&lost.id.to_string()), "{found:?}");
}

#[tokio::test]
async fn f10_jobs_added_before_there_was_a_group_are_run() {
    let test = TestQueue::start().await;
    let _: u64 = raw(&test, &["DEL", OBJECTS]).await;
    test.pairs(3).await;
    let workers = walk(&test, 2);
    test.until_ready(3).await;
    workers.stop().await;
    test.healthy().await;
}

#[tokio::test]
async fn f18_garbage_in_every_key_stops_nothing() {
    let test = TestQueue::start().await;
    let garbage: [&[&str]; 7] = [
        &["XADD", OBJECTS, "*", "other", "field"],
        &["XADD", "{test:0}:stream:solve:high", "*", "job", "{\"id\":"],
        &["ZADD", "{test:0}:delayed", "1", "99:nonsense"],
        &["HSET", "{test:0}:delayed:answer", "3:nonsense", "{}"],
        &["ZADD", "{test:0}:delayed", "2", "3:nonsense"],
        &["ZADD", "{test:0}:open", "1", "no pair"],
        &["RPUSH", "{test:0}:ready", "no pair"],
    ];
    for command in garbage {
        let _: redis::Value = raw(&test, command).await;
    }
    let workers = walk(&test, 2);
    test.pairs(3).await;
    test.until_ready(4).await;
    let mut taken = 0;
    while test.queue.take().await.unwrap().is_some() {
        taken += 1;
    }
    assert_eq!(taken, 3);
    until("the garbage is set aside", || async {
        let letters = test.queue.dead(&DeadFilter::default(), 10).await.unwrap();
        letters.iter().filter(|letter| letter.class == "undecodable").count() >= 3
    })
    .await;
    let found = test.queue.doctor().await.unwrap();
    assert!(found.iter().any(|found| found.detail.contains("no pair")), "{found:?}");
    workers.stop().await;
}

#[tokio::test]
async fn f19_fifty_thousand_stalled_jobs_are_taken_over_in_bounded_steps() {
    let test = TestQueue::start().await;
    test.pairs(50_000).await;
    let mut gone = test.reader(Step::Objects, "gone").await;
    let mut connection = test.redis.connection().await;
    loop {
        let held = gone.read(500, Duration::from_millis(1)).await.unwrap();
        if held.is_empty() {
            break;
        }
        // As if they had been silent for an hour.
        let mut claim = redis::cmd("XCLAIM");
        claim.arg(&[OBJECTS, "workers", "gone", "0"]);
        for arrival in &held {
            claim.arg(arrival.entry());
        }
        claim.arg(&["IDLE", "3600000", "JUSTID"]).exec_async(&mut connection).await.unwrap();
    }
    assert_eq!(test.step(Step::Objects).await, (0, 50_000, 0));

    let mut jobs = BTreeSet::new();
    loop {
        let found = test.queue.reclaim(0, Step::Objects, "heir", 500).await.unwrap();
        assert!(found.len() <= 500);
        if found.is_empty() {
            break;
        }
        jobs.extend(found.into_iter().map(|arrival| job(arrival).job));
    }
    assert_eq!(jobs.len(), 50_000);
}

#[tokio::test]
async fn f25_a_redis_that_evicts_is_refused() {
    let test = TestQueue::start().await;
    let _: redis::Value = raw(&test, &["CONFIG", "SET", "maxmemory", "1gb"]).await;
    let _: redis::Value = raw(&test, &["CONFIG", "SET", "maxmemory-policy", "allkeys-lru"]).await;
    let config = QueueConfig {
        url: test.redis.url(),
        prefix: "test".to_owned(),
        lease: Duration::from_secs(15),
        shards: 1,
        retention: Retention::default(),
        bounds: Bounds::default(),
        replicas_min: 0,
        connect_time_max: Duration::from_secs(30),
    };
    let refused = Queue::connect(config).await.err();
    assert!(
        matches!(&refused, Some(QueueError::Evicts { policy }) if policy == "allkeys-lru"),
        "{refused:?}"
    );
}

#[tokio::test]
async fn f29_the_backlog_stays_a_number_when_waiting_entries_are_deleted() {
    let test = TestQueue::start().await;
    test.pairs(5).await;
    test.claim(Step::Objects, "one").await;
    let entries: Vec<(String, redis::Value)> = raw(&test, &["XRANGE", OBJECTS, "-", "+"]).await;
    let _: u64 = raw(&test, &["XDEL", OBJECTS, &entries[3].0]).await;
    let group: Vec<BTreeMap<String, redis::Value>> = raw(&test, &["XINFO", "GROUPS", OBJECTS]).await;
    assert_eq!(group[0]["lag"], redis::Value::Nil, "Redis itself does not know any more");
    assert_eq!(test.step(Step::Objects).await, (3, 1, 0));
}

#[tokio::test]
async fn f31_a_job_of_a_newer_release_waits_for_a_newer_worker_and_uses_no_attempt() {
    let test = TestQueue::start().await;
    let mut pair = new_pair();
    pair.first.envelope = r#"{"kind":"objects","v":2}"#.to_owned();
    test.queue.start(&[pair]).await.unwrap();
    let old = Workers::start(&test.queue, 1, |delivery| async move {
        let read = Job::from_envelope(delivery.pair, &delivery.envelope);
        assert_eq!(read, Err(EnvelopeError::Newer { v: 2 }));
        let disposition = Disposition::Wait { after: Some(Duration::from_millis(10)) };
        Err(Failure { disposition, class: "newer".to_owned(), chain: Vec::new() })
    });
    until("it was offered", || async { test.counter("waited").await > 0 }).await;
    old.stop().await;

    let new = walk(&test, 1);
    test.until_ready(1).await;
    assert_eq!(new.seen.lock().unwrap()[0].attempts, 0);
    new.stop().await;
    test.healthy().await;
}

#[tokio::test]
async fn f32_looking_changes_nothing() {
    let test = TestQueue::start().await;
    test.pairs(4).await;
    test.make_ready(b"body").await;
    let held = test.claims(Step::Objects, "one", 3).await;
    test.queue.bury(&held[0], "one", &death(1, "type", &[])).await.unwrap();
    test.queue.wait(&held[1], "one", Duration::from_mins(5)).await.unwrap();
    // One key expires by itself.
    test.memory_is_asked_for_again().await;
    let before = everything(&test).await;

    test.queue.stats().await.unwrap();
    test.queue.doctor().await.unwrap();
    test.queue.dead(&DeadFilter::default(), 10).await.unwrap();
    test.queue.record(held[2].pair).await.unwrap();
    test.queue.lapses().await.unwrap();
    assert_eq!(test.queue.peek().await.unwrap().unwrap(), b"body");

    assert_eq!(everything(&test).await, before);
}

/// Every key with its value as Redis stores it, but for the order: Redis moves the fields of a hash when it likes.
async fn everything(test: &TestQueue) -> BTreeMap<String, Vec<u8>> {
    let mut connection = test.redis.connection().await;
    let keys: Vec<String> = connection.keys("*").await.unwrap();
    let mut all = BTreeMap::new();
    for key in keys {
        let mut value: Vec<u8> = redis::cmd("DUMP").arg(&key).query_async(&mut connection).await.unwrap();
        // Without the checksum at the end.
        value.truncate(value.len() - 8);
        value.sort_unstable();
        all.insert(key, value);
    }
    all
}
