//! Who holds a job, for how long, and how another consumer comes by it.

use std::time::Duration;

use mondo_jobs::{
    job::{JobId, Step},
    queue::{Commit, Cursor, Delivery, Reader},
};

use crate::support::queue::{TestQueue, job};

#[tokio::test]
async fn a_lapsed_lease_is_taken_over_and_counted_as_a_crash() {
    let test = TestQueue::with_lease(Duration::from_millis(1)).await;
    test.pairs(3).await;
    test.claims(Step::Objects, "gone", 3).await;
    tokio::time::sleep(Duration::from_millis(10)).await;
    assert_eq!(test.queue.lapsed().await.unwrap(), [(0, Step::Objects)].into());

    let first = test.reclaim(Step::Objects, "second").await;
    assert_eq!(first.iter().map(|delivery| delivery.crashes).collect::<Vec<_>>(), [1, 1, 1]);
    let second = test.reclaim(Step::Objects, "third").await;
    assert_eq!(second.iter().map(|delivery| delivery.crashes).collect::<Vec<_>>(), [2, 2, 2]);

    assert!(test.queue.retry(&second[0], "third", Duration::ZERO).await.unwrap());
    test.queue.promote().await.unwrap();
    let retried = test.claim(Step::Objects, "third").await;
    assert_eq!((retried.attempts, retried.crashes), (1, 2), "a retry keeps the crashes");
}

#[tokio::test]
async fn a_renewed_lease_does_not_lapse_and_a_lost_one_is_told() {
    let test = TestQueue::with_lease(Duration::from_secs(1)).await;
    test.pairs(2).await;
    let deliveries = test.claims(Step::Objects, "one", 2).await;
    let held: Vec<&Delivery> = deliveries.iter().collect();
    let jobs: Vec<JobId> = deliveries.iter().map(|delivery| delivery.job.clone()).collect();
    // Renewed for longer than the lease, nothing lapses.
    for _ in 0..8 {
        tokio::time::sleep(Duration::from_millis(200)).await;
        assert_eq!(test.queue.renew("one", &held).await.unwrap(), []);
    }
    assert_eq!(test.queue.lapsed().await.unwrap(), [].into());
    assert_eq!(test.queue.renew("two", &held).await.unwrap(), jobs, "not a stranger's");

    let mut connection = test.redis.connection().await;
    let _: redis::Value = redis::cmd("XCLAIM")
        .arg(&["{test:0}:stream:objects", "workers", "two", "0", &held[0].entry])
        .query_async(&mut connection)
        .await
        .unwrap();
    assert_eq!(test.queue.renew("one", &held).await.unwrap(), jobs[..1]);
}

#[tokio::test]
async fn what_a_lost_reply_delivered_is_found_again_without_a_crash() {
    let test = TestQueue::start().await;
    test.pairs(3).await;
    let lost = test.claims(Step::Objects, "one", 2).await;
    let mut reader = test.reader(Step::Objects, "one").await;
    for _ in 0..2 {
        assert_eq!(own(&mut reader, 100).await, lost, "as often as it is asked");
        assert_eq!(own(&mut reader, 1).await, lost, "in pieces");
    }
}

#[tokio::test]
async fn only_consumers_that_own_nothing_are_swept() {
    let test = TestQueue::start().await;
    test.pairs(2).await;
    test.claim(Step::Objects, "owner").await;
    let delivery = test.claim(Step::Objects, "idle").await;
    test.queue.commit(&delivery, &Commit::default()).await.unwrap();
    assert_eq!(test.queue.sweep().await.unwrap(), 0, "not silent for long enough");
    assert_eq!(test.queue.sweep_silent(Duration::ZERO).await.unwrap(), 1);
    assert_eq!(test.step(Step::Objects).await, (0, 1, 0), "the owner still owns it");
}

/// Everything that is pending for a reader's consumer, read in pieces.
async fn own(reader: &mut Reader, count: usize) -> Vec<Delivery> {
    let (mut from, mut all) = (Some(Cursor::default()), Vec::new());
    while let Some(place) = from {
        let (next, found) = reader.own(&place, count).await.unwrap();
        all.extend(found.into_iter().map(job));
        from = next;
    }
    all
}
