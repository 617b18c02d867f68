//! Promise 4: a lease is kept as long as its owner works, and a run ends with its lease.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use mondo_jobs::{
    job::Step,
    ports::fake::FakeSandbox,
    queue::{Commit, Delivery},
    record,
    step::Limits,
    steps::Personas,
};
use mondo_workers::{
    backend::{Failure, Handler, WorkerOptions, run_workers},
    llm::{
        journal::Journal,
        openai::{OpenAi, OpenAiConfig},
    },
    runner::Runner,
};
use tokio::{io::AsyncReadExt as _, net::TcpListener, sync::Notify};
use tokio_util::sync::CancellationToken;

use crate::support::{
    queue::{TestQueue, connect},
    wait::until,
    workers::{Workers, next_step},
};

const LEASE: Duration = Duration::from_secs(3);

/// Keeps the thread that runs it busy for three leases, without ever awaiting.
#[derive(Default)]
struct Spinner(Mutex<Vec<Delivery>>);

#[async_trait]
impl Handler for Spinner {
    async fn handle(&self, delivery: &Delivery) -> Result<Commit, Failure> {
        self.0.lock().unwrap().push(delivery.clone());
        let began = Instant::now();
        while began.elapsed() < LEASE * 3 {
            std::hint::spin_loop();
        }
        Ok(next_step(delivery))
    }
}

#[tokio::test]
async fn a_worker_whose_threads_are_all_busy_for_three_leases_keeps_its_leases() {
    let test = TestQueue::with_lease(LEASE).await;
    test.pairs(4).await;
    // Nothing of this machine is left over either.
    let done = Arc::new(AtomicBool::new(false));
    let cores = thread::available_parallelism().map_or(2, usize::from);
    let stress: Vec<_> = (0..cores)
        .map(|_| {
            let done = Arc::clone(&done);
            thread::spawn(move || while !done.load(Ordering::Relaxed) {})
        })
        .collect();
    let (spinner, stop) = (Arc::<Spinner>::default(), CancellationToken::new());
    let (handler, told, url) = (Arc::clone(&spinner), stop.clone(), test.redis.url());
    let starved = thread::spawn(move || {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(async move {
            let queue = connect(url, LEASE).await;
            let options = WorkerOptions {
                steps: vec![(Step::Objects, 4)],
                grace: Duration::from_mins(1),
                ..WorkerOptions::default()
            };
            run_workers(queue, options, handler, told).await
        })
    });
    until("it spins", || async { spinner.0.lock().unwrap().len() >= 2 }).await;
    // Whatever lapses is taken over here.
    let other = Workers::start(&test.queue, 4, |delivery| async move { Ok(next_step(&delivery)) });
    until("all are committed", || async { test.counter("committed").await >= 4 * 6 }).await;
    done.store(true, Ordering::Relaxed);
    assert_eq!(test.counter("reclaimed").await, 0, "no lease lapsed");
    assert!(spinner.0.lock().unwrap().iter().all(|delivery| delivery.crashes == 0));
    assert_eq!(spinner.0.lock().unwrap().len() + other.seen(), 4 * 6, "nothing ran twice");
    stop.cancel();
    starved.join().unwrap().unwrap();
    other.stop().await;
    for thread in stress {
        thread.join().unwrap();
    }
}

#[tokio::test]
async fn a_renewal_whose_connection_is_cut_again_and_again_goes_on() {
    let test = TestQueue::with_lease(LEASE).await;
    let (first, second) = (
        Workers::start(&test.queue, 2, long),
        Workers::start(&test.queue, 2, |d| async move { Ok(next_step(&d)) }),
    );
    test.pairs(2).await;
    until("a long run is under way", || async { !first.seen.lock().unwrap().is_empty() }).await;
    let began = Instant::now();
    let mut connection = test.redis.connection().await;
    while began.elapsed() < LEASE * 3 {
        let _: i64 = redis::cmd("CLIENT")
            .arg(&["KILL", "TYPE", "normal", "SKIPME", "yes"])
            .query_async(&mut connection)
            .await
            .unwrap();
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    until("all pairs are ready", || async { test.queue.stats().await.is_ok_and(|stats| stats.ready == 2) })
        .await;
    assert_eq!(test.counter("reclaimed").await, 0, "no lease lapsed");
    assert_eq!(test.counter("committed").await, 12);
    first.stop().await;
    second.stop().await;
}

async fn long(delivery: Delivery) -> Result<Commit, Failure> {
    if delivery.step == Step::Objects {
        tokio::time::sleep(LEASE * 3).await;
    }
    Ok(next_step(&delivery))
}

#[tokio::test]
async fn a_call_to_an_llm_ends_with_the_lease_of_its_run() {
    let test = TestQueue::with_lease(Duration::from_secs(1)).await;
    let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let config = OpenAiConfig {
        provider: "test".to_owned(),
        base_url: format!("http://{}/v1", server.local_addr().unwrap()),
        key: None,
        model: "slow".to_owned(),
        timeout: Duration::from_mins(5),
        idle: Duration::from_mins(5),
        price_in: 0.0,
        price_out: 0.0,
    };
    let runner = Arc::new(Runner {
        queue: test.queue.clone(),
        journal: Journal::new(test.queue.clone(), None),
        llm: Arc::new(OpenAi::new(&config).unwrap()),
        responder: "test/slow".into(),
        sandbox: Arc::new(FakeSandbox::finding(Vec::new())),
        personas: Arc::new(Personas::embedded()),
        limits: Limits { fix_rounds_max: 1 },
    });
    let workers = Workers::with_grace(&test.queue, 1, Duration::from_millis(100), move |delivery| {
        let runner = Arc::clone(&runner);
        async move { runner.handle(&delivery).await }
    });
    test.queue.start(&[record::new_pair(7, 0).unwrap()]).await.unwrap();
    let (mut call, _) = server.accept().await.unwrap();
    let mut asked = [0; 16];
    assert!(call.read(&mut asked).await.unwrap() > 0);
    // Longer than the lease: it is renewed, and the call goes on.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let entry = workers.seen.lock().unwrap()[0].entry.clone();
    let mut connection = test.redis.connection().await;
    let _: redis::Value = redis::cmd("XCLAIM")
        .arg(&["{test:0}:stream:objects", "workers", "thief", "0", &entry])
        .query_async(&mut connection)
        .await
        .unwrap();
    let hung_up = async { while call.read(&mut asked).await.unwrap_or(0) > 0 {} };
    tokio::time::timeout(Duration::from_secs(30), hung_up).await.expect("the caller hangs up");
    workers.stop().await;
}

#[tokio::test]
async fn a_run_goes_on_while_redis_is_away_for_longer_than_its_lease() {
    let mut test = TestQueue::with_lease(Duration::from_secs(2)).await;
    let (started, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (tell, wait) = (Arc::clone(&started), Arc::clone(&go));
    let workers = Workers::start(&test.queue, 1, move |delivery| {
        let (tell, wait) = (Arc::clone(&tell), Arc::clone(&wait));
        async move {
            if delivery.step == Step::Objects {
                tell.notify_one();
                wait.notified().await;
            }
            Ok(next_step(&delivery))
        }
    });
    test.pairs(1).await;
    started.notified().await;
    // The claim is on the disk of Redis before it is killed.
    tokio::time::sleep(Duration::from_millis(1500)).await;
    test.redis.server.kill();
    tokio::time::sleep(Duration::from_secs(6)).await;
    test.redis.server.revive().await.unwrap();
    go.notify_one();
    until("the pair is ready", || async { test.queue.stats().await.is_ok_and(|stats| stats.ready == 1) })
        .await;
    assert_eq!(workers.seen(), 6, "what the first run may have paid for was not paid again");
    workers.stop().await;
    test.healthy().await;
}
