//! A queue on a Redis Cluster. With `MONDO_TEST_REDIS=cluster` every other test of the queue runs on one, too.

use std::{collections::BTreeSet, time::Duration};

use mondo_jobs::{
    pair::PairId,
    queue::{NewPair, Queue},
};
use redis::AsyncCommands as _;

use crate::support::{
    cluster::TestCluster,
    queue::{LONG_LEASE, connect, connect_sharded, new_pair},
    wait::until,
    workers::{Workers, next_step},
};

const SHARDS: u32 = 6;

async fn start(queue: &Queue, count: usize) -> BTreeSet<PairId> {
    let pairs: Vec<NewPair> = std::iter::repeat_with(new_pair).take(count).collect();
    queue.start(&pairs).await.unwrap();
    pairs.into_iter().map(|pair| pair.id).collect()
}

async fn until_ready(queue: &Queue, count: u64) {
    until("all are ready", || async { queue.stats().await.is_ok_and(|stats| stats.ready == count) }).await;
}

/// Each pair is ready once, each of its jobs committed once, and nothing is out of place.
async fn all_done_once(queue: &Queue, pairs: &BTreeSet<PairId>) {
    let committed = queue.stats().await.unwrap().counters["committed"];
    assert_eq!(committed, i64::try_from(pairs.len() * 6).unwrap());
    assert_eq!(queue.doctor().await.unwrap(), []);
    let mut taken = BTreeSet::new();
    while let Some(pair) = queue.take().await.unwrap() {
        assert!(taken.insert(pair.pair), "no pair is ready twice");
    }
    assert_eq!(taken, *pairs);
}

fn slow_workers(queue: &Queue) -> Workers {
    Workers::start(queue, 4, |delivery| async move {
        tokio::time::sleep(Duration::from_millis(5)).await;
        Ok(next_step(&delivery))
    })
}

#[tokio::test]
async fn workers_drain_the_shards_of_three_masters() {
    let cluster = TestCluster::start().await;
    let queue = connect_sharded(cluster.url(), LONG_LEASE, SHARDS).await;
    let workers = slow_workers(&queue);
    let pairs = start(&queue, 60).await;
    until_ready(&queue, 60).await;
    all_done_once(&queue, &pairs).await;
    workers.stop().await;
    for node in &cluster.nodes {
        let keys: u64 = node.ask("DBSIZE").await.unwrap();
        assert!(keys > 0, "every master has a part of the work");
    }
}

#[tokio::test]
async fn a_shard_that_moves_to_another_master_is_a_pause() {
    let cluster = TestCluster::start().await;
    let queue = connect(cluster.url(), LONG_LEASE).await;
    let workers = slow_workers(&queue);
    let pairs = start(&queue, 80).await;
    until("work is under way", || async { workers.seen() > 100 }).await;

    let (slot, from) = (cluster.slot(0).await, cluster.home(0).await);
    cluster.reshard(slot, from, (from + 1) % 3, Duration::from_millis(500)).await;
    assert!(workers.seen() < 80 * 6, "it moved in the middle of work");
    until_ready(&queue, 80).await;
    all_done_once(&queue, &pairs).await;
    workers.stop().await;
}

#[tokio::test]
async fn a_master_that_is_killed_is_a_pause() {
    let mut cluster = TestCluster::start().await;
    let queue = connect_sharded(cluster.url(), Duration::from_secs(10), SHARDS).await;
    let workers = slow_workers(&queue);
    let pairs = start(&queue, 150).await;
    until("work is under way", || async { workers.seen() > 100 }).await;

    cluster.nodes[1].kill();
    until("the others notice", || async {
        let info: String = cluster.nodes[0].ask("CLUSTER INFO").await.unwrap();
        info.contains("cluster_state:fail")
    })
    .await;
    cluster.nodes[1].revive();
    until_ready(&queue, 150).await;
    all_done_once(&queue, &pairs).await;
    workers.stop().await;
}

#[tokio::test]
async fn scripts_that_a_master_forgot_are_loaded_there_again() {
    let cluster = TestCluster::start().await;
    let queue = connect_sharded(cluster.url(), LONG_LEASE, SHARDS).await;
    for node in &cluster.nodes {
        node.ask::<()>("SCRIPT FLUSH").await.unwrap();
    }
    start(&queue, 30).await;
    assert_eq!(queue.stats().await.unwrap().open, 30);
    assert_eq!(queue.doctor().await.unwrap(), []);
}

#[tokio::test]
async fn every_key_of_a_shard_is_in_its_slot() {
    let cluster = TestCluster::start().await;
    let queue = connect(cluster.url(), LONG_LEASE).await;
    let workers = slow_workers(&queue);
    start(&queue, 5).await;
    until_ready(&queue, 5).await;
    workers.stop().await;
    let home = cluster.home(0).await;
    for (number, node) in cluster.nodes.iter().enumerate() {
        let keys: Vec<String> = node.connection().await.keys("*").await.unwrap();
        assert_eq!(keys.is_empty(), number != home, "{keys:?}");
        assert!(keys.iter().all(|key| key.starts_with("{test:0}:")), "{keys:?}");
    }
}
