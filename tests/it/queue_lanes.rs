//! Shards and priorities: where a job is, and which goes first.

use std::time::Duration;

use mondo_jobs::{
    disposition::Disposition,
    job::Step,
    queue::{Commit, Committed, End, Marks, NewPair, Priority, Queue, QueueError, Reader},
};

use redis::AsyncCommands as _;

use crate::support::{
    queue::{LONG_LEASE, TestQueue, config, connect_sharded, death, job, new_pair, next_job, renew},
    redis::TestRedis,
};

fn pair_of(priority: Priority) -> NewPair {
    NewPair { priority, ..new_pair() }
}

#[tokio::test]
async fn high_priority_goes_first_and_normal_has_its_share() {
    let test = TestQueue::start().await;
    for priority in [Priority::Normal, Priority::High] {
        let pairs: Vec<NewPair> = std::iter::repeat_with(|| pair_of(priority)).take(50).collect();
        test.queue.start(&pairs).await.unwrap();
    }
    let mut reader = test.reader(Step::Objects, "one").await;
    let mut order = Vec::new();
    while order.len() < 50 {
        let found = reader.read(1, Duration::from_secs(5)).await.unwrap();
        order.extend(found.into_iter().map(|arrival| job(arrival).priority));
    }
    let normal = order.iter().filter(|priority| **priority == Priority::Normal).count();
    assert_eq!(order[..4], [Priority::High; 4]);
    assert_eq!(normal, 10, "one claim of five: {order:?}");
}

#[tokio::test]
async fn a_blocked_read_wakes_for_either_priority() {
    let test = TestQueue::start().await;
    let mut reader = test.reader(Step::Objects, "one").await;
    for priority in [Priority::High, Priority::Normal, Priority::High] {
        let add = async {
            tokio::time::sleep(Duration::from_millis(50)).await;
            test.queue.start(&[pair_of(priority)]).await.unwrap();
        };
        let (found, ()) = tokio::join!(reader.read(10, Duration::from_mins(1)), add);
        let found: Vec<_> = found.unwrap().into_iter().map(|arrival| job(arrival).priority).collect();
        assert_eq!(found, [priority]);
        // The next look finds nothing at once, and blocks again.
        assert_eq!(reader.read(10, Duration::from_millis(10)).await.unwrap(), []);
    }
}

#[tokio::test]
async fn a_job_keeps_its_priority_through_commit_delay_bury_and_replay() {
    let test = TestQueue::start().await;
    let pair = pair_of(Priority::High);
    test.queue.start(std::slice::from_ref(&pair)).await.unwrap();
    let first = test.claim(Step::Objects, "one").await;
    let commit = Commit { next: vec![next_job(pair.id, Step::Question)], ..Commit::default() };
    test.queue.commit(&first, &commit).await.unwrap();

    let question = test.claim(Step::Question, "one").await;
    assert_eq!(question.priority, Priority::High, "what follows has the priority of the job");
    assert!(test.queue.retry(&question, "one", Duration::ZERO).await.unwrap());
    test.queue.promote().await.unwrap();
    let retried = test.claim(Step::Question, "one").await;
    assert_eq!(retried.priority, Priority::High);
    assert!(test.queue.bury(&retried, "one", &death(1, "test", &["broken"])).await.unwrap());
    assert!(test.queue.replay(retried.job.as_str()).await.unwrap().is_some());
    let replayed = test.claim(Step::Question, "one").await;
    assert_eq!(replayed.priority, Priority::High);
    assert!(test.queue.release(&replayed, "one").await.unwrap());
    assert_eq!(test.claim(Step::Question, "one").await.priority, Priority::High);
    test.healthy().await;
}

#[tokio::test]
async fn a_pair_walks_through_its_own_shard() {
    let redis = TestRedis::start().await;
    let queue = connect_sharded(redis.url(), LONG_LEASE, 3).await;
    let pairs: Vec<NewPair> = std::iter::repeat_with(new_pair).take(30).collect();
    queue.start(&pairs).await.unwrap();
    assert_eq!(queue.stats().await.unwrap().open, 30);

    let mut deliveries = Vec::new();
    for shard in 0..3 {
        let mut reader = reader(&queue, shard).await;
        let found = reader.read(100, Duration::from_millis(10)).await.unwrap();
        assert!(found.len() < 30, "the shards share the pairs");
        deliveries.extend(found.into_iter().map(job));
    }
    assert_eq!(deliveries.len(), 30);
    let held: Vec<_> = deliveries.iter().collect();
    assert_eq!(renew(&queue, "one", &held).await, []);

    let end = Commit { end: Some(End::Ready { body: b"{}".to_vec() }), ..Commit::default() };
    let ends: Vec<_> = deliveries.iter().map(|delivery| (delivery, &end)).collect();
    assert_eq!(queue.commit_all(&ends).await.unwrap(), [Committed::Stored; 30], "one call, three scripts");
    assert_eq!(queue.doctor().await.unwrap(), []);
    let mut taken = 0;
    while let Some(pair) = queue.take().await.unwrap() {
        queue.delivered(pair.pair).await.unwrap();
        taken += 1;
    }
    assert_eq!(taken, 30);
    assert_eq!(queue.stats().await.unwrap().counters["held_bytes"], 0);
}

#[tokio::test]
async fn marks_are_kept_over_all_shards() {
    let redis = TestRedis::start().await;
    let queue = connect_sharded(redis.url(), LONG_LEASE, 4).await;
    let marks = Marks { low: 9, high: 11 };
    let mut started = 0;
    for _ in 0..5 {
        let pairs: Vec<NewPair> = std::iter::repeat_with(new_pair).take(100).collect();
        started += queue.refill(marks, &pairs).await.unwrap().len();
    }
    assert_eq!((started, queue.stats().await.unwrap().open), (11, 11));
}

#[tokio::test]
async fn another_number_of_shards_or_a_newer_layout_is_refused() {
    let redis = TestRedis::start().await;
    connect_sharded(redis.url(), LONG_LEASE, 3).await;
    connect_sharded(redis.url(), LONG_LEASE, 3).await;
    let Err(error) = Queue::connect(config(redis.url(), LONG_LEASE, 2)).await else { panic!("it agreed") };
    assert!(matches!(error, QueueError::Shards { stored: 3, wanted: 2, .. }), "{error}");
    assert!(error.to_string().contains("set MONDO_SHARDS=3"), "{error}");
    assert_eq!((error.disposition(), error.is_passing()), (Disposition::Halt, false));

    let mut connection = redis.connection().await;
    let () = connection.hset("{test:0}:layout", "version", 1).await.unwrap();
    connect_sharded(redis.url(), LONG_LEASE, 3).await;
    let version: u32 = connection.hget("{test:0}:layout", "version").await.unwrap();
    assert_eq!(version, 3, "from now on a release that knows only the first is refused");

    let () = connection.hset("{test:0}:layout", "version", 4).await.unwrap();
    let Err(error) = Queue::connect(config(redis.url(), LONG_LEASE, 3)).await else { panic!("it agreed") };
    assert!(matches!(error, QueueError::Layout { stored: 4, known: 3, .. }), "{error}");
    assert_eq!((error.disposition(), error.is_passing()), (Disposition::Halt, false));
}

#[tokio::test]
async fn an_entry_in_a_foreign_shard_is_set_aside() {
    let redis = TestRedis::start().await;
    let one = connect_sharded(redis.url(), LONG_LEASE, 1).await;
    let pairs: Vec<NewPair> = std::iter::repeat_with(new_pair).take(20).collect();
    one.start(&pairs).await.unwrap();
    let () = redis.connection().await.del("{test:0}:layout").await.unwrap();
    let two = connect_sharded(redis.url(), LONG_LEASE, 2).await;
    let found = reader(&two, 0).await.read(100, Duration::from_millis(10)).await.unwrap();
    let foreign = found.iter().find_map(|arrival| match arrival {
        mondo_jobs::queue::Arrival::Undecodable(entry) => Some(entry.reason.clone()),
        mondo_jobs::queue::Arrival::Job(_) => None,
    });
    assert!(foreign.unwrap().contains("was the number changed?"));
}

#[tokio::test]
async fn a_result_for_an_ended_pair_is_dropped_and_its_cost_counted() {
    let test = TestQueue::start().await;
    let pair = test.pairs(1).await.remove(0).id;
    let first = test.claim(Step::Objects, "one").await;
    let next = [Step::Question, Step::Fix].map(|step| next_job(pair, step)).to_vec();
    test.queue.commit(&first, &Commit { next, ..Commit::default() }).await.unwrap();
    let fix = test.claim(Step::Fix, "one").await;
    let question = test.claim(Step::Question, "one").await;
    let end = Some(End::Rejected { reason: "no good".to_owned() });
    test.queue.commit(&question, &Commit { end, ..Commit::default() }).await.unwrap();

    let lost = renew(&test.queue, "one", &[&fix]).await;
    assert_eq!(lost, std::slice::from_ref(&fix.job), "its pair has ended");
    let late = Commit {
        next: vec![next_job(pair, Step::Solve)],
        counters: vec![("llm_calls".to_owned(), 1)],
        ..Commit::default()
    };
    assert_eq!(test.queue.commit(&fix, &late).await.unwrap(), Committed::Ended);
    assert_eq!(test.step(Step::Solve).await, (0, 0, 0));
    assert_eq!(test.step(Step::Fix).await, (0, 0, 0));
    assert_eq!((test.counter("llm_calls").await, test.counter("held_bytes").await), (1, 0));
    test.healthy().await;
}

async fn reader(queue: &Queue, shard: u32) -> Reader {
    Reader::connect(queue, shard, Step::Objects, "one", Duration::from_secs(5)).await.unwrap()
}
