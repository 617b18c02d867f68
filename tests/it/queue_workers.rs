//! Jobs go through workers once, whatever breaks on the way.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use mondo_jobs::{
    disposition::Disposition,
    job::Step,
    pair::BODY_BYTES_MAX,
    queue::{Commit, DeadFilter, DeadLetter, Delivery},
};
use mondo_workers::backend::Failure;
use redis::AsyncCommands as _;
use tokio::sync::Notify;

use crate::support::{
    queue::{TestQueue, new_pair},
    wait::until,
    workers::{Workers, next_step},
};

#[tokio::test]
async fn every_pair_goes_through_all_steps_once() {
    let test = TestQueue::start().await;
    let pairs = test.pairs(40).await;
    let workers = Workers::start(&test.queue, 8, |delivery| async move { Ok(next_step(&delivery)) });
    test.until_ready(40).await;
    assert_eq!(workers.seen(), 40 * 6);
    assert!(workers.pulse.last_poll_age().unwrap() < Duration::from_secs(15));
    workers.stop().await;

    let mut taken = BTreeSet::new();
    while let Some(pair) = test.queue.take().await.unwrap() {
        assert_eq!(pair.body, pair.pair.to_string().into_bytes());
        taken.insert(pair.pair);
    }
    assert_eq!(taken, pairs.iter().map(|pair| pair.id).collect());
    assert_eq!(test.counter("committed").await, 40 * 6);
    test.healthy().await;
}

#[tokio::test]
async fn two_groups_of_workers_share_the_jobs() {
    let test = TestQueue::start().await;
    let work = |delivery: Delivery| async move {
        tokio::time::sleep(Duration::from_millis(5)).await;
        Ok(next_step(&delivery))
    };
    let (first, second) = (Workers::start(&test.queue, 2, work), Workers::start(&test.queue, 2, work));
    test.pairs(60).await;
    test.until_ready(60).await;
    assert_eq!(first.seen() + second.seen(), 60 * 6, "no job ran twice");
    assert!(first.seen() > 0 && second.seen() > 0);
    first.stop().await;
    second.stop().await;
    test.healthy().await;
}

#[tokio::test]
async fn a_failed_run_is_tried_again_and_at_last_a_dead_letter() {
    let test = TestQueue::start().await;
    let workers = Workers::start(&test.queue, 4, |delivery| async move {
        if delivery.attempts == 0 { Err(failure(Disposition::Retry)) } else { Ok(next_step(&delivery)) }
    });
    test.pairs(3).await;
    test.until_ready(3).await;
    assert_eq!(test.counter("retried").await, 3 * 6);
    workers.stop().await;

    let workers = Workers::start(&test.queue, 4, |_| async { Err(failure(Disposition::Retry)) });
    let pair = add(&test, 4, 0).await;
    let letter = first_dead(&test).await;
    assert_eq!((letter.pair, letter.attempts, letter.class.as_str()), (Some(pair), 5, "testing"));
    assert_eq!(letter.chain, ["it failed", "as it should"]);
    workers.stop().await;
}

#[tokio::test]
async fn a_panic_is_a_failed_attempt_and_the_worker_goes_on() {
    let test = TestQueue::start().await;
    let workers = Workers::start(&test.queue, 4, |delivery| async move {
        assert!(delivery.attempts < 4, "no fifth time");
        Ok(next_step(&delivery))
    });
    add(&test, 4, 0).await;
    let letter = first_dead(&test).await;
    assert_eq!(letter.class, "panic");
    assert!(letter.chain[0].contains("no fifth time"), "{:?}", letter.chain);
    test.pairs(1).await;
    test.until_ready(1).await;
    workers.stop().await;
}

#[tokio::test]
async fn buried_waiting_and_halted_jobs_end_as_they_should() {
    let test = TestQueue::start().await;
    let kinds =
        [Disposition::Bury, Disposition::Wait { after: Some(Duration::from_mins(5)) }, Disposition::Halt];
    let next = Arc::new(AtomicUsize::new(0));
    let workers = Workers::start(&test.queue, 1, move |_| {
        let kind = kinds[next.fetch_add(1, Ordering::SeqCst) % kinds.len()];
        async move { Err(failure(kind)) }
    });
    test.pairs(3).await;
    until("all have run", || async { workers.seen() == 3 && test.step(Step::Objects).await == (0, 0, 2) })
        .await;
    let letter = first_dead(&test).await;
    assert_eq!((letter.attempts, letter.class.as_str()), (1, "testing"));
    let next_in = test.queue.promote().await.unwrap().next_in.unwrap();
    assert!(next_in > Duration::from_secs(50) && next_in < Duration::from_secs(80), "{next_in:?}");
    assert_eq!((test.counter("waited").await, test.counter("retried").await), (2, 0));
    workers.stop().await;
    test.healthy().await;
}

#[tokio::test]
async fn a_job_that_ends_its_worker_three_times_is_a_dead_letter_that_says_so() {
    let test = TestQueue::with_lease(Duration::from_millis(300)).await;
    add(&test, 0, 2).await;
    // The third worker takes it and is never heard of again.
    assert_eq!(test.claim(Step::Objects, "gone").await.crashes, 2);
    let workers = Workers::start(&test.queue, 4, |delivery| async move { Ok(next_step(&delivery)) });
    let letter = first_dead(&test).await;
    assert_eq!((letter.class.as_str(), letter.crashes, letter.attempts), ("crashed", 3, 0));
    assert!(letter.chain[0].contains("3 times"), "{:?}", letter.chain);
    assert_eq!(workers.seen(), 0, "it was not run a fourth time");
    workers.stop().await;
}

#[tokio::test]
async fn jobs_of_a_worker_that_is_gone_are_taken_over() {
    let test = TestQueue::with_lease(Duration::from_millis(500)).await;
    test.pairs(5).await;
    assert_eq!(test.claims(Step::Objects, "gone", 5).await.len(), 5);
    let workers = Workers::start(&test.queue, 4, |delivery| async move { Ok(next_step(&delivery)) });
    test.until_ready(5).await;
    let seen = workers.seen.lock().unwrap().clone();
    let crashes: Vec<u32> =
        seen.iter().filter(|seen| seen.step == Step::Objects).map(|seen| seen.crashes).collect();
    assert_eq!(crashes, [1; 5]);
    workers.stop().await;
    test.healthy().await;
}

#[tokio::test]
async fn a_run_longer_than_its_lease_keeps_it() {
    let test = TestQueue::with_lease(Duration::from_secs(2)).await;
    let work = |delivery: Delivery| async move {
        if delivery.step == Step::Answer {
            tokio::time::sleep(Duration::from_secs(5)).await;
        }
        Ok(next_step(&delivery))
    };
    let (first, second) = (Workers::start(&test.queue, 2, work), Workers::start(&test.queue, 2, work));
    test.pairs(2).await;
    test.until_ready(2).await;
    assert_eq!(first.seen() + second.seen(), 12, "nothing ran twice");
    assert_eq!(test.counter("reclaimed").await, 0);
    first.stop().await;
    second.stop().await;
}

#[tokio::test]
async fn a_run_whose_lease_is_lost_is_cancelled() {
    let test = TestQueue::with_lease(Duration::from_secs(1)).await;
    let (started, dropped) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (tell, told) = (Arc::clone(&started), Arc::clone(&dropped));
    let workers = Workers::start(&test.queue, 1, move |_| {
        let (tell, guard) = (Arc::clone(&tell), NotifyOnDrop(Arc::clone(&told)));
        async move {
            tell.notify_one();
            std::future::pending::<()>().await;
            drop(guard);
            Ok(Commit::default())
        }
    });
    test.pairs(1).await;
    started.notified().await;
    let entry = workers.seen.lock().unwrap()[0].entry.clone();
    let mut connection = test.redis.connection().await;
    let _: redis::Value = redis::cmd("XCLAIM")
        .arg(&["{test:0}:stream:objects", "workers", "thief", "0", &entry])
        .query_async(&mut connection)
        .await
        .unwrap();
    tokio::time::timeout(Duration::from_secs(30), dropped.notified()).await.expect("the run is cancelled");
    assert_eq!(test.queue.stats().await.unwrap().dead, 0);
    workers.stop().await;
}

#[tokio::test]
async fn an_undecodable_entry_does_not_stop_the_others() {
    let test = TestQueue::start().await;
    let mut connection = test.redis.connection().await;
    for step in ["objects", "question", "solve"] {
        let fields: [(&str, &[u8]); 1] = [("job", b"\xff\xfe")];
        let () = connection.xadd(format!("{{test:0}}:stream:{step}"), "*", &fields).await.unwrap();
    }
    let workers = Workers::start(&test.queue, 1, |delivery| async move { Ok(next_step(&delivery)) });
    test.pairs(2).await;
    test.until_ready(2).await;
    until("all are set aside", || async { test.queue.stats().await.unwrap().dead == 3 }).await;
    workers.stop().await;
    test.healthy().await;
}

#[tokio::test]
async fn undecodable_entries_are_read_no_faster_than_they_are_set_aside() {
    let test = TestQueue::start().await;
    let mut connection = test.redis.connection().await;
    let mut pipe = redis::pipe();
    for _ in 0..2000 {
        pipe.xadd("{test:0}:stream:objects", "*", &[("job", "nonsense")]).ignore();
    }
    pipe.exec_async(&mut connection).await.unwrap();
    let workers = Workers::start(&test.queue, 10, |delivery| async move { Ok(next_step(&delivery)) });
    until("all are set aside", || async {
        let (_, running, _) = test.step(Step::Objects).await;
        assert!(running <= 10, "{running} claimed by ten slots");
        test.queue.stats().await.unwrap().dead == 2000
    })
    .await;
    workers.stop().await;
}

#[tokio::test]
async fn a_result_that_may_not_be_stored_makes_a_dead_letter_and_spares_its_batch() {
    let test = TestQueue::start().await;
    let mut wrong = BTreeSet::new();
    test.pairs(20).await;
    let mut connection = test.redis.connection().await;
    // One record is damaged, one result is too large.
    let damaged = new_pair();
    wrong.insert(damaged.id);
    test.queue.start(std::slice::from_ref(&damaged)).await.unwrap();
    let () = connection.set(format!("{{test:0}}:pair:{}", damaged.id), "not a hash").await.unwrap();
    let large = new_pair();
    wrong.insert(large.id);
    test.queue.start(std::slice::from_ref(&large)).await.unwrap();

    let workers = Workers::start(&test.queue, 30, move |delivery| async move {
        let mut commit = next_step(&delivery);
        if delivery.pair == large.id {
            commit.fields.push(("page".to_owned(), vec![0; BODY_BYTES_MAX + 1]));
        }
        Ok(commit)
    });
    test.until_ready(20).await;
    until("both are dead", || async { test.queue.stats().await.unwrap().dead == 2 }).await;
    let letters = test.queue.dead(&DeadFilter::default(), 10).await.unwrap();
    assert_eq!(letters.iter().filter_map(|letter| letter.pair).collect::<BTreeSet<_>>(), wrong);
    let classes: BTreeSet<&str> = letters.iter().map(|letter| letter.class.as_str()).collect();
    assert_eq!(classes, BTreeSet::from(["redis", "too_large"]));
    workers.stop().await;
}

#[tokio::test]
async fn redis_killed_in_the_middle_of_work_is_a_pause() {
    let mut test = TestQueue::with_lease(Duration::from_secs(3)).await;
    let workers = Workers::start(&test.queue, 4, |delivery| async move {
        tokio::time::sleep(Duration::from_millis(10)).await;
        Ok(next_step(&delivery))
    });
    let pairs = test.pairs(100).await;
    for _ in 0..3 {
        let seen = workers.seen();
        until("work goes on", || async { workers.seen() > seen + 20 || test.ready().await == 100 }).await;
        test.redis.server.kill();
        tokio::time::sleep(Duration::from_millis(300)).await;
        test.redis.server.revive().await.unwrap();
    }
    test.until_ready(100).await;
    assert_eq!(test.counter("committed").await, 600, "each job committed once");
    assert_eq!(test.queue.stats().await.unwrap().dead, 0);
    let mut taken = BTreeSet::new();
    while let Some(pair) = test.queue.take().await.unwrap() {
        assert!(taken.insert(pair.pair), "no pair is ready twice");
    }
    assert_eq!(taken, pairs.iter().map(|pair| pair.id).collect());
    workers.stop().await;
    test.healthy().await;
}

#[tokio::test]
async fn the_pulse_ages_while_redis_is_away() {
    let mut test = TestQueue::start().await;
    let workers = Workers::start(&test.queue, 1, |delivery| async move { Ok(next_step(&delivery)) });
    test.pairs(1).await;
    test.until_ready(1).await;
    test.redis.server.kill();
    let old = Duration::from_secs(8);
    until("the pulse is old", || async { workers.pulse.last_poll_age().unwrap() > old }).await;
    test.redis.server.revive().await.unwrap();
    until("the pulse is young", || async { workers.pulse.last_poll_age().unwrap() < old }).await;
    workers.stop().await;
}

#[tokio::test]
async fn work_goes_on_after_everything_was_flushed() {
    let test = TestQueue::start().await;
    let workers = Workers::start(&test.queue, 2, |delivery| async move {
        tokio::time::sleep(Duration::from_millis(20)).await;
        Ok(next_step(&delivery))
    });
    test.pairs(20).await;
    until("work is under way", || async { workers.seen() > 10 }).await;
    let mut connection = test.redis.connection().await;
    let () = redis::cmd("FLUSHALL").query_async(&mut connection).await.unwrap();
    let () = redis::cmd("SCRIPT").arg("FLUSH").query_async(&mut connection).await.unwrap();
    test.pairs(5).await;
    test.until_ready(5).await;
    workers.stop().await;
    test.healthy().await;
}

#[tokio::test]
async fn a_shutdown_lets_running_jobs_finish_and_hands_the_rest_back() {
    let test = TestQueue::start().await;
    let (running, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (tell, wait) = (Arc::clone(&running), Arc::clone(&go));
    let workers = Workers::start(&test.queue, 1, move |delivery| {
        let (tell, wait) = (Arc::clone(&tell), Arc::clone(&wait));
        async move {
            tell.notify_one();
            wait.notified().await;
            Ok(next_step(&delivery))
        }
    });
    test.pairs(3).await;
    running.notified().await;
    workers.shutdown.cancel();
    go.notify_one();
    workers.stop().await;
    assert_eq!(test.step(Step::Objects).await, (2, 0, 0));
    assert_eq!(test.step(Step::Question).await, (1, 0, 0));
    assert_eq!(test.claim(Step::Objects, "next").await.crashes, 0);
}

#[tokio::test]
async fn a_job_that_outlasts_the_grace_is_handed_back_with_nothing_counted() {
    let test = TestQueue::start().await;
    let running = Arc::new(Notify::new());
    let tell = Arc::clone(&running);
    let workers = Workers::with_grace(&test.queue, 1, Duration::from_millis(100), move |_| {
        tell.notify_one();
        std::future::pending()
    });
    test.pairs(1).await;
    running.notified().await;
    workers.stop().await;
    assert_eq!(test.step(Step::Objects).await, (1, 0, 0));
    let again = test.claim(Step::Objects, "next").await;
    assert_eq!((again.attempts, again.crashes), (0, 0));
    test.healthy().await;
}

#[tokio::test]
async fn idle_workers_hardly_speak_to_redis() {
    let test = TestQueue::with_lease(Duration::from_secs(15)).await;
    let workers = Workers::start(&test.queue, 4, |delivery| async move { Ok(next_step(&delivery)) });
    tokio::time::sleep(Duration::from_secs(2)).await;
    let mut connection = test.redis.connection().await;
    let mut commands = async || {
        let info: redis::InfoDict = redis::cmd("INFO").query_async(&mut connection).await.unwrap();
        info.get::<u64>("total_commands_processed").unwrap()
    };
    let before = commands().await;
    tokio::time::sleep(Duration::from_secs(10)).await;
    let spoken = commands().await - before;
    assert!(spoken <= 60, "{spoken} commands in ten seconds");
    workers.stop().await;
}

struct NotifyOnDrop(Arc<Notify>);

impl Drop for NotifyOnDrop {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}

fn failure(disposition: Disposition) -> Failure {
    let chain = vec!["it failed".to_owned(), "as it should".to_owned()];
    Failure { disposition, class: "testing".to_owned(), chain }
}

async fn first_dead(test: &TestQueue) -> DeadLetter {
    until("a job is dead", || async { test.queue.stats().await.unwrap().dead > 0 }).await;
    test.queue.dead(&DeadFilter::default(), 1).await.unwrap().remove(0)
}

/// Adds a pair whose first job has failed and crashed that often.
async fn add(test: &TestQueue, attempts: u32, crashes: u32) -> mondo_jobs::pair::PairId {
    let pair = new_pair();
    let mut connection = test.redis.connection().await;
    let stream = "{test:0}:stream:objects";
    let entry = serde_json::json!({"id": pair.first.id, "pair": pair.id, "envelope": pair.first.envelope,
        "attempts": attempts, "crashes": crashes});
    let () = connection.hset(format!("{{test:0}}:pair:{}", pair.id), "state", "open").await.unwrap();
    let () = connection.zadd("{test:0}:open", pair.id.to_string(), 1).await.unwrap();
    let () = connection.xadd(stream, "*", &[("job", entry.to_string())]).await.unwrap();
    pair.id
}
