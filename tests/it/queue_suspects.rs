//! Promise 5: a crash is not a failure. A job that was there when a worker ended is next run alone, and takes no
//! other job with it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use mondo_jobs::{job::Step, queue::Delivery};
use tokio::sync::Notify;

use crate::support::{
    queue::TestQueue,
    workers::{Workers, next_step, until},
};

/// How many jobs run in a process.
#[derive(Default)]
struct Running {
    now: AtomicUsize,
    beside_a_suspect: AtomicBool,
}

impl Running {
    async fn during(&self, delivery: &Delivery, time: Duration) {
        let others = self.now.fetch_add(1, Ordering::SeqCst);
        let suspect = delivery.crashes > 0;
        if suspect && others > 0 {
            self.beside_a_suspect.store(true, Ordering::SeqCst);
        }
        tokio::time::sleep(time).await;
        let beside = self.now.fetch_sub(1, Ordering::SeqCst) - 1;
        if suspect && beside > 0 {
            self.beside_a_suspect.store(true, Ordering::SeqCst);
        }
    }
}

async fn until_ready(test: &TestQueue, count: u64) {
    until("all pairs are ready", || async {
        test.queue.stats().await.is_ok_and(|stats| stats.ready == count)
    })
    .await;
}

#[tokio::test]
async fn a_job_that_was_there_at_a_crash_is_next_run_alone() {
    check_suspects_run_alone(4).await;
}

#[tokio::test]
async fn a_step_with_a_single_slot_goes_on_after_a_takeover() {
    check_suspects_run_alone(1).await;
}

async fn check_suspects_run_alone(slots: usize) {
    let test = TestQueue::with_lease(Duration::from_secs(1)).await;
    test.pairs(6).await;
    assert_eq!(test.claims(Step::Objects, "gone", 6).await.len(), 6);
    test.pairs(60).await;
    let running = Arc::<Running>::default();
    let shared = Arc::clone(&running);
    let workers = Workers::start(&test.queue, slots, move |delivery| {
        let running = Arc::clone(&shared);
        async move {
            running.during(&delivery, Duration::from_millis(20)).await;
            Ok(next_step(&delivery))
        }
    });
    until_ready(&test, 66).await;
    let suspects: Vec<Delivery> =
        workers.seen.lock().unwrap().iter().filter(|seen| seen.crashes > 0).cloned().collect();
    assert_eq!(suspects.len(), 6);
    assert!(suspects.iter().all(|suspect| suspect.crashes == 1 && suspect.step == Step::Objects));
    assert!(!running.beside_a_suspect.load(Ordering::SeqCst), "nothing ran beside a suspect");
    workers.stop().await;
    test.healthy().await;
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
    until_ready(&test, 12).await;
    let suspects =
        |workers: &Workers| workers.seen.lock().unwrap().iter().filter(|seen| seen.crashes > 0).count();
    assert_eq!(suspects(&first) + suspects(&second), 12, "each once");
    assert!(suspects(&first) > 1 && suspects(&second) > 1, "{} and {}", suspects(&first), suspects(&second));
    first.stop().await;
    second.stop().await;
}

#[tokio::test]
async fn a_suspect_waits_for_the_rest_and_keeps_its_lease_and_its_count_meanwhile() {
    let test = with_one_left_behind_and_one_fresh().await;
    let (running, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (tell, wait) = (Arc::clone(&running), Arc::clone(&go));
    let workers = Workers::start(&test.queue, 2, move |delivery| {
        let (tell, wait) = (Arc::clone(&tell), Arc::clone(&wait));
        async move {
            if delivery.crashes == 0 && delivery.step == Step::Objects {
                tell.notify_one();
                wait.notified().await;
            }
            Ok(next_step(&delivery))
        }
    });
    running.notified().await;
    until("it is taken over", || async { test.counter("reclaimed").await == 1 }).await;
    // Longer than any lease: others would have taken it by now.
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(test.counter("reclaimed").await, 1);
    assert_eq!(workers.seen(), 1, "it has not been started");
    go.notify_one();
    until_ready(&test, 2).await;
    workers.stop().await;
    test.healthy().await;
}

#[tokio::test]
async fn a_stop_hands_a_suspect_back_that_waits_to_be_alone() {
    let test = with_one_left_behind_and_one_fresh().await;
    let running = Arc::new(Notify::new());
    let tell = Arc::clone(&running);
    let workers = Workers::with_grace(&test.queue, 2, Duration::from_millis(200), move |_| {
        tell.notify_one();
        std::future::pending()
    });
    running.notified().await;
    until("it is taken over", || async { test.counter("reclaimed").await == 1 }).await;
    workers.stop().await;
    assert_eq!(test.step(Step::Objects).await, (2, 0, 0), "both were handed back");
    let mut crashes: Vec<u32> =
        test.claims(Step::Objects, "next", 2).await.iter().map(|delivery| delivery.crashes).collect();
    crashes.sort_unstable();
    assert_eq!(crashes, [0, 1], "the first crash stays counted, the stop is none");
}

/// One job whose worker is gone, its lease not yet lapsed, and one that nobody has claimed.
async fn with_one_left_behind_and_one_fresh() -> TestQueue {
    let test = TestQueue::with_lease(Duration::from_secs(1)).await;
    test.pairs(1).await;
    test.claim(Step::Objects, "gone").await;
    test.pairs(1).await;
    test
}
