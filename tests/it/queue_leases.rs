//! Who holds a job, for how long, and how another consumer comes by it.

use std::time::Duration;

use mondo_jobs::{
    job::{JobId, Step},
    queue::{Commit, Cursor, Delivery, Reader},
};

use crate::support::queue::{TestQueue, job, renew};

#[tokio::test]
async fn a_lapsed_lease_is_taken_over_and_counted_as_a_crash() {
    let test = TestQueue::with_lease(Duration::from_millis(1)).await;
    test.pairs(3).await;
    test.claims(Step::Objects, "gone", 3).await;
    tokio::time::sleep(Duration::from_millis(10)).await;
    assert_eq!(test.queue.lapses().await.unwrap().lapsed, [(0, Step::Objects)].into());

    let counts = |deliveries: &[Delivery]| -> Vec<(u32, u32)> {
        deliveries.iter().map(|delivery| (delivery.crashes, delivery.losses)).collect()
    };
    let first = test.reclaim(Step::Objects, "second").await;
    assert_eq!(counts(&first), [(1, 0); 3]);
    tokio::time::sleep(Duration::from_millis(10)).await;
    let second = test.reclaim(Step::Objects, "third").await;
    assert_eq!(counts(&second), [(1, 1); 3], "what ran, or would, in a process of its own is not charged");

    assert!(test.queue.retry(&second[0], "third", Duration::ZERO).await.unwrap());
    test.queue.promote().await.unwrap();
    let retried = test.claim(Step::Objects, "third").await;
    assert_eq!((retried.attempts, retried.crashes, retried.losses), (1, 1, 0), "a retry keeps the crashes");

    assert!(!test.queue.apart(&retried, "second").await.unwrap(), "it is not a stranger's to say");
    assert!(test.queue.apart(&retried, "third").await.unwrap());
    tokio::time::sleep(Duration::from_millis(10)).await;
    let taken_over = test.reclaim(Step::Objects, "fourth").await;
    let taken_over = taken_over.iter().find(|delivery| delivery.job == retried.job).unwrap();
    assert_eq!((taken_over.crashes, taken_over.losses), (1, 1), "nor is a claimed one that runs in its own");
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
        assert_eq!(renew(&test.queue, "one", &held).await, []);
    }
    assert_eq!(test.queue.lapses().await.unwrap().lapsed, [].into());
    assert_eq!(renew(&test.queue, "two", &held).await, jobs, "not a stranger's");

    let mut connection = test.redis.connection().await;
    let _: redis::Value = redis::cmd("XCLAIM")
        .arg(&["{test:0}:stream:objects", "workers", "two", "0", &held[0].entry])
        .query_async(&mut connection)
        .await
        .unwrap();
    assert_eq!(renew(&test.queue, "one", &held).await, jobs[..1]);
}

#[tokio::test]
async fn the_next_lapse_is_known_before_it_comes() {
    let test = TestQueue::with_lease(Duration::from_secs(6)).await;
    let nothing = test.queue.lapses().await.unwrap();
    assert_eq!(
        (nothing.lapsed, nothing.next_in),
        ([].into(), Duration::from_secs(4)),
        "not before a claim lapses"
    );
    test.pairs(1).await;
    let delivery = test.claim(Step::Objects, "gone").await;
    tokio::time::sleep(Duration::from_millis(2500)).await;
    let soon = test.queue.lapses().await.unwrap();
    assert!(soon.lapsed.is_empty() && soon.next_in < Duration::from_millis(3600), "{soon:?}");
    assert!(!soon.next_in.is_zero());
    tokio::time::sleep(soon.next_in).await;
    assert_eq!(test.queue.lapses().await.unwrap().lapsed, [(0, Step::Objects)].into());
    assert_eq!(test.queue.reclaim(0, Step::Objects, "next", 1).await.unwrap()[0].entry(), delivery.entry);
}

#[tokio::test]
async fn a_process_that_ended_is_counted_as_a_crash_and_uses_no_attempt() {
    let test = TestQueue::start().await;
    test.pairs(1).await;
    let delivery = test.claim(Step::Objects, "one").await;
    assert!(
        !test.queue.crashed(&delivery, "other", Duration::ZERO).await.unwrap(),
        "not a stranger's to say"
    );
    assert!(test.queue.crashed(&delivery, "one", Duration::ZERO).await.unwrap());
    test.queue.promote().await.unwrap();
    let again = test.claim(Step::Objects, "one").await;
    assert_eq!((again.attempts, again.crashes), (0, 1));
    assert_eq!(test.counter("crashed").await, 1);
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
