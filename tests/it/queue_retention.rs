//! What is kept of the past, and what is never touched.

use std::time::Duration;

use mondo_jobs::{
    job::Step,
    pair::PairId,
    queue::{Commit, Delivery, End, Forgotten, Keep, Retention},
};
use redis::AsyncCommands as _;

use crate::support::queue::{TestQueue, death};

const FOR_EVER: Keep = Keep { age: Duration::from_hours(24), bytes: u64::MAX };
const NOT_AT_ALL: Keep = Keep { age: Duration::ZERO, bytes: u64::MAX };
const ALL: Retention = Retention {
    events: FOR_EVER,
    journals: FOR_EVER,
    finished: FOR_EVER,
    rejected: FOR_EVER,
    dead: FOR_EVER,
};

#[tokio::test]
async fn records_and_journals_of_ended_pairs_go_by_age() {
    let test = TestQueue::start().await;
    let [open, ready, delivered, rejected] = four_pairs(&test).await;
    assert_eq!(test.queue.forget_by(&ALL).await.unwrap(), Forgotten::default());
    assert!(test.counter("finished_bytes").await > 0 && test.counter("rejected_bytes").await > 0);

    tokio::time::sleep(Duration::from_millis(5)).await;
    let nothing = Retention { finished: NOT_AT_ALL, rejected: NOT_AT_ALL, ..ALL };
    let gone = test.queue.forget_by(&nothing).await.unwrap();
    assert_eq!((gone.finished, gone.rejected, gone.journals), (1, 1, 0));
    assert_eq!(keys_of(&test, delivered).await, (false, false));
    assert_eq!(keys_of(&test, rejected).await, (false, false));
    assert_eq!(keys_of(&test, open).await, (true, true));
    assert_eq!(keys_of(&test, ready).await, (true, true));
    for name in ["finished_bytes", "rejected_bytes"] {
        assert_eq!(test.counter(name).await, 0, "{name}");
    }
    test.healthy().await;
}

#[tokio::test]
async fn journals_can_go_before_the_records() {
    let test = TestQueue::start().await;
    let [open, ready, delivered, rejected] = four_pairs(&test).await;
    tokio::time::sleep(Duration::from_millis(5)).await;
    let gone = test.queue.forget_by(&Retention { journals: NOT_AT_ALL, ..ALL }).await.unwrap();
    assert_eq!(gone, Forgotten { journals: 3, ..Forgotten::default() });
    for pair in [ready, delivered, rejected] {
        assert_eq!(keys_of(&test, pair).await, (true, false), "the record stays");
    }
    assert_eq!(keys_of(&test, open).await, (true, true));
    assert_eq!(test.counter("journals_bytes").await, 0);
}

#[tokio::test]
async fn the_oldest_go_first_when_there_is_too_much() {
    let test = TestQueue::start().await;
    let pairs = test.make_all_ready(&[vec![b'1'; 1000], vec![b'2'; 1000], vec![b'3'; 1000]]).await;
    while let Some(taken) = test.queue.take().await.unwrap() {
        test.queue.delivered(taken.pair).await.unwrap();
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let each = test.counter("finished_bytes").await.unsigned_abs() / 3;
    let two = Retention { finished: Keep { bytes: 2 * each, ..FOR_EVER }, ..ALL };
    assert_eq!(test.queue.forget_by(&two).await.unwrap().finished, 1);
    assert!(!keys_of(&test, pairs[0]).await.0, "the oldest");
    assert!(keys_of(&test, pairs[1]).await.0);
    assert_eq!(test.queue.forget_by(&two).await.unwrap(), Forgotten::default());
}

#[tokio::test]
async fn dead_letters_go_by_age_and_by_size_and_free_the_place_of_their_pairs() {
    let test = TestQueue::start().await;
    test.pairs(2).await;
    for delivery in test.claims(Step::Objects, "one", 2).await {
        bury(&test, &delivery).await;
    }
    let little = Retention { dead: Keep { bytes: 0, ..FOR_EVER }, ..ALL };
    let gone = test.queue.forget_by(&little).await.unwrap();
    assert_eq!((gone.dead, test.queue.stats().await.unwrap().open), (2, 0));

    test.pairs(1).await;
    let delivery = test.claim(Step::Objects, "one").await;
    bury(&test, &delivery).await;
    assert_eq!(test.queue.forget_by(&ALL).await.unwrap(), Forgotten::default());
    tokio::time::sleep(Duration::from_millis(5)).await;
    assert_eq!(test.queue.forget_by(&Retention { dead: NOT_AT_ALL, ..ALL }).await.unwrap().dead, 1);
    assert_eq!(test.counter("rejected").await, 3);
    test.healthy().await;
}

#[tokio::test]
async fn events_go_by_age_and_by_size() {
    let test = TestQueue::start().await;
    test.pairs(500).await;
    let mut connection = test.redis.connection().await;
    assert_eq!(connection.xlen::<_, u64>("{test:0}:events").await.unwrap(), 500);
    let little = Retention { events: Keep { bytes: 128 * 100, ..FOR_EVER }, ..ALL };
    assert!(test.queue.forget_by(&little).await.unwrap().events > 0);
    tokio::time::sleep(Duration::from_millis(5)).await;
    test.queue.forget_by(&Retention { events: NOT_AT_ALL, ..ALL }).await.unwrap();
    assert_eq!(connection.xlen::<_, u64>("{test:0}:events").await.unwrap(), 0);
}

/// One pair in each state, each with a journal: open, ready, delivered, rejected.
async fn four_pairs(test: &TestQueue) -> [PairId; 4] {
    let started = test.pairs(4).await;
    for pair in &started {
        test.queue.journal_put(pair.id, "key", b"reply").await.unwrap();
    }
    let found = test.claims(Step::Objects, "one", 4).await;
    let ready = || Some(End::Ready { body: b"{}".to_vec() });
    let rejected = Some(End::Rejected { reason: "no good".to_owned() });
    for (place, end) in [(2, ready()), (1, ready()), (3, rejected)] {
        test.queue.commit(&found[place], &Commit { end, ..Commit::default() }).await.unwrap();
    }
    let taken = test.queue.take().await.unwrap().unwrap();
    assert_eq!(taken.pair, found[2].pair);
    test.queue.delivered(taken.pair).await.unwrap();
    [0, 1, 2, 3].map(|place| found[place].pair)
}

/// Whether a pair has a record, and a journal.
async fn keys_of(test: &TestQueue, pair: PairId) -> (bool, bool) {
    let mut connection = test.redis.connection().await;
    let record = connection.exists(format!("{{test:0}}:pair:{pair}")).await.unwrap();
    (record, connection.exists(format!("{{test:0}}:pair:{pair}:journal")).await.unwrap())
}

async fn bury(test: &TestQueue, delivery: &Delivery) {
    assert!(test.queue.bury(delivery, "one", &death(1, "test", &["broken"])).await.unwrap());
}
