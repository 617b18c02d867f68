//! Calling a pair off, wherever its jobs are.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use mondo_jobs::{
    job::Step,
    pair::PairId,
    ports::fake::FakeLlm,
    queue::{Cancelled, Commit, Committed, DeadFilter, End},
    record,
};
use mondo_workers::backend::Handler as _;
use redis::AsyncCommands as _;

use super::runner::runner;
use crate::support::{
    queue::{TestQueue, death, next_job},
    wait::until,
    workers::Workers,
};

/// State and reason.
async fn end_of(test: &TestQueue, pair: PairId) -> (String, String) {
    let record = test.queue.record(pair).await.unwrap();
    let field = |name: &str| String::from_utf8(record.get(name).cloned().unwrap_or_default()).unwrap();
    (field("state"), field("reason"))
}

fn rejected() -> (String, String) {
    ("rejected".to_owned(), "cancelled: not wanted".to_owned())
}

#[tokio::test]
async fn a_pair_under_way_ends_with_its_delayed_jobs_and_dead_letters() {
    let test = TestQueue::start().await;
    let pair = test.pairs(1).await.remove(0).id;
    let other = test.pairs(1).await.remove(0).id;
    let first = test.claims(Step::Objects, "one", 2).await;
    let next = [Step::Question, Step::Fix, Step::Solve];
    for delivery in &first {
        let next = next.map(|step| next_job(delivery.pair, step)).to_vec();
        test.queue.commit(delivery, &Commit { next, ..Commit::default() }).await.unwrap();
    }
    for delivery in test.claims(Step::Question, "one", 2).await {
        test.queue.retry(&delivery, "one", Duration::from_hours(1)).await.unwrap();
    }
    for delivery in test.claims(Step::Fix, "one", 2).await {
        test.queue.bury(&delivery, "one", &death(1, "refused", &[])).await.unwrap();
    }
    test.queue.journal_put(pair, "key", b"reply").await.unwrap();

    assert_eq!(test.queue.cancel(pair, "not wanted").await.unwrap(), Cancelled::UnderWay);
    assert_eq!(end_of(&test, pair).await, rejected());
    assert_eq!(test.step(Step::Question).await, (0, 0, 1), "the other pair's is left");
    let letters = test.queue.dead(&DeadFilter::default(), 10).await.unwrap();
    assert_eq!(letters.iter().filter_map(|letter| letter.pair).collect::<Vec<_>>(), [other]);
    assert_eq!(
        test.step(Step::Solve).await,
        (2, 0, 0),
        "what waits in a stream is dropped when it is claimed"
    );
    assert_eq!(test.queue.stats().await.unwrap().open, 1);
    assert_eq!((test.counter("cancelled").await, test.counter("rejected").await), (1, 1));
    assert_eq!(test.queue.cancel(pair, "again").await.unwrap(), Cancelled::Unknown);
    assert_eq!(end_of(&test, pair).await, rejected(), "the first reason stays");
    assert_eq!(test.queue.cancel(PairId::fresh(), "who").await.unwrap(), Cancelled::Unknown);
    test.healthy().await;
}

#[tokio::test]
async fn a_ready_pair_is_withdrawn_unless_it_is_being_handed_over() {
    let test = TestQueue::start().await;
    let (first, second) = (test.make_ready(b"1").await, test.make_ready(b"2").await);
    let taken = test.queue.take().await.unwrap().unwrap();
    assert_eq!(taken.pair, first);
    assert_eq!(test.queue.cancel(first, "not wanted").await.unwrap(), Cancelled::BeingTaken);
    assert_eq!(test.queue.cancel(second, "not wanted").await.unwrap(), Cancelled::Ready);
    assert_eq!(test.queue.take().await.unwrap(), None);
    test.queue.put_back(first, taken.lapses_ms).await.unwrap();
    assert_eq!(test.queue.cancel(first, "not wanted").await.unwrap(), Cancelled::Ready);
    for pair in [first, second] {
        assert_eq!(end_of(&test, pair).await, rejected());
    }
    let stats = test.queue.stats().await.unwrap();
    assert_eq!((stats.ready, stats.taken, stats.counters["held_bytes"]), (0, 0, 0));
    test.healthy().await;
}

#[tokio::test]
async fn a_withdrawn_pair_holds_no_bytes_of_its_body() {
    let test = TestQueue::start().await;
    let pair = test.make_ready(b"0123456789").await;
    let held = test.counter("held_bytes").await;
    assert_eq!(test.queue.cancel(pair, "not wanted").await.unwrap(), Cancelled::Ready);
    assert_eq!((test.counter("held_bytes").await, test.counter("rejected_bytes").await), (0, held - 10));
    assert_eq!(test.queue.record(pair).await.unwrap()["bytes"], (held - 10).to_string().into_bytes());
}

/// F29: an entry that nobody has read must not be deleted, or the group's lag becomes unknown.
#[tokio::test]
async fn the_lag_stays_a_number_and_claimed_jobs_are_dropped_without_being_run() {
    let test = TestQueue::start().await;
    let pairs: Vec<_> = (0..5).map(|seed| record::new_pair(seed, 0).unwrap()).collect();
    test.queue.start(&pairs).await.unwrap();
    for pair in &pairs[1..4] {
        assert_eq!(test.queue.cancel(pair.id, "not wanted").await.unwrap(), Cancelled::UnderWay);
    }
    let mut connection = test.redis.connection().await;
    let groups: redis::streams::StreamInfoGroupsReply =
        connection.xinfo_groups("{test:0}:stream:objects").await.unwrap();
    assert_eq!(groups.groups[0].lag, Some(5));

    let runner = runner(&test, FakeLlm::new(|_| panic!("nothing is asked for a pair that has ended")));
    let claimed = test.claims(Step::Objects, "one", 9).await;
    let ended: Vec<_> =
        claimed.iter().filter(|job| pairs[1..4].iter().any(|pair| pair.id == job.pair)).collect();
    assert_eq!(ended.len(), 3);
    for delivery in ended {
        let nothing = runner.handle(delivery).await.unwrap();
        assert_eq!(nothing, Commit::default());
        assert_eq!(test.queue.commit(delivery, &nothing).await.unwrap(), Committed::Ended);
    }
    assert_eq!(test.step(Step::Objects).await, (0, 2, 0));
    assert_eq!(test.counter("committed").await, 0);
    test.healthy().await;
}

#[tokio::test]
async fn a_run_on_another_worker_is_cancelled_within_a_third_of_the_lease() {
    struct Dropped(Arc<AtomicUsize>);
    impl Drop for Dropped {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
    let test = TestQueue::with_lease(Duration::from_secs(3)).await;
    let ended = Arc::<AtomicUsize>::default();
    let counted = Arc::clone(&ended);
    let workers = Workers::start(&test.queue, 2, move |_| {
        let guard = Dropped(Arc::clone(&counted));
        async move {
            let _guard = guard;
            std::future::pending().await
        }
    });
    let pair = test.pairs(1).await.remove(0).id;
    until("the job runs", async || workers.seen() == 1).await;
    assert_eq!(test.queue.running_jobs(10).await.unwrap()[0].job, format!("{pair}/objects"));
    test.queue.cancel(pair, "not wanted").await.unwrap();
    until("its future is dropped, with its browser page and its call", async || {
        ended.load(Ordering::SeqCst) == 1
    })
    .await;
    assert_eq!(end_of(&test, pair).await, rejected());
    workers.stop().await;
}

#[tokio::test]
async fn a_result_that_comes_after_all_changes_nothing() {
    let test = TestQueue::start().await;
    let pair = test.pairs(1).await.remove(0).id;
    let delivery = test.claim(Step::Objects, "one").await;
    test.queue.cancel(pair, "not wanted").await.unwrap();
    let end = Some(End::Ready { body: b"{}".to_vec() });
    let late = Commit { end, ..Commit::default() };
    assert_eq!(test.queue.commit(&delivery, &late).await.unwrap(), Committed::Ended);
    assert_eq!(test.queue.take().await.unwrap(), None);
    assert_eq!(end_of(&test, pair).await, rejected());
}
