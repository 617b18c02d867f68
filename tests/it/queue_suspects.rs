//! Promise 5: a crash is not a failure. What a worker left behind is taken over at once and counted apart. That it
//! then runs in a process of its own is for `crash.rs`, where workers are processes.

use std::{sync::Arc, time::Duration};

use mondo_jobs::{
    job::Step,
    queue::{Delivery, Target},
};
use tokio::sync::{Barrier, Notify};

use crate::support::{
    queue::TestQueue,
    wait::until,
    workers::{Workers, next_step},
};

#[tokio::test]
async fn what_a_crash_left_behind_does_not_wait_for_what_runs() {
    let test = TestQueue::with_lease(Duration::from_secs(1)).await;
    test.pairs(2).await;
    assert_eq!(test.claims(Step::Objects, "gone", 2).await.len(), 2);
    test.pairs(2).await;
    let go = Arc::new(Notify::new());
    let wait = Arc::clone(&go);
    let workers = Workers::start(&test.queue, 2, move |delivery| {
        let wait = Arc::clone(&wait);
        async move {
            if delivery.crashes == 0 && delivery.step == Step::Objects {
                wait.notified().await;
            }
            Ok(next_step(&delivery))
        }
    });
    until("both slots are taken", || async { workers.seen() >= 2 }).await;
    test.until_ready(2).await;
    let seen = workers.seen.lock().unwrap().clone();
    let suspects: Vec<u32> = seen.iter().map(|seen| seen.crashes).filter(|crashes| *crashes > 0).collect();
    assert_eq!(suspects, [1, 1], "they ended while both slots were taken");
    go.notify_waiters();
    test.until_ready(4).await;
    workers.stop().await;
    test.healthy().await;
}

#[tokio::test]
async fn idle_slots_are_for_what_a_crash_left_behind_as_well() {
    let test = TestQueue::with_lease(Duration::from_secs(1)).await;
    test.pairs(2).await;
    assert_eq!(test.claims(Step::Objects, "gone", 2).await.len(), 2);
    let both = Arc::new(Barrier::new(2));
    let meet = Arc::clone(&both);
    let workers = Workers::start(&test.queue, 1, move |delivery| {
        let meet = Arc::clone(&meet);
        async move {
            if delivery.step == Step::Objects {
                meet.wait().await;
            }
            Ok(next_step(&delivery))
        }
    });
    test.until_ready(2).await;
    workers.stop().await;
}

#[tokio::test]
async fn what_a_crash_left_behind_is_shared_by_the_workers_that_are_left() {
    let test = TestQueue::with_lease(Duration::from_secs(1)).await;
    test.pairs(12).await;
    assert_eq!(test.claims(Step::Objects, "gone", 12).await.len(), 12);
    let work = |delivery: Delivery| async move {
        if delivery.step == Step::Objects {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Ok(next_step(&delivery))
    };
    let (first, second) = (Workers::start(&test.queue, 8, work), Workers::start(&test.queue, 8, work));
    test.until_ready(12).await;
    let suspects =
        |workers: &Workers| workers.seen.lock().unwrap().iter().filter(|seen| seen.crashes > 0).count();
    assert_eq!(suspects(&first) + suspects(&second), 12, "each once");
    assert!(suspects(&first) > 1 && suspects(&second) > 1, "{} and {}", suspects(&first), suspects(&second));
    first.stop().await;
    second.stop().await;
}

#[tokio::test]
async fn a_stop_hands_back_what_was_taken_over_without_another_crash() {
    let test = with_one_left_behind_and_one_fresh().await;
    let workers =
        Workers::with_grace(&test.queue, 2, Duration::from_millis(200), move |_| std::future::pending());
    until("both run", || async { workers.seen() == 2 }).await;
    workers.stop().await;
    assert_eq!(test.step(Step::Objects).await, (2, 0, 0), "both were handed back");
    let mut crashes: Vec<u32> =
        test.claims(Step::Objects, "next", 2).await.iter().map(|delivery| delivery.crashes).collect();
    crashes.sort_unstable();
    assert_eq!(crashes, [0, 1], "the first crash stays counted, the stop is none");
}

#[tokio::test]
async fn nothing_is_taken_over_while_its_step_is_paused() {
    let test = TestQueue::with_lease(Duration::from_secs(1)).await;
    test.pairs(1).await;
    test.claim(Step::Objects, "gone").await;
    let objects = [Target::Step(Step::Objects)];
    test.queue.pause(&objects[0], "a test", None).await.unwrap();
    let workers = Workers::start(&test.queue, 1, |delivery| async move { Ok(next_step(&delivery)) });
    until("its lease has lapsed", || async {
        test.queue.lapses().await.is_ok_and(|lapses| !lapses.lapsed.is_empty())
    })
    .await;
    // Longer than the workers need for a look.
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!((test.counter("reclaimed").await, workers.seen()), (0, 0));
    test.queue.resume(&objects[0]).await.unwrap();
    test.until_ready(1).await;
    workers.stop().await;
}

/// One job whose worker is gone, its lease not yet lapsed, and one that nobody has claimed.
async fn with_one_left_behind_and_one_fresh() -> TestQueue {
    let test = TestQueue::with_lease(Duration::from_secs(1)).await;
    test.pairs(1).await;
    test.claim(Step::Objects, "gone").await;
    test.pairs(1).await;
    test
}
