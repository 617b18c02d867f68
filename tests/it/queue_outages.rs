//! Promise 9: a Redis that is away, or there and refuses, is a pause. Each fault is the real one.

use std::{sync::Arc, time::Duration};

use mondo_jobs::queue::Bound;
use mondo_workers::backend::WorkersError;
use redis::aio::MultiplexedConnection;
use secrecy::ExposeSecret as _;
use tokio::sync::Notify;

use crate::support::{
    program::Running,
    queue::{TestQueue, new_pair},
    wait::until,
    workers::{Workers, next_step},
};

const PAIRS: u64 = 60;

/// Work that takes a while: pairs go through workers that pause a little in every step.
async fn under_way() -> (TestQueue, Workers) {
    let test = TestQueue::start().await;
    let workers = Workers::start(&test.queue, 4, |delivery| async move {
        tokio::time::sleep(Duration::from_millis(20)).await;
        Ok(next_step(&delivery))
    });
    for _ in 0..PAIRS {
        test.pairs(1).await;
    }
    until("work is under way", || async { workers.seen() > 10 }).await;
    (test, workers)
}

/// All pairs come through, each job committed once, none the worse for it.
async fn comes_through(test: &TestQueue, workers: Workers) {
    until("all pairs are ready", || async {
        test.queue.stats().await.is_ok_and(|stats| stats.ready == PAIRS)
    })
    .await;
    assert_eq!(test.counter("committed").await, i64::try_from(PAIRS * 6).unwrap());
    assert_eq!((test.counter("buried").await, test.counter("retried").await), (0, 0));
    workers.stop().await;
    test.healthy().await;
}

async fn config(connection: &mut MultiplexedConnection, name: &str, value: &str) {
    let () = redis::cmd("CONFIG").arg(&["SET", name, value]).query_async(connection).await.unwrap();
}

#[tokio::test]
async fn scripts_that_were_flushed_are_loaded_again() {
    let (test, workers) = under_way().await;
    let mut connection = test.redis.connection().await;
    while test.queue.stats().await.unwrap().ready < PAIRS / 2 {
        let () = redis::cmd("SCRIPT").arg("FLUSH").query_async(&mut connection).await.unwrap();
    }
    comes_through(&test, workers).await;
}

#[tokio::test]
async fn a_script_of_somebody_that_blocks_redis_is_waited_for() {
    let (test, workers) = under_way().await;
    let mut killer = test.redis.connection().await;
    config(&mut killer, "busy-reply-threshold", "50").await;
    let mut blocking = test.redis.connection().await;
    let blocked = async {
        let ended: redis::RedisResult<()> =
            redis::cmd("EVAL").arg("while true do end").arg(0).query_async(&mut blocking).await;
        ended
    };
    let rescue = async {
        tokio::time::sleep(Duration::from_secs(2)).await;
        let busy: redis::RedisResult<()> = redis::cmd("PING").query_async(&mut killer).await;
        assert_eq!(busy.unwrap_err().code(), Some("BUSY"));
        let () = redis::cmd("SCRIPT").arg("KILL").query_async(&mut killer).await.unwrap();
    };
    let (ended, ()) = tokio::join!(blocked, rescue);
    // The client's own time-out may come first.
    assert!(ended.is_err());
    comes_through(&test, workers).await;
}

#[tokio::test]
async fn a_full_redis_drains_and_starts_nothing() {
    let (test, workers) = under_way().await;
    let mut connection = test.redis.connection().await;
    config(&mut connection, "maxmemory", "1").await;
    test.memory_is_asked_for_again().await;
    let refused = test.queue.start(&[new_pair()]).await.unwrap().remove(0);
    assert_eq!(refused.full(), Some(Bound::Memory));
    comes_through(&test, workers).await;
    config(&mut connection, "maxmemory", "0").await;
    test.pairs(1).await;
}

#[tokio::test]
async fn a_redis_that_is_a_replica_for_a_while_is_waited_for() {
    let (test, workers) = under_way().await;
    let mut connection = test.redis.connection().await;
    // Of nobody who answers: another's data would replace its own.
    let () = redis::cmd("REPLICAOF").arg(&["127.0.0.1", "1"]).query_async(&mut connection).await.unwrap();
    let refused = test.queue.start(&[new_pair()]).await.unwrap_err();
    assert!(refused.remedy().unwrap().contains("replica"), "{refused}");
    tokio::time::sleep(Duration::from_secs(1)).await;
    let () = redis::cmd("REPLICAOF").arg(&["NO", "ONE"]).query_async(&mut connection).await.unwrap();
    comes_through(&test, workers).await;
}

#[tokio::test]
async fn a_process_that_could_not_look_for_work_for_too_long_ends_with_an_error() {
    let mut test = TestQueue::start().await;
    let ready = Arc::new(Notify::new());
    let tell = Arc::clone(&ready);
    let workers = Workers::with_progress_max(&test.queue, Duration::from_secs(7), move |delivery| {
        tell.notify_one();
        async move { Ok(next_step(&delivery)) }
    });
    assert_eq!(workers.pulse.last_poll_age(), None, "not ready before the first look");
    test.pairs(1).await;
    ready.notified().await;
    // Longer than the limit, in which reads find nothing and succeed.
    tokio::time::sleep(Duration::from_secs(12)).await;
    assert!(!workers.has_ended(), "to have nothing to do is no failure");
    test.redis.server.kill();
    assert_eq!(workers.ended().await, Err(WorkersError::Stuck { secs: 7 }));
}

#[tokio::test]
async fn a_full_disk_is_named_with_its_remedy_and_told_once() {
    let test = TestQueue::start().await;
    let log = tempfile::NamedTempFile::new().unwrap();
    let url = test.redis.url();
    let settings = [
        ("REDIS_URL", url.expose_secret()),
        ("MONDO_PREFIX", "test"),
        ("MONDO_READY_LOW", "0"),
        ("MONDO_READY_HIGH", "0"),
    ];
    let _worker = Running::start(&["worker", "--steps", "objects"], &settings, log.path());
    let said = |text: &str| std::fs::read_to_string(log.path()).unwrap().matches(text).count();
    until("the worker works", || async { said("worker started") == 1 }).await;
    // A directory that is gone is as good as a full disk: Redis cannot save, and says so to every write.
    let mut connection = test.redis.connection().await;
    config(&mut connection, "save", "3600 1").await;
    let dir = test.redis.dir().to_owned();
    std::fs::remove_dir_all(&dir).unwrap();
    let _: redis::RedisResult<()> = redis::cmd("BGSAVE").query_async(&mut connection).await;
    until("it is named", || async { said("MISCONF") == 1 }).await;
    assert_eq!(said("free space on the disk of Redis"), 1);
    tokio::time::sleep(Duration::from_secs(8)).await;
    assert_eq!((said("work pauses"), said("redis is back")), (1, 0), "told once while it lasts");
    config(&mut connection, "save", "").await;
    until("it is over", || async { said("redis is back") == 1 }).await;
}
