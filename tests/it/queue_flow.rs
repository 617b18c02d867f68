//! How much comes in, and what is held up or called off.

use mondo_jobs::{
    job::Step,
    pair::PairId,
    queue::{Admission, Bound, Bounds, Commit, Committed, End, Marks, NewPair},
};
use redis::AsyncCommands as _;

use crate::support::{
    queue::{LONG_LEASE, TestQueue, connect_bounded, connect_sharded, new_job, new_pair},
    redis::TestRedis,
};

const WIDE: Bounds = Bounds { pairs: 1_000, bytes: 1 << 30 };

/// A queue with these bounds on a Redis of its own.
async fn bounded(bounds: Bounds) -> TestQueue {
    let redis = TestRedis::start().await;
    let queue = connect_bounded(redis.url(), LONG_LEASE, 1, bounds).await;
    TestQueue { redis, queue }
}

fn pairs(count: usize) -> Vec<NewPair> {
    std::iter::repeat_with(new_pair).take(count).collect()
}

fn bound(admission: &Admission) -> Option<Bound> {
    if let Admission::Full { retry_after, .. } = admission {
        let secs = retry_after.as_secs_f64();
        assert!((10.0..=20.0).contains(&secs), "bounded, and not at once: {secs} s");
    }
    admission.full()
}

#[tokio::test]
async fn as_many_pairs_are_held_as_the_bound_allows_wherever_they_are() {
    let test = bounded(Bounds { pairs: 4, ..WIDE }).await;
    test.make_ready(b"{}").await;
    test.make_ready(b"{}").await;
    test.queue.take().await.unwrap().unwrap();
    let first = pairs(3);
    let admissions = test.queue.start(&first).await.unwrap();
    assert_eq!(admissions[..2], [Admission::Accepted; 2]);
    assert_eq!(bound(&admissions[2]), Some(Bound::Pairs));
    assert!(test.queue.record(first[2].id).await.unwrap().is_empty(), "nothing is stored of it");

    let again = test.queue.start(&first).await.unwrap();
    assert_eq!(again[..2], [Admission::Duplicate; 2], "also of a full queue");
    assert_eq!(bound(&again[2]), Some(Bound::Pairs));
    let refilled = test.queue.refill(Marks { low: 9, high: 9 }, &pairs(9)).await.unwrap();
    assert_eq!(refilled.len(), 9, "the marks call for more than the bound allows");
    assert!(refilled.iter().all(|one| one.full() == Some(Bound::Pairs)));

    let delivery = test.claim(Step::Objects, "one").await;
    let end = Some(End::Rejected { reason: "no good".to_owned() });
    test.queue.commit(&delivery, &Commit { end, ..Commit::default() }).await.unwrap();
    assert_eq!(test.queue.start(&first[2..]).await.unwrap(), [Admission::Accepted]);
    test.healthy().await;
}

#[tokio::test]
async fn as_many_bytes_are_held_as_the_bound_allows() {
    let test = bounded(Bounds { bytes: 3_000, ..WIDE }).await;
    let mut large = pairs(3);
    for pair in &mut large {
        pair.fields = vec![("page".to_owned(), vec![b'x'; 1_000])];
    }
    let admissions = test.queue.start(&large).await.unwrap();
    assert_eq!(admissions[..2], [Admission::Accepted; 2]);
    assert_eq!(bound(&admissions[2]), Some(Bound::Bytes));
    assert_eq!(test.queue.start(&pairs(1)).await.unwrap(), [Admission::Accepted], "a small one still fits");

    // Work that is under way goes on beyond the bound.
    let delivery = test.claim(Step::Objects, "one").await;
    let fields = vec![("page".to_owned(), vec![b'x'; 5_000])];
    let commit = Commit { fields, end: Some(End::Ready { body: b"{}".to_vec() }), ..Commit::default() };
    assert_eq!(test.queue.commit(&delivery, &commit).await.unwrap(), Committed::Stored);
    assert_eq!(bound(&test.queue.start(&pairs(1)).await.unwrap()[0]), Some(Bound::Bytes));
    let taken = test.queue.take().await.unwrap().unwrap();
    test.queue.delivered(taken.pair).await.unwrap();
    assert_eq!(test.queue.start(&large[2..]).await.unwrap(), [Admission::Accepted]);
}

/// F24: what is refused must be refused early, so that the rest of the memory drains the queue.
#[tokio::test]
async fn a_redis_that_is_nearly_full_takes_no_pair_and_still_drains() {
    let test = bounded(WIDE).await;
    test.pairs(2).await;
    let mut connection = test.redis.connection().await;
    let info: redis::InfoDict = redis::cmd("INFO").arg("memory").query_async(&mut connection).await.unwrap();
    let used: u64 = info.get("used_memory").unwrap();
    let mut limit = async |bytes: u64| {
        let mut set = redis::cmd("CONFIG");
        set.arg("SET").arg("maxmemory").arg(bytes).exec_async(&mut connection).await.unwrap();
    };

    limit(used * 10 / 9).await;
    test.memory_is_asked_for_again().await;
    assert_eq!(bound(&test.queue.start(&pairs(1)).await.unwrap()[0]), Some(Bound::Memory));
    // What is there for ever says nothing of now.
    let mut planted = test.redis.connection().await;
    let () = planted.set("{test:0}:memory", 1).await.unwrap();
    assert_eq!(bound(&test.queue.start(&pairs(1)).await.unwrap()[0]), Some(Bound::Memory));
    let refilled = test.queue.refill(Marks { low: 9, high: 9 }, &pairs(9)).await.unwrap();
    assert_eq!(refilled[0].full(), Some(Bound::Memory));
    // Even when not a byte is left, what frees is taken.
    limit(1_000_000).await;
    for delivery in test.claims(Step::Objects, "one", 2).await {
        let end = Some(End::Ready { body: b"{}".to_vec() });
        let commit = Commit { end, ..Commit::default() };
        assert_eq!(test.queue.commit(&delivery, &commit).await.unwrap(), Committed::Stored);
    }
    while let Some(taken) = test.queue.take().await.unwrap() {
        test.queue.delivered(taken.pair).await.unwrap();
    }
    limit(used * 10).await;
    assert_eq!(test.queue.start(&pairs(1)).await.unwrap(), [Admission::Accepted]);
    test.healthy().await;
}

/// F27: the key is in the pair's id and nowhere else, so no crash can leave it locked.
#[tokio::test]
async fn a_key_names_the_same_pair_for_as_long_as_its_record_is_kept() {
    let test = bounded(WIDE).await;
    let order = |key: &str, number| {
        let id = test.queue.pair_of_order(key, number);
        let first = new_job(&mondo_jobs::job::Job::first(id));
        [NewPair { id, first, ..new_pair() }]
    };
    assert_eq!(test.queue.start(&order("a", 0)).await.unwrap(), [Admission::Accepted]);
    assert_eq!(test.queue.start(&order("a", 0)).await.unwrap(), [Admission::Duplicate]);
    for other in [order("a", 1), order("b", 0)] {
        assert_eq!(test.queue.start(&other).await.unwrap(), [Admission::Accepted]);
    }
    let twice = [order("c", 0), order("c", 0)].concat();
    let expected = [Admission::Accepted, Admission::Duplicate];
    assert_eq!(test.queue.start(&twice).await.unwrap(), expected, "also within one call");

    for delivery in test.claims(Step::Objects, "one", 9).await {
        let end = Some(End::Rejected { reason: "no good".to_owned() });
        test.queue.commit(&delivery, &Commit { end, ..Commit::default() }).await.unwrap();
    }
    assert_eq!(test.queue.start(&order("a", 0)).await.unwrap(), [Admission::Duplicate], "its record is kept");
    let record = format!("{{test:0}}:pair:{}", test.queue.pair_of_order("a", 0));
    let mut connection = test.redis.connection().await;
    redis::cmd("DEL").arg(record).exec_async(&mut connection).await.unwrap();
    assert_eq!(test.queue.start(&order("a", 0)).await.unwrap(), [Admission::Accepted]);
}

#[tokio::test]
async fn bounds_are_kept_over_all_shards_and_each_pair_has_its_answer() {
    let redis = TestRedis::start().await;
    let queue = connect_bounded(redis.url(), LONG_LEASE, 4, Bounds { pairs: 22, ..WIDE }).await;
    let all = pairs(100);
    let admissions = queue.start(&all).await.unwrap();
    let accepted: Vec<PairId> = all
        .iter()
        .zip(&admissions)
        .filter(|(_, admission)| **admission == Admission::Accepted)
        .map(|(pair, _)| pair.id)
        .collect();
    assert_eq!((admissions.len(), accepted.len()), (100, 22));
    for id in accepted {
        assert!(!queue.record(id).await.unwrap().is_empty(), "the answers are in the order of the pairs");
    }
    let unbounded = connect_sharded(redis.url(), LONG_LEASE, 4).await;
    assert_eq!(unbounded.stats().await.unwrap().open, 22);
}
