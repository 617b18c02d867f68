//! What the field has seen go wrong between a worker and Redis: stalls, black holes, lost replies, killed connections.
//! The numbers are those of the table in `jobs/README.md`.

use std::{
    collections::BTreeSet,
    process::Command,
    time::{Duration, Instant},
};

use mondo_jobs::{
    disposition::Disposition,
    job::Step,
    queue::{Delivery, Queue},
};
use mondo_workers::backend::Failure;
use redis::AsyncCommands as _;

use crate::support::{
    proxy::{Mode, Proxy},
    queue::{TestQueue, connect},
    wait::until,
    workers::{Workers, next_step},
};

/// A queue, and the same queue through a link that can be broken.
struct Linked {
    test: TestQueue,
    proxy: Proxy,
    queue: Queue,
}

impl Linked {
    async fn with_lease(lease: Duration) -> Self {
        let test = TestQueue::with_lease(lease).await;
        let proxy = Proxy::start(test.redis.address(), 7).await.unwrap();
        let queue = connect(test.redis.url_through(proxy.address()), lease).await;
        Self { test, proxy, queue }
    }

    /// Workers behind the link; each job takes a moment.
    fn workers(&self, slots: usize) -> Workers {
        Workers::start(&self.queue, slots, |delivery| async move {
            tokio::time::sleep(Duration::from_millis(10)).await;
            Ok(next_step(&delivery))
        })
    }

    /// Each job was committed once, each pair became ready once, and nothing is left.
    async fn is_whole(&self, pairs: usize) {
        let count = i64::try_from(pairs).unwrap();
        assert_eq!(self.test.counter("committed").await, 6 * count);
        assert_eq!(self.test.counter("ready").await, count);
        let mut taken = BTreeSet::new();
        while let Some(pair) = self.test.queue.take().await.unwrap() {
            assert!(taken.insert(pair.pair), "no pair is ready twice");
        }
        assert_eq!(taken.len(), pairs);
        self.test.healthy().await;
    }

    /// The ports from which Redis sees connections that are not blocked in a read.
    async fn talking(&self) -> Vec<u16> {
        let mut connection = self.test.redis.connection().await;
        let list: String = redis::cmd("CLIENT").arg("LIST").query_async(&mut connection).await.unwrap();
        let talking =
            list.lines().filter(|line| !line.contains("cmd=xreadgroup") && !line.contains("flags=b"));
        let port =
            |line: &str| line.split_once(" addr=")?.1.split(' ').next()?.rsplit(':').next()?.parse().ok();
        talking.filter_map(port).collect()
    }
}

#[tokio::test]
async fn f03_renewal_outlives_the_silent_death_of_its_connection() {
    let lease = Duration::from_secs(9);
    let linked = Linked::with_lease(lease).await;
    let long = |delivery: Delivery| async move {
        if delivery.step == Step::Objects {
            tokio::time::sleep(Duration::from_secs(20)).await;
        }
        Ok(next_step(&delivery))
    };
    linked.test.pairs(2).await;
    let workers = Workers::start(&linked.queue, 2, long);
    until("both are under way", || async { workers.seen() == 2 }).await;
    // Somebody stands by to take over what lapses.
    let heirs = Workers::start(&linked.test.queue, 2, long);
    let silenced = linked.talking().await.into_iter().filter(|port| linked.proxy.silence(*port)).count();
    assert!(silenced > 0, "the shared connection of the workers is among those that talk");

    linked.test.until_ready(2).await;
    assert_eq!(linked.test.counter("reclaimed").await, 0, "no lease lapsed");
    workers.stop().await;
    heirs.stop().await;
    linked.is_whole(2).await;
}

#[tokio::test]
async fn f11_workers_outlive_the_killing_of_all_their_connections() {
    let linked = Linked::with_lease(Duration::from_secs(3)).await;
    let workers = linked.workers(2);
    linked.test.pairs(60).await;
    let mut connection = linked.test.redis.connection().await;
    for _ in 0..20 {
        let kill = ["KILL", "TYPE", "normal", "SKIPME", "yes"];
        let _: u64 = redis::cmd("CLIENT").arg(&kill).query_async(&mut connection).await.unwrap();
        let seen = workers.seen();
        until("work goes on", || async { workers.seen() > seen || linked.test.ready().await == 60 }).await;
    }
    linked.test.until_ready(60).await;
    workers.stop().await;
    linked.is_whole(60).await;
}

#[tokio::test]
async fn f11_workers_leave_a_black_hole_behind() {
    let linked = Linked::with_lease(Duration::from_secs(9)).await;
    let workers = linked.workers(2);
    linked.test.pairs(20).await;
    until("work is under way", || async { workers.seen() > 20 }).await;
    linked.proxy.set(Mode::Blackhole);
    tokio::time::sleep(Duration::from_secs(1)).await;
    // The old connections stay dead, and nobody ever says so.
    linked.proxy.set(Mode::Pass);
    linked.test.until_ready(20).await;
    until("the pulse is young", || async { workers.pulse.last_poll_age().unwrap() < Duration::from_secs(8) })
        .await;
    workers.stop().await;
    linked.is_whole(20).await;
}

#[tokio::test]
async fn f11_a_redis_that_sleeps_is_a_pause() {
    let linked = Linked::with_lease(Duration::from_secs(3)).await;
    let workers = linked.workers(2);
    linked.test.pairs(20).await;
    until("work is under way", || async { workers.seen() > 20 }).await;
    let pid = linked.test.redis.server.pid();
    signal(pid, "STOP");
    tokio::time::sleep(Duration::from_secs(8)).await;
    signal(pid, "CONT");
    linked.test.until_ready(20).await;
    workers.stop().await;
    linked.is_whole(20).await;
}

#[tokio::test]
async fn f12_stalls_of_a_second_end_no_worker() {
    let linked = Linked::with_lease(Duration::from_secs(9)).await;
    let workers = linked.workers(4);
    linked.test.pairs(100).await;
    for _ in 0..4 {
        linked.proxy.set(Mode::Stall);
        tokio::time::sleep(Duration::from_secs(1)).await;
        linked.proxy.set(Mode::Pass);
        let seen = workers.seen();
        until("work goes on", || async { workers.seen() > seen || linked.test.ready().await == 100 }).await;
    }
    linked.test.until_ready(100).await;
    assert_eq!(workers.seen(), 600, "nothing was run again");
    workers.stop().await;
    linked.is_whole(100).await;
}

#[tokio::test]
async fn f13_readers_that_wait_hold_up_no_commit() {
    let test = TestQueue::start().await;
    test.pairs(50).await;
    let held = test.claims(Step::Objects, "one", 50).await;
    let mut readers = Vec::new();
    for step in Step::ALL {
        readers.push(test.reader(step, "waiting").await);
    }
    let wait = Duration::from_mins(1);
    let waiting =
        futures_util::future::select_all(readers.iter_mut().map(|reader| Box::pin(reader.read(1, wait))));
    let committing = async {
        for delivery in &held {
            let end = Some(mondo_jobs::queue::End::Rejected { reason: String::new() });
            test.queue
                .commit(delivery, &mondo_jobs::queue::Commit { end, ..Default::default() })
                .await
                .unwrap();
        }
    };
    tokio::select! {
        (read, ..) = waiting => panic!("a reader came back first: {read:?}"),
        () = committing => {}
    }
}

#[tokio::test]
async fn f14_lost_replies_lose_nothing_and_double_nothing() {
    let linked = Linked::with_lease(Duration::from_secs(3)).await;
    linked.proxy.set(Mode::LoseReplies(0.05));
    let workers = linked.workers(4);
    linked.test.pairs(10).await;
    // Enough that both kinds of loss come, and few enough that their silences end in time.
    until("replies were lost", || async { linked.proxy.lost() >= 4 }).await;
    linked.proxy.set(Mode::Pass);
    linked.test.until_ready(10).await;
    workers.stop().await;
    linked.is_whole(10).await;
}

#[tokio::test]
async fn f14_trickling_and_jittering_links_are_only_slow() {
    for mode in
        [Mode::Trickle(Duration::from_millis(1)), Mode::Delay(Duration::ZERO, Duration::from_millis(80))]
    {
        let linked = Linked::with_lease(Duration::from_secs(9)).await;
        linked.proxy.set(mode);
        let workers = linked.workers(4);
        linked.test.pairs(10).await;
        linked.test.until_ready(10).await;
        linked.proxy.set(Mode::Pass);
        workers.stop().await;
        linked.is_whole(10).await;
    }
}

#[tokio::test]
async fn f11_a_link_that_breaks_while_a_worker_starts_is_tried_again() {
    let linked = Linked::with_lease(Duration::from_secs(9)).await;
    linked.proxy.set(Mode::LoseReplies(1.0));
    let starting = connect(linked.test.redis.url_through(linked.proxy.address()), Duration::from_secs(9));
    let healing = async {
        until("it has tried", || async { linked.proxy.connections() > 1 }).await;
        linked.proxy.set(Mode::LoseReplies(0.2));
        tokio::time::sleep(Duration::from_secs(3)).await;
        linked.proxy.set(Mode::Pass);
    };
    let (queue, ()) = tokio::join!(starting, healing);
    queue.stats().await.unwrap();
}

#[tokio::test]
async fn f11_a_refused_link_is_a_pause() {
    let linked = Linked::with_lease(Duration::from_secs(3)).await;
    let workers = linked.workers(2);
    linked.test.pairs(30).await;
    until("work is under way", || async { workers.seen() > 20 }).await;
    linked.proxy.set(Mode::Refuse);
    let begun = Instant::now();
    until("every connection is gone", || async { linked.proxy.connections() == 0 }).await;
    tokio::time::sleep(Duration::from_secs(2).saturating_sub(begun.elapsed())).await;
    linked.proxy.set(Mode::Pass);
    linked.proxy.cut();
    linked.test.until_ready(30).await;
    workers.stop().await;
    linked.is_whole(30).await;
}

#[tokio::test]
async fn f21_jobs_that_wait_together_come_back_apart_and_none_too_early() {
    let test = TestQueue::start().await;
    let asked = Duration::from_mins(2);
    let workers = Workers::start(&test.queue, 50, move |_| async move {
        let disposition = Disposition::Wait { after: Some(asked) };
        Err(Failure { disposition, class: "rate_limited".to_owned(), chain: Vec::new() })
    });
    let mut connection = test.redis.connection().await;
    let now: (u64, u64) = redis::cmd("TIME").query_async(&mut connection).await.unwrap();
    test.pairs(200).await;
    until("all wait", || async { test.step(Step::Objects).await == (0, 0, 200) }).await;
    workers.stop().await;
    let due: Vec<(String, f64)> = connection.zrange_withscores("{test:0}:delayed", 0, -1).await.unwrap();
    #[expect(clippy::cast_precision_loss, reason = "milliseconds are far below 2^52")]
    let earliest = (now.0 * 1000 + now.1 / 1000) as f64 + asked.as_secs_f64() * 1000.0;
    assert!(due[0].1 >= earliest, "{} is before {earliest}", due[0].1);
    // A quarter of the wait is left to chance; two hundred throws fill most of it.
    assert!(due[199].1 - due[0].1 > 10_000.0, "{:?} to {:?}", due[0], due[199]);
}

fn signal(pid: u32, name: &str) {
    assert!(Command::new("sh").arg("-c").arg(format!("kill -{name} {pid}")).status().unwrap().success());
}
