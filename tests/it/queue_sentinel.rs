//! A queue whose master dies: sentinels make a replica the master, and work goes on there.
//!
//! Replication is asynchronous, so what the replicas had not got yet is gone: unless commits wait for them.

use std::{collections::BTreeSet, time::Duration};

use mondo_jobs::{
    pair::PairId,
    queue::{NewPair, Queue, QueueConfig},
};

use crate::support::{
    queue::{config, new_pair},
    sentinel::TestSentinel,
    wait::until,
    workers::{Workers, next_step},
};

async fn connect(test: &TestSentinel, replicas_min: u32) -> Queue {
    let config = config(test.url(), Duration::from_secs(5), 2);
    Queue::connect(QueueConfig { replicas_min, ..config }).await.unwrap()
}

async fn start(queue: &Queue, count: usize) -> BTreeSet<PairId> {
    let pairs: Vec<NewPair> = std::iter::repeat_with(new_pair).take(count).collect();
    queue.start(&pairs).await.unwrap();
    pairs.into_iter().map(|pair| pair.id).collect()
}

/// Ends the master while workers are in the middle of it. Gives the pairs that were ready in the end.
async fn killed_in_the_middle(test: &mut TestSentinel, queue: &Queue, pairs: usize) -> BTreeSet<PairId> {
    let workers = Workers::start(queue, 4, |delivery| async move {
        tokio::time::sleep(Duration::from_millis(5)).await;
        Ok(next_step(&delivery))
    });
    until("work is under way", || async { workers.seen() > pairs * 2 }).await;
    test.fail_over().await;
    assert!(workers.seen() < pairs * 6, "the master died in the middle of work");
    until("nothing is under way", || async {
        queue.stats().await.is_ok_and(|stats| stats.open == 0 && stats.ready > 0)
    })
    .await;
    workers.stop().await;

    let mut ready = BTreeSet::new();
    while let Some(pair) = queue.take().await.unwrap() {
        assert!(ready.insert(pair.pair), "no pair is ready twice");
    }
    ready
}

#[tokio::test]
async fn a_failover_loses_nothing_when_commits_wait_for_a_replica() {
    let mut test = TestSentinel::start().await;
    let queue = connect(&test, 1).await;
    let pairs = start(&queue, 200).await;
    let ready = killed_in_the_middle(&mut test, &queue, 200).await;
    assert_eq!(ready, pairs);
    let counters = queue.stats().await.unwrap().counters;
    assert_eq!(counters["committed"], 200 * 6, "each job is committed once");
    assert_eq!(queue.doctor().await.unwrap(), []);
}

#[tokio::test]
async fn without_waiting_only_the_last_moment_may_be_lost_and_is_known() {
    let mut test = TestSentinel::start().await;
    let pairs = start(&connect(&test, 2).await, 200).await;
    let queue = connect(&test, 0).await;
    let ready = killed_in_the_middle(&mut test, &queue, 200).await;
    // What is rolled back is done again: a pair that the replica had is complete in the end.
    assert_eq!(ready, pairs);
    assert_eq!(queue.doctor().await.unwrap(), []);
    let committed = queue.stats().await.unwrap().counters["committed"];
    assert_eq!(committed, 200 * 6, "in the history that stays, each job is committed once");
}

#[tokio::test]
async fn what_too_few_replicas_have_is_stored_and_counted() {
    let mut test = TestSentinel::start().await;
    let queue = connect(&test, 2).await;
    start(&queue, 1).await;
    assert_eq!(queue.stats().await.unwrap().counters.get("unreplicated"), None);
    test.servers[2].kill();
    start(&queue, 1).await;
    let stats = queue.stats().await.unwrap();
    assert_eq!((stats.open, stats.counters["unreplicated"]), (2, 1));
}
